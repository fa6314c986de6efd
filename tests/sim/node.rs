//! The simulated node: what it was asked, what it does, and what it settled.
//!
//! It behaves as lnd does: one payment per hash; a second request while one is in flight or paid is
//! ALREADY_EXISTS; a failed one starts anew; a request after its deadline, or for an expired invoice,
//! is refused and nothing stored. A payee takes the money of an invoice once.
//!
//! It is not the model node of `tests/it/bench`: there a send is decided at once by what a test planned,
//! while here each arrival, answer and end is a step of its own, at either of two nodes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    task::Waker,
};

use withdrawd::{
    domain::{
        FailureReason, Millis, Msat, NodeId, PaymentHash, Preimage, Timestamp,
        payment::{Record, RecordState},
    },
    ports::SendOrder,
};

use super::{
    step::End,
    world::{BEGIN, Fault, Inner},
};

/// How long the node may take from checking a deadline to storing the payment, by the contract.
pub const NODE_SLACK_MS: i64 = 60_000;

/// What is known of an invoice.
#[derive(Clone, Debug)]
pub struct InvoiceFacts {
    pub text: String,
    pub hash: PaymentHash,
    pub preimage: Preimage,
    pub amount: Msat,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A request of ours, which listens here.
    Ours { stream: Option<usize> },
    /// Other software on the same node.
    Foreign,
}

#[derive(Clone, Debug)]
pub struct NodePayment {
    pub record: Record,
    pub owner: Owner,
}

/// A request to pay on its way.
#[derive(Clone, Debug)]
pub struct Request {
    pub order: SendOrder,
    pub invoice: usize,
    /// Which of the two nodes it goes to.
    pub to: usize,
    pub stream: Option<usize>,
    /// When the node checked its deadline, and the invoice's expiry: it stores the payment later.
    pub checked_ms: Option<i64>,
    /// It takes no effect any more.
    pub over: bool,
    /// It was doubled on its way.
    pub copy: bool,
}

/// What a stream carries.
#[derive(Clone, Debug)]
pub enum StreamItem {
    Record(Record),
    AlreadyExists,
    /// An error of the node's own.
    Refused(&'static str),
    /// The connection broke.
    Lost(&'static str),
    End,
}

/// The response stream of one request.
#[derive(Debug, Default)]
pub struct ResponseStream {
    /// Sent by the node, and still on its way.
    pub on_its_way: VecDeque<StreamItem>,
    /// Arrived; the listener has not taken it yet.
    pub arrived: VecDeque<StreamItem>,
    pub waker: Option<Waker>,
    /// Somebody listens, and the connection is up.
    pub open: bool,
}

/// Money that reached a payee.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    pub invoice: usize,
    pub foreign: bool,
}

/// A request for a write witness, at the first node or the second.
#[derive(Clone, Debug)]
pub struct WitnessRequest {
    pub record: Record,
    pub to: usize,
    pub stream: usize,
    pub over: bool,
}

pub struct Node {
    /// Its database takes no writes: what it has checked waits, in order.
    pub stalled: bool,
    pub witnesses: Vec<WitnessRequest>,
    pub invoices: Vec<InvoiceFacts>,
    pub reachable: bool,
    /// The store knows that the first one pays.
    pub is_known: bool,
    pub connection: u64,
    /// Which of the two nodes answers at the endpoint.
    pub endpoint: usize,
    pub records: [BTreeMap<usize, NodePayment>; 2],
    /// What the first node knew before it was wiped.
    pub wiped: Option<BTreeMap<usize, NodePayment>>,
    pub requests: Vec<Request>,
    pub streams: Vec<ResponseStream>,
    pub settled: Vec<Settled>,
    /// Invoices of which a payment has failed.
    pub failed: BTreeSet<usize>,
    pub offset_ms: i64,
}

/// The identity of one of the two nodes.
pub fn identity(node: usize) -> NodeId {
    NodeId::parse(&format!("02{}", hex::encode([u8::try_from(node).unwrap() + 1; 32]))).unwrap()
}

impl Node {
    pub fn new() -> Self {
        Self {
            stalled: false,
            witnesses: Vec::new(),
            invoices: Vec::new(),
            reachable: true,
            is_known: false,
            connection: 1,
            endpoint: 0,
            records: [BTreeMap::new(), BTreeMap::new()],
            wiped: None,
            requests: Vec::new(),
            streams: Vec::new(),
            settled: Vec::new(),
            failed: BTreeSet::new(),
            offset_ms: 0,
        }
    }

