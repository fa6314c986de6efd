//! A simulated node: moves no money, and is the default of a new installation.
//!
//! It pays every regtest invoice whose payment hash is
//! `SHA-256(SHA-256("withdrawd simulated" ‖ payment_secret))`. The inner hash is the preimage, so the
//! proof of payment is checked as with a real node. Any other invoice fails with `NoRoute`. Payments are
//! kept in a file in the data directory.

mod ledger;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        Msat, Network, NodeId, PaymentHash, Preimage, Timestamp, invoice,
        payment::{FailureReason, Record, RecordState},
    },
    ports::{
        Connection, Introduction, LightningNode, ListedPayment, LookupReply, NodeError, NodeHealth,
        NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
    runtime::Clock,
};

use ledger::Ledger;

const PREIMAGE_TAG: &[u8] = b"withdrawd simulated";
/// Shown wherever the node is named.
const ALIAS: &str = "SIMULATED (no real money)";
/// The only connection.
const CONNECTION: Connection = Connection(0);

/// The preimage of an invoice with this payment secret.
pub fn preimage_of(payment_secret: &[u8; 32]) -> Preimage {
    let mut hash = Sha256::new();
    hash.update(PREIMAGE_TAG);
    hash.update(payment_secret);
    Preimage::from_bytes(hash.finalize().into())
}

/// A simulated node.
pub struct SimulatedNode {
    id: NodeId,
    clock: Arc<dyn Clock>,
    ledger: tokio::sync::Mutex<Ledger>,
}

impl SimulatedNode {
    /// Opens or creates the ledger in this directory.
    pub fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, std::io::Error> {
        let ledger = Ledger::open(&data_dir.join("simulated-node.jsonl"))?;
        Ok(Self { id: identity(), clock, ledger: tokio::sync::Mutex::new(ledger) })
    }

    /// The outcome of an order, by the rule above.
    fn outcome(order: &SendOrder, now: Timestamp) -> RecordState {
        let Ok(parsed) = invoice::parse(&order.invoice) else {
            return RecordState::Failed(FailureReason::NodeError);
        };
        let preimage = preimage_of(&parsed.payment_secret.unwrap_or_default());
        if invoice::expires_at(&parsed) <= now {
            RecordState::Failed(FailureReason::IncorrectPaymentDetails)
        } else if preimage.hash() != order.payment_hash {
            RecordState::Failed(FailureReason::NoRoute)
        } else {
            RecordState::Succeeded { preimage, fee: fee(order) }
        }
    }

    async fn pay(&self, order: &SendOrder) -> SendUpdate {
        let mut ledger = self.ledger.lock().await;
        let now = self.clock.now();
        if order.node != self.id {
            let (found, expected) = (self.id.clone(), order.node.clone());
            return SendUpdate::Unsent(NodeError::OtherNode { found, expected });
        }
        if now > order.send_deadline {
            return SendUpdate::Refused(NodeError::Refused(
                "the send arrived after its deadline".into(),
            ));
        }
        match ledger.find(order.payment_hash) {
            Some(Record { state: RecordState::Failed(_), .. }) | None => {}
            Some(_) => return SendUpdate::AlreadyExists,
        }
        let record = Record {
            payment_hash: order.payment_hash,
            amount: order.amount,
            created: now,
            state: Self::outcome(order, now),
        };
        match ledger.append(&record, &order.invoice) {
            Ok(()) => SendUpdate::Record(record),
            // It may have been written all the same.
            Err(error) => SendUpdate::Lost(NodeError::Refused(error.to_string())),
        }
    }

    /// Stores a failed payment, which is what a write witness is for.
    async fn fail_witness(&self, order: &WitnessOrder) -> SendUpdate {
        let mut ledger = self.ledger.lock().await;
        let now = self.clock.now();
        if now > order.send_deadline {
            let late = "the witness arrived after its deadline";
            return SendUpdate::Refused(NodeError::Refused(late.into()));
        }
        let record = Record {
            payment_hash: order.keys.payment_hash,
            amount: WITNESS_AMOUNT,
            created: now,
            state: RecordState::Failed(FailureReason::NoRoute),
        };
        match ledger.append(&record, "") {
            Ok(()) => SendUpdate::Record(record),
            Err(error) => SendUpdate::Lost(NodeError::Refused(error.to_string())),
        }
    }
}

/// The amount of a write witness.
const WITNESS_AMOUNT: Msat = match Msat::new(1000) {
    Some(amount) => amount,
    None => panic!("1000 msat is a valid amount"),
};

/// The same on every machine: 02 and a hash.
fn identity() -> NodeId {
    let text = format!("02{}", hex::encode(Sha256::digest(b"withdrawd simulated node")));
    #[expect(clippy::expect_used, reason = "33 bytes are 66 hexadecimal digits")]
    NodeId::parse(&text).expect("66 hexadecimal digits")
}

/// One satoshi if the limit allows it, so that fees are accounted for as with a real node.
fn fee(order: &SendOrder) -> Msat {
    Msat::new(1000).map_or(order.fee_limit, |sat| sat.min(order.fee_limit))
}

#[async_trait]
impl LightningNode for SimulatedNode {
    fn traits(&self) -> NodeTraits {
        NodeTraits {
            backend: "simulated",
            simulated: true,
            refuses_late_sends: true,
            refuses_expired_invoices: true,
            dedupes_by_hash: true,
        }
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        Ok(Introduction {
            id: self.id.clone(),
            alias: ALIAS.to_owned(),
            network: Network::Regtest,
            connection: CONNECTION,
        })
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        let record = self.ledger.lock().await.find(hash).cloned();
        Ok(LookupReply { record, node: self.id.clone(), connection: CONNECTION })
    }

    /// It can send any amount.
    async fn health(&self) -> Result<NodeHealth, NodeError> {
        Ok(NodeHealth {
            introduction: self.introduce().await?,
            synced: true,
            can_send: Msat::MAX,
            busiest_channel_htlcs: 0,
            active_channels: 1,
        })
    }

    /// Every payment is final at once.
    async fn has_htlc(&self, _hash: PaymentHash) -> Result<bool, NodeError> {
        Ok(false)
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        let ledger = self.ledger.lock().await;
        let period = query.created_from..=query.created_to;
        let payments = ledger
            .list()
            .into_iter()
            .filter(|entry| {
                entry.number > query.after_index && period.contains(&entry.record.created)
            })
            .take(usize::try_from(query.limit.max(1)).unwrap_or(usize::MAX))
            .map(|entry| ListedPayment {
                record: entry.record.clone(),
                invoice: entry.invoice.clone(),
                index: entry.number,
            })
            .collect();
        Ok(PaymentsPage { payments, node: self.id.clone(), connection: CONNECTION })
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        let update = self.pay(&order).await;
        Box::pin(futures_util::stream::iter([update]))
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        let update = self.fail_witness(&order).await;
        Box::pin(futures_util::stream::iter([update]))
    }
}

#[cfg(test)]
mod tests;
