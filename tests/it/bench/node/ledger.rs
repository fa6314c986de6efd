//! What the model node keeps, and what it does when it is asked to pay.

use std::collections::{HashMap, HashSet, VecDeque};

use tokio::sync::mpsc;
use withdrawd::{
    domain::{
        FailureReason, Msat, PaymentHash, Preimage, invoice,
        payment::{Record, RecordState},
    },
    node::simulated::preimage_of,
    ports::{ListedPayment, NodeError, SendOrder, SendUpdate},
};

use super::{ModelNode, stalled::Waiting};

/// What the node does with the next send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSend {
    /// Pays it, and says so.
    Pay,
    /// Pays it, and the answer is lost.
    PayAndLoseAnswer,
    /// The request never arrives, and the caller does not learn so.
    LoseRequest,
    /// The request is on its way until it is delivered, and the caller does not learn so.
    Delay,
    /// Fails it, and says so.
    Fail(FailureReason),
    /// Fails it, and the answer is lost.
    FailAndLoseAnswer(FailureReason),
    /// Keeps it in flight.
    Hold,
    /// Answers with an error and stores nothing.
    Refuse,
    /// Calls it paid with a preimage that proves nothing.
    PayWithWrongPreimage,
    /// Somebody else pays it from this node just before the request arrives.
    PaidBySomebodyElse,
}

#[derive(Default)]
pub(super) struct Ledger {
    pub(super) records: HashMap<PaymentHash, Record>,
    pub(super) on_sends: VecDeque<OnSend>,
    pub(super) sends: Vec<SendOrder>,
    pub(super) delayed: Vec<SendOrder>,
    pub(super) settled: Vec<PaymentHash>,
    pub(super) held: HashMap<PaymentHash, (Preimage, Option<mpsc::UnboundedSender<SendUpdate>>)>,
    /// In flight by their records alone.
    pub(super) without_htlc: HashSet<PaymentHash>,
    /// Its database takes no writes.
    pub(super) stalled: bool,
    /// What waits for them, with the listeners.
    pub(super) waiting: Vec<Waiting>,
    pub(super) witnesses: usize,
    /// In the order in which the records were made, with their invoices.
    pub(super) made: Vec<(PaymentHash, String)>,
}

impl Ledger {
    pub(super) fn keep(&mut self, record: Record, invoice: &str) {
        self.made.push((record.payment_hash, invoice.to_owned()));
        self.records.insert(record.payment_hash, record);
    }

    /// Each payment once, where it was made last.
    pub(super) fn list(&self) -> Vec<ListedPayment> {
        let made = || self.made.iter().enumerate();
        let last: HashMap<_, _> = made().map(|(at, (hash, _))| (hash, at)).collect();
        made()
            .filter(|(at, (hash, _))| last[hash] == *at)
            .filter_map(|(at, (hash, invoice))| {
                Some(ListedPayment {
                    record: self.records.get(hash)?.clone(),
                    invoice: invoice.clone(),
                    index: at as u64 + 1,
                })
            })
            .collect()
    }
}

impl ModelNode {
    pub(super) fn receive(&self, order: &SendOrder) -> Vec<SendUpdate> {
        let now = self.clock.now();
        if now > order.send_deadline {
            self.ledger(|ledger| {
                ledger.on_sends.pop_front();
                ledger.sends.push(order.clone());
            });
            return vec![refused("macaroon has expired")];
        }
        self.store(order)
    }

    /// The deadline was checked: the payment is looked up, stored, and made.
    pub(super) fn store(&self, order: &SendOrder) -> Vec<SendUpdate> {
        let now = self.clock.now();
        self.ledger(|ledger| {
            let on_send = ledger.on_sends.pop_front().unwrap_or(OnSend::Pay);
            if on_send == OnSend::LoseRequest {
                return vec![SendUpdate::Lost(NodeError::Timeout)];
            }
            if on_send == OnSend::Delay {
                ledger.delayed.push(order.clone());
                return vec![SendUpdate::Lost(NodeError::Timeout)];
            }
            ledger.sends.push(order.clone());
            if on_send == OnSend::Refuse {
                return vec![refused("self-payments not allowed")];
            }
            let known = ledger.records.get(&order.payment_hash);
            if known.is_some_and(|known| !matches!(known.state, RecordState::Failed(_))) {
                return vec![SendUpdate::AlreadyExists];
            }
            let secret = invoice::parse(&order.invoice).unwrap().payment_secret.unwrap();
            let preimage = preimage_of(&secret);
            let fee = Msat::new(1).unwrap();
            let wrong = Preimage::from_bytes([0; 32]);
            let (state, told) = match on_send {
                OnSend::Pay | OnSend::PaidBySomebodyElse => {
                    (RecordState::Succeeded { preimage, fee }, true)
                }
                OnSend::PayAndLoseAnswer => (RecordState::Succeeded { preimage, fee }, false),
                OnSend::PayWithWrongPreimage => {
                    (RecordState::Succeeded { preimage: wrong, fee }, true)
                }
                OnSend::Fail(reason) => (RecordState::Failed(reason), true),
                OnSend::FailAndLoseAnswer(reason) => (RecordState::Failed(reason), false),
                OnSend::Hold => (RecordState::InFlight, true),
                OnSend::LoseRequest | OnSend::Delay | OnSend::Refuse => {
                    unreachable!("handled above")
                }
            };
            let record = Record {
                payment_hash: order.payment_hash,
                amount: order.amount,
                created: now,
                state,
            };
            ledger.keep(record.clone(), &order.invoice);
            match state {
                RecordState::Succeeded { .. } => ledger.settled.push(order.payment_hash),
                RecordState::InFlight => {
                    ledger.held.insert(order.payment_hash, (preimage, None));
                }
                RecordState::Failed(_) | RecordState::ResultLost => {}
            }
            if on_send == OnSend::PaidBySomebodyElse {
                vec![SendUpdate::AlreadyExists]
            } else if told {
                vec![SendUpdate::Record(record)]
            } else {
                vec![SendUpdate::Lost(NodeError::Timeout)]
            }
        })
    }
}

fn refused(text: &str) -> SendUpdate {
    SendUpdate::Refused(NodeError::Refused(text.into()))
}
