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
pub enum Fate {
    /// Pays it, and says so.
    Pay,
    /// Pays it, and the answer is lost.
    PayAndLoseAnswer,
    /// The request never arrives, and the caller is not told.
    LoseRequest,
    /// The request is on its way until it is delivered, and the caller is not told.
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
pub(super) struct Book {
    pub(super) records: HashMap<PaymentHash, Record>,
    pub(super) fates: VecDeque<Fate>,
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

impl Book {
    pub(super) fn keep(&mut self, record: Record, invoice: &str) {
        self.made.push((record.payment_hash, invoice.to_owned()));
        self.records.insert(record.payment_hash, record);
    }

    /// Each payment once, where it was made last.
    pub(super) fn list(&self) -> Vec<ListedPayment> {
        let is_last = |at: usize, hash| !self.made[at + 1..].iter().any(|(later, _)| later == hash);
        self.made
            .iter()
            .enumerate()
            .filter(|(at, (hash, _))| is_last(*at, hash))
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
            self.book(|book| {
                book.fates.pop_front();
                book.sends.push(order.clone());
            });
            return vec![refused("macaroon has expired")];
        }
        self.store(order)
    }

    /// The deadline was checked: the payment is looked up, stored, and made.
    pub(super) fn store(&self, order: &SendOrder) -> Vec<SendUpdate> {
        let now = self.clock.now();
        self.book(|book| {
            let fate = book.fates.pop_front().unwrap_or(Fate::Pay);
            if fate == Fate::LoseRequest {
                return vec![SendUpdate::Lost(NodeError::Timeout)];
            }
            if fate == Fate::Delay {
                book.delayed.push(order.clone());
                return vec![SendUpdate::Lost(NodeError::Timeout)];
            }
            book.sends.push(order.clone());
            if fate == Fate::Refuse {
                return vec![refused("self-payments not allowed")];
            }
            let known = book.records.get(&order.payment_hash);
            if known.is_some_and(|known| !matches!(known.state, RecordState::Failed(_))) {
                return vec![SendUpdate::AlreadyExists];
            }
            let secret = invoice::parse(&order.invoice).unwrap().payment_secret.unwrap();
            let preimage = preimage_of(&secret);
            let fee = Msat::new(1).unwrap();
            let wrong = Preimage::from_bytes([0; 32]);
            let (state, told) = match fate {
                Fate::Pay | Fate::PaidBySomebodyElse => {
                    (RecordState::Succeeded { preimage, fee }, true)
                }
                Fate::PayAndLoseAnswer => (RecordState::Succeeded { preimage, fee }, false),
                Fate::PayWithWrongPreimage => {
                    (RecordState::Succeeded { preimage: wrong, fee }, true)
                }
                Fate::Fail(reason) => (RecordState::Failed(reason), true),
                Fate::FailAndLoseAnswer(reason) => (RecordState::Failed(reason), false),
                Fate::Hold => (RecordState::InFlight, true),
                Fate::LoseRequest | Fate::Delay | Fate::Refuse => unreachable!("handled above"),
            };
            let record = Record {
                payment_hash: order.payment_hash,
                amount: order.amount,
                created: now,
                state,
            };
            book.keep(record.clone(), &order.invoice);
            match state {
                RecordState::Succeeded { .. } => book.settled.push(order.payment_hash),
                RecordState::InFlight => {
                    book.held.insert(order.payment_hash, (preimage, None));
                }
                RecordState::Failed(_) | RecordState::ResultLost => {}
            }
            if fate == Fate::PaidBySomebodyElse {
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