    pub fn invoice_of(&self, hash: PaymentHash) -> Option<usize> {
        self.invoices.iter().position(|facts| facts.hash == hash)
    }

    /// Whether some node is paying this invoice, or has paid it, at our request.
    pub fn is_pending_or_paid(&self, invoice: usize) -> bool {
        let known = self.records.iter().chain(&self.wiped).filter_map(|book| book.get(&invoice));
        known.into_iter().any(|entry| {
            let failed = matches!(entry.record.state, RecordState::Failed(_));
            entry.owner != Owner::Foreign && !failed
        })
    }

    /// How often a payee got money at our request.
    pub fn settled(&self, invoice: usize) -> usize {
        self.settled.iter().filter(|one| one.invoice == invoice && !one.foreign).count()
    }

    /// All connections end: listeners hear of it, and what was on its way is lost with them.
    pub fn disconnect(&mut self, error: bool) {
        self.connection += 1;
        for stream in 0..self.streams.len() {
            self.cut(stream, error);
        }
    }

    /// A stream breaks; what is still on its way is lost.
    pub fn cut(&mut self, stream: usize, error: bool) {
        let stream = &mut self.streams[stream];
        if stream.open {
            stream.on_its_way.clear();
            stream.arrived.push_back(if error {
                StreamItem::Lost("the stream broke")
            } else {
                StreamItem::End
            });
            stream.open = false;
            if let Some(waker) = stream.waker.take() {
                waker.wake();
            }
        }
    }

    pub fn answer(&mut self, stream: Option<usize>, item: StreamItem) {
        if let Some(stream) = stream.map(|stream| &mut self.streams[stream])
            && stream.open
        {
            stream.on_its_way.push_back(item);
        }
    }

