//! A model of a node that keeps the truth: what it was asked, and what it settled.
//!
//! It settles by the simulated rule unless told to fail, hold, lose or forget.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::stream;
use tokio::sync::mpsc;
use withdrawd::{
    domain::{
        FailureReason, Msat, Network, NodeId, PaymentHash, Preimage, invoice,
        payment::{Record, RecordState},
    },
    node::simulated::preimage_of,
    ports::{
        Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
        NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
    runtime::Clock,
};

mod stalled;

use crate::bench::node_calls::Asked;

use stalled::{Waiting, Wanted};

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
struct Book {
    records: HashMap<PaymentHash, Record>,
    fates: VecDeque<Fate>,
    sends: Vec<SendOrder>,
    delayed: Vec<SendOrder>,
    settled: Vec<PaymentHash>,
    held: HashMap<PaymentHash, (Preimage, Option<mpsc::UnboundedSender<SendUpdate>>)>,
    /// In flight by their records alone.
    without_htlc: HashSet<PaymentHash>,
    /// Its database takes no writes.
    stalled: bool,
    /// What waits for them, with the listeners.
    waiting: Vec<Waiting>,
    witnesses: usize,
    /// In the order in which the records were made, with their invoices.
    made: Vec<(PaymentHash, String)>,
}

impl Book {
    fn keep(&mut self, record: Record, invoice: &str) {
        self.made.push((record.payment_hash, invoice.to_owned()));
        self.records.insert(record.payment_hash, record);
    }

    /// Each payment once, where it was made last.
    fn list(&self) -> Vec<ListedPayment> {
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

pub struct ModelNode {
    id: Mutex<NodeId>,
    clock: Arc<dyn Clock>,
    book: Mutex<Book>,
    pub unreachable: AtomicBool,
    restarts_next: AtomicBool,
    connection: AtomicUsize,
    pub traits: Mutex<NodeTraits>,
    pub synced: AtomicBool,
    pub can_send: Mutex<Msat>,
    pub busiest_channel_htlcs: AtomicU32,
    pub active_channels: AtomicU32,
    /// Who asks, how many at a time.
    pub asked: Asked,
    /// Whether its credentials let it list its payments.
    pub lists_payments: AtomicBool,
    /// Whether its credentials keep its closing channels from us.
    pub hides_channels: AtomicBool,
    /// What its credentials do not permit, of all that paying needs.
    pub lacks: Mutex<Option<&'static str>>,
}

pub fn node_id(byte: u8) -> NodeId {
    NodeId::parse(&format!("02{}", hex::encode([byte; 32]))).unwrap()
}

impl ModelNode {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            id: Mutex::new(node_id(1)),
            clock,
            book: Mutex::default(),
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
            asked: Asked::default(),
            lists_payments: AtomicBool::new(true),
            hides_channels: AtomicBool::new(false),
            lacks: Mutex::default(),
        }
    }

    fn book<T>(&self, with: impl FnOnce(&mut Book) -> T) -> T {
        with(&mut self.book.lock().unwrap())
    }

    /// The next sends meet these fates; afterwards all are paid.
    pub fn next(&self, fates: impl IntoIterator<Item = Fate>) {
        self.book(|book| book.fates.extend(fates));
    }

    /// Fates that were not met yet are taken back.
    pub fn clear_fates(&self) {
        self.book(|book| book.fates.clear());
    }

    /// How often a payee received money.
    pub fn settled(&self) -> usize {
        self.book(|book| book.settled.len())
    }

    /// How often it was asked to pay.
    pub fn sends(&self) -> Vec<SendOrder> {
        self.book(|book| book.sends.clone())
    }

    /// Every held payment is settled (the payee released the preimage), or fails.
    pub fn release(&self, settle: bool) {
        let updates = self.book(|book| {
            let held: Vec<_> = book.held.drain().collect();
            held.into_iter()
                .map(|(hash, (preimage, listener))| {
                    let record = book.records.get_mut(&hash).unwrap();
                    record.state = if settle {
                        book.settled.push(hash);
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
        self.book(|book| {
            book.held.values_mut().for_each(|(_, listener)| *listener = None);
        });
    }

    /// Another node answers from now on, with an empty memory.
    pub fn become_other(&self, byte: u8) {
        *self.id.lock().unwrap() = node_id(byte);
        self.forget_all();
        self.restart();
    }

    pub fn forget_all(&self) {
        self.book(|book| book.records.clear());
    }

    pub fn forget(&self, hash: PaymentHash) {
        self.book(|book| book.records.remove(&hash));
    }

    /// It has this payment on its way.
    pub fn holds(&self, payment_hash: PaymentHash, amount: Msat) {
        let (created, state) = (self.clock.now(), RecordState::InFlight);
        let record = Record { payment_hash, amount, created, state };
        self.book(|book| book.records.insert(payment_hash, record));
    }

    /// It calls this payment in flight, and no channel has its HTLC (lnd #5152).
    pub fn loses_htlc(&self, hash: PaymentHash) {
        self.book(|book| book.without_htlc.insert(hash));
    }

    /// Somebody else pays from this node, at the clock's present.
    pub fn foreign_payment(&self, invoice: &str, state: RecordState) {
        let parsed = invoice::parse(invoice).unwrap();
        let amount = i64::try_from(parsed.msat.unwrap()).unwrap();
        let record = Record {
            payment_hash: invoice::payment_hash(&parsed),
            amount: Msat::new(amount).unwrap(),
            created: self.clock.now(),
            state,
        };
        self.book(|book| book.keep(record, invoice));
    }

    /// A request that was on its way arrives.
    pub fn deliver(&self, hash: PaymentHash) {
        let delayed = self.book(|book| {
            let at = book.delayed.iter().position(|order| order.payment_hash == hash).unwrap();
            book.delayed.remove(at)
        });
        self.receive(&delayed);
    }

    fn reach(&self) -> Result<(), NodeError> {
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

    fn receive(&self, order: &SendOrder) -> Vec<SendUpdate> {
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
    fn store(&self, order: &SendOrder) -> Vec<SendUpdate> {
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

fn told(update: SendUpdate) -> SendStream {
    Box::pin(stream::iter([update]))
}

/// What is heard, as long as it is told.
fn heard(hear: mpsc::UnboundedReceiver<SendUpdate>) -> SendStream {
    Box::pin(stream::unfold(hear, |mut hear| async move { Some((hear.recv().await?, hear)) }))
}

#[async_trait]
impl LightningNode for ModelNode {
    fn traits(&self) -> NodeTraits {
        *self.traits.lock().unwrap()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.reach()?;
        Ok(Introduction {
            id: self.identity(),
            alias: "model".into(),
            network: Network::Regtest,
            connection: self.connection(),
        })
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookUp, NodeError> {
        self.reach()?;
        let _asking = self.asked.about(hash).await;
        let record = self.book(|book| book.records.get(&hash).cloned());
        Ok(LookUp { record, node: self.identity(), connection: self.connection() })
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        Ok(NodeHealth {
            introduction: self.introduce().await?,
            synced: self.synced.load(Ordering::SeqCst),
            can_send: *self.can_send.lock().unwrap(),
            busiest_channel_htlcs: self.busiest_channel_htlcs.load(Ordering::SeqCst),
            active_channels: self.active_channels.load(Ordering::SeqCst),
        })
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.reach()?;
        self.lacks.lock().unwrap().map_or(Ok(()), |call| Err(NodeError::NotPermitted(call)))
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.reach()?;
        if self.hides_channels.load(Ordering::SeqCst) {
            return Err(NodeError::NotPermitted("PendingChannels"));
        }
        Ok(self.book(|book| {
            let known = book.records.get(&hash);
            let is_out = known.is_some_and(|known| known.state == RecordState::InFlight);
            is_out && !book.without_htlc.contains(&hash)
        }))
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.reach()?;
        if !self.lists_payments.load(Ordering::SeqCst) {
            return Err(NodeError::NotPermitted("ListPayments"));
        }
        let asked_for = query.created_from..=query.created_to;
        let mut payments = self.book(|book| book.list());
        payments.retain(|listed| {
            listed.index > query.after_index && asked_for.contains(&listed.record.created)
        });
        payments.truncate(query.limit.max(1) as usize);
        Ok(PaymentsPage { payments, node: self.identity(), connection: self.connection() })
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        if let Err(error) = self.reach() {
            return told(SendUpdate::Unsent(error));
        }
        if order.node != self.identity() {
            let (found, expected) = (self.identity(), order.node);
            return told(SendUpdate::Unsent(NodeError::OtherNode { found, expected }));
        }
        if self.restarts_next.swap(false, Ordering::SeqCst) {
            self.restart();
        }
        if order.connection != self.connection() {
            return told(SendUpdate::Unsent(NodeError::OtherConnection));
        }
        let asking = self.asked.to_pay();
        let (tell, hear) = mpsc::unbounded_channel();
        let waits = self.clock.now() <= order.send_deadline
            && self.book(|book| book.wait(Wanted::Payment(order.clone()), &tell));
        if !waits {
            for update in self.receive(&order) {
                let _ = tell.send(update);
            }
            self.book(|book| {
                if let Some((_, listener)) = book.held.get_mut(&order.payment_hash) {
                    listener.get_or_insert(tell);
                }
            });
        }
        Box::pin(stream::unfold((hear, asking), |(mut hear, asking)| async move {
            Some((hear.recv().await?, (hear, asking)))
        }))
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        if let Err(error) = self.reach() {
            return told(SendUpdate::Unsent(error));
        }
        if order.node != self.identity() {
            let (found, expected) = (self.identity(), order.node);
            return told(SendUpdate::Unsent(NodeError::OtherNode { found, expected }));
        }
        let (tell, hear) = mpsc::unbounded_channel();
        let waits = self.book(|book| {
            book.witnesses += 1;
            book.wait(Wanted::Witness(order.clone()), &tell)
        });
        if !waits {
            for update in self.store_witness(&order) {
                let _ = tell.send(update);
            }
        }
        heard(hear)
    }
}
