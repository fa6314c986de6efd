//! A model of a node that keeps the truth: what it was asked, and what it settled.
//!
//! It settles by the simulated rule unless a test plans that it fails, holds, loses or forgets. The
//! simulation has a node of its own (`tests/sim/node.rs`): there every arrival, answer and end is a step
//! that the scheduler chooses, while this one decides a send at once and answers tasks of a real runtime.

mod calls;
mod ledger;
mod port;
mod stalled;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
};

use withdrawd::{
    domain::{
        FailureReason, Msat, NodeId, PaymentHash, Preimage, invoice,
        payment::{Record, RecordState},
    },
    ports::{Connection, NodeError, NodeTraits, SendOrder, SendUpdate},
    runtime::Clock,
};

use ledger::Ledger;

pub use calls::CallLog;
pub use ledger::OnSend;

pub struct ModelNode {
    id: Mutex<NodeId>,
    clock: Arc<dyn Clock>,
    ledger: Mutex<Ledger>,
    pub unreachable: AtomicBool,
    restarts_next: AtomicBool,
    connection: AtomicUsize,
    pub traits: Mutex<NodeTraits>,
    pub synced: AtomicBool,
    pub can_send: Mutex<Msat>,
    pub busiest_channel_htlcs: AtomicU32,
    pub active_channels: AtomicU32,
    /// Who asks, how many at a time.
    pub calls: CallLog,
    /// Whether its credentials let it list its payments.
    pub lists_payments: AtomicBool,
    /// Whether its credentials keep its closing channels from us.
    pub hides_channels: AtomicBool,
    /// What its credentials do not permit, of all that paying needs.
    pub missing_permission: Mutex<Option<&'static str>>,
}

pub fn node_id(byte: u8) -> NodeId {
    NodeId::parse(&format!("02{}", hex::encode([byte; 32]))).unwrap()
}

impl ModelNode {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            id: Mutex::new(node_id(1)),
            clock,
            ledger: Mutex::default(),
            unreachable: AtomicBool::new(false),
            restarts_next: AtomicBool::new(false),
            connection: AtomicUsize::new(0),
            traits: Mutex::new(NodeTraits {
                backend: "model",
                simulated: true,
                refuses_late_sends: true,
                refuses_expired_invoices: true,
                dedupes_by_hash: true,
            }),
            synced: AtomicBool::new(true),
            can_send: Mutex::new(Msat::MAX),
            busiest_channel_htlcs: AtomicU32::new(0),
            active_channels: AtomicU32::new(1),
            calls: CallLog::default(),
            lists_payments: AtomicBool::new(true),
            hides_channels: AtomicBool::new(false),
            missing_permission: Mutex::default(),
        }
    }

    fn ledger<T>(&self, with: impl FnOnce(&mut Ledger) -> T) -> T {
        with(&mut self.ledger.lock().unwrap())
    }

    /// What happens to the next sends; afterwards all are paid.
    pub fn on_next_sends(&self, on_sends: impl IntoIterator<Item = OnSend>) {
        self.ledger(|ledger| ledger.on_sends.extend(on_sends));
    }

    /// Plans for sends that were not made yet are dropped.
    pub fn clear_on_next_sends(&self) {
        self.ledger(|ledger| ledger.on_sends.clear());
    }

    /// How often a payee received money.
    pub fn settled(&self) -> usize {
        self.ledger(|ledger| ledger.settled.len())
    }

    /// How often it was asked to pay.
    pub fn sends(&self) -> Vec<SendOrder> {
        self.ledger(|ledger| ledger.sends.clone())
    }

    /// Every held payment is settled (the payee released the preimage), or fails.
    pub fn release(&self, settle: bool) {
        let updates = self.ledger(|ledger| {
            let held: Vec<_> = ledger.held.drain().collect();
            held.into_iter()
                .map(|(hash, (preimage, listener))| {
                    let record = ledger.records.get_mut(&hash).unwrap();
                    record.state = if settle {
                        ledger.settled.push(hash);
                        RecordState::Succeeded { preimage, fee: Msat::new(1).unwrap() }
                    } else {
                        RecordState::Failed(FailureReason::IncorrectPaymentDetails)
                    };
                    (listener, SendUpdate::Record(record.clone()))
                })
                .collect::<Vec<_>>()
        });
        for (listener, update) in updates {
            if let Some(listener) = listener {
                let _ = listener.send(update);
            }
        }
    }

    /// It restarts when it is asked to pay.
    pub fn restart_before_next_send(&self) {
        self.restarts_next.store(true, Ordering::SeqCst);
    }

    /// A new connection, as after a restart.
    pub fn restart(&self) {
        self.connection.fetch_add(1, Ordering::SeqCst);
        self.ledger(|ledger| {
            ledger.held.values_mut().for_each(|(_, listener)| *listener = None);
        });
    }

    /// Another node answers from now on, with an empty memory.
    pub fn replace_with(&self, byte: u8) {
        *self.id.lock().unwrap() = node_id(byte);
        self.forget_all();
        self.restart();
    }

    pub fn forget_all(&self) {
        self.ledger(|ledger| ledger.records.clear());
    }

    pub fn forget(&self, hash: PaymentHash) {
        self.ledger(|ledger| ledger.records.remove(&hash));
    }

    /// It has this payment on its way.
    pub fn add_in_flight(&self, payment_hash: PaymentHash, amount: Msat) {
        let (created, state) = (self.clock.now(), RecordState::InFlight);
        let record = Record { payment_hash, amount, created, state };
        self.ledger(|ledger| ledger.records.insert(payment_hash, record));
    }

    /// It calls this payment in flight, and no channel has its HTLC (issue 5152 of lnd).
    pub fn drop_htlc(&self, hash: PaymentHash) {
        self.ledger(|ledger| ledger.without_htlc.insert(hash));
    }

    /// Somebody else pays from this node, at the clock's present.
    pub fn add_foreign_payment(&self, invoice: &str, state: RecordState) {
        let parsed = invoice::parse(invoice).unwrap();
        let amount = i64::try_from(parsed.msat.unwrap()).unwrap();
        let record = Record {
            payment_hash: invoice::payment_hash(&parsed),
            amount: Msat::new(amount).unwrap(),
            created: self.clock.now(),
            state,
        };
        self.ledger(|ledger| ledger.keep(record, invoice));
    }

    /// Somebody else makes this many payments from this node; all are listed with this invoice.
    pub fn add_foreign_payments(&self, number: u32, invoice: &str, state: RecordState) {
        let (created, amount) = (self.clock.now(), Msat::new(10_000).unwrap());
        for n in 0..number {
            let mut seed = [1; 32];
            seed[..4].copy_from_slice(&n.to_be_bytes());
            let payment_hash = Preimage::from_bytes(seed).hash();
            let record = Record { payment_hash, amount, created, state };
            self.ledger(|ledger| ledger.keep(record, invoice));
        }
    }

    /// A request that was on its way arrives.
    pub fn deliver(&self, hash: PaymentHash) {
        let delayed = self.ledger(|ledger| {
            let at = ledger.delayed.iter().position(|order| order.payment_hash == hash).unwrap();
            ledger.delayed.remove(at)
        });
        self.receive(&delayed);
    }

    fn check_reachable(&self) -> Result<(), NodeError> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(NodeError::Unreachable("unplugged".into()));
        }
        Ok(())
    }

    fn connection(&self) -> Connection {
        Connection(self.connection.load(Ordering::SeqCst) as u64)
    }

    fn identity(&self) -> NodeId {
        self.id.lock().unwrap().clone()
    }
}