    /// The next item of a stream reaches its listener.
    pub fn deliver(&mut self, stream: usize) -> bool {
        let stream = &mut self.streams[stream];
        let Some(item) = stream.on_its_way.pop_front() else { return false };
        stream.arrived.push_back(item);
        if let Some(waker) = stream.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Inner {
    pub fn node_now(&self) -> Timestamp {
        BEGIN.plus(Millis::from_ms(self.now_ms + self.node.offset_ms))
    }

    /// A request reaches its node: the deadline is checked now, by the node's own clock.
    pub fn arrive(&mut self, request: usize, slow: bool) {
        let asked = self.node.requests[request].clone();
        if self.node_now() > asked.order.send_deadline {
            self.refuse(request, "macaroon has expired");
        } else if self.node_now() > self.node.invoices[asked.invoice].expires_at {
            self.refuse(request, "invoice expired");
        } else if slow && (self.outside || !asked.copy) || self.node.stalled {
            self.node.requests[request].checked_ms = Some(self.now_ms);
        } else {
            self.store(request);
        }
    }

    /// The node answers with an error and stores nothing.
    pub fn refuse(&mut self, request: usize, why: &'static str) {
        let stream = self.node.requests[request].stream;
        self.node.requests[request].over = true;
        self.node.answer(stream, StreamItem::Refused(why));
    }

    /// The node looks into its records, and starts to pay.
    pub fn store(&mut self, request: usize) {
        let asked = self.node.requests[request].clone();
        self.node.requests[request].over = true;
        let known = |book: &BTreeMap<usize, NodePayment>| {
            let known = book.get(&asked.invoice);
            // What lnd calls failed can be started anew, whatever it has lost.
            let failed = |state| matches!(state, RecordState::Failed(_) | RecordState::ResultLost);
            known.is_some_and(|known| !failed(known.record.state))
        };
        if known(&self.node.records[asked.to]) {
            return self.node.answer(asked.stream, StreamItem::AlreadyExists);
        }
        let record = Record {
            payment_hash: asked.order.payment_hash,
            amount: asked.order.amount,
            created: self.node_now(),
            state: RecordState::InFlight,
        };
        let owner = Owner::Ours { stream: asked.stream };
        self.check_started(asked.invoice);
        self.node.answer(asked.stream, StreamItem::Record(record.clone()));
        self.node.records[asked.to].insert(asked.invoice, NodePayment { record, owner });
    }

    /// What was checked is stored before the node's time for it is over, unless it stores nothing.
    pub fn node_reaches_now(&mut self) {
        if self.node.stalled {
            return;
        }
        for request in 0..self.node.requests.len() {
            let asked = &self.node.requests[request];
            if let (Some(checked_ms), false) = (asked.checked_ms, asked.over)
                && self.now_ms >= checked_ms + NODE_SLACK_MS
            {
                let now_ms = std::mem::replace(&mut self.now_ms, checked_ms + NODE_SLACK_MS - 1);
                self.store(request);
                self.now_ms = now_ms;
            }
        }
    }

    /// The node's database takes no writes any more, or takes them again: what has waited for longer than
    /// the node's slack is stored first, then what was begun later.
    pub fn stall(&mut self, on: bool) {
        self.node.stalled = on;
        if on {
            self.faults.insert(Fault::Stalled);
            return;
        }
        for request in 0..self.node.requests.len() {
            let asked = &self.node.requests[request];
            if asked.checked_ms.is_some_and(|ms| self.now_ms >= ms + NODE_SLACK_MS) && !asked.over {
                self.store(request);
            }
        }
        for witness in 0..self.node.witnesses.len() {
            self.store_witness(witness);
        }
    }

    /// A payment that cannot succeed is stored, and fails.
    pub fn store_witness(&mut self, witness: usize) {
        let asked = &mut self.node.witnesses[witness];
        if !std::mem::replace(&mut asked.over, true) {
            let (stream, record) = (asked.stream, asked.record.clone());
            self.node.answer(Some(stream), StreamItem::Record(record));
        }
    }

    /// A payment ends at a node that is paying it. False if none is.
    pub fn finish(&mut self, invoice: usize, end: End) -> bool {
        let paid = self.node.settled.iter().any(|settled| settled.invoice == invoice);
        // A payee takes the money of an invoice once.
        let end = match end {
            End::Settled | End::SettledAndLost if paid => End::Refused,
            end => end,
        };
        let fee = Msat::new(1).unwrap();
        let preimage = self.node.invoices[invoice].preimage;
        let state = match end {
            End::Settled => RecordState::Succeeded { preimage, fee },
            End::NoRoute => RecordState::Failed(FailureReason::NoRoute),
            End::Refused => RecordState::Failed(FailureReason::IncorrectPaymentDetails),
            End::SettledAndLost | End::FailedAndLost => RecordState::ResultLost,
        };
        if state == RecordState::ResultLost {
            self.faults.insert(Fault::ResultLost);
        }
        let books = self.node.records.iter_mut().chain(&mut self.node.wiped);
        let pending = books
            .filter_map(|book| book.get_mut(&invoice))
            .find(|entry| entry.record.state == RecordState::InFlight);
        let Some(entry) = pending else { return false };
        entry.record.state = state;
        let (owner, record) = (entry.owner, entry.record.clone());
        if matches!(end, End::Settled | End::SettledAndLost) {
            let foreign = owner == Owner::Foreign;
            self.node.settled.push(Settled { invoice, foreign });
            self.check_settled(invoice);
        }
        // What the node calls failed it would start anew, whatever the payee has.
        if end != End::Settled {
            self.node.failed.insert(invoice);
        }
        if let Owner::Ours { stream } = owner {
            self.node.answer(stream, StreamItem::Record(record));
        }
        true
    }

    /// Other software pays it from the node at the endpoint. False if it cannot.
    pub fn pay_from_elsewhere(&mut self, invoice: usize) -> bool {
        let created = self.node_now();
        let endpoint = self.node.endpoint;
        let facts = &self.node.invoices[invoice];
        let record = Record {
            payment_hash: facts.hash,
            amount: facts.amount,
            created,
            state: RecordState::InFlight,
        };
        let book = &mut self.node.records[endpoint];
        let known = book.get(&invoice).map(|entry| entry.record.state);
        if known.is_some_and(|state| !matches!(state, RecordState::Failed(_))) {
            return false;
        }
        book.insert(invoice, NodePayment { record, owner: Owner::Foreign });
        true
    }
}
