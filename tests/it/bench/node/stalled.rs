//! A node whose database takes no writes: what it is asked to pay waits inside.

use tokio::sync::mpsc;
use withdrawd::{
    domain::{
        FailureReason, Msat,
        payment::{Record, RecordState},
    },
    ports::{SendOrder, SendUpdate, WitnessOrder},
};

use super::{Ledger, ModelNode};

/// What it was asked for.
pub(super) enum Order {
    Payment(SendOrder),
    Witness(WitnessOrder),
}

pub(super) struct Waiting {
    order: Order,
    tell: mpsc::UnboundedSender<SendUpdate>,
}

impl Ledger {
    /// Keeps a request until the database takes writes. False if it takes them.
    pub(super) fn wait(&mut self, order: Order, tell: &mpsc::UnboundedSender<SendUpdate>) -> bool {
        if self.stalled {
            self.waiting.push(Waiting { order, tell: tell.clone() });
        }
        self.stalled
    }
}

impl ModelNode {
    /// From here on its database takes no writes, while it answers everything else: what it is asked to
    /// pay waits inside, with its deadline checked.
    pub fn stall(&self) {
        self.ledger(|ledger| ledger.stalled = true);
    }

    /// The database takes writes again: what waited is stored, in order.
    pub fn unstall(&self) {
        let waiting = self.ledger(|ledger| {
            ledger.stalled = false;
            std::mem::take(&mut ledger.waiting)
        });
        for Waiting { order, tell } in waiting {
            let updates = match &order {
                Order::Payment(order) => self.store(order),
                Order::Witness(order) => self.store_witness(order),
            };
            for update in updates {
                // Its listener may be gone.
                let _ = tell.send(update);
            }
        }
    }

    /// How many requests wait for the database.
    pub fn waiting(&self) -> usize {
        self.ledger(|ledger| ledger.waiting.len())
    }

    /// How many requests for a witness wait for the database, with somebody who listens.
    pub fn hanging_witnesses(&self) -> usize {
        let hangs = |waiting: &&Waiting| {
            matches!(waiting.order, Order::Witness(_)) && !waiting.tell.is_closed()
        };
        self.ledger(|ledger| ledger.waiting.iter().filter(hangs).count())
    }

    /// How often it was asked for a write witness.
    pub fn witnesses(&self) -> usize {
        self.ledger(|ledger| ledger.witnesses)
    }

    pub(super) fn store_witness(&self, order: &WitnessOrder) -> Vec<SendUpdate> {
        let record = Record {
            payment_hash: order.keys.payment_hash,
            amount: Msat::new(1000).unwrap(),
            created: self.clock.now(),
            state: RecordState::Failed(FailureReason::NoRoute),
        };
        self.ledger(|ledger| ledger.keep(record.clone(), ""));
        vec![SendUpdate::Record(record)]
    }
}
