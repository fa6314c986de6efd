//! Makes write witnesses: test payments that cannot succeed, but show that the node stores payments.
//!
//! A send that was never answered is over only when the node is seen to store a later payment. Usually an
//! ordinary payment shows that. If none does, the node is asked to pay to a random public key and payment
//! hash: it finds no route, moves no money, and stores the failure. All replicas together await at most one
//! such request, under a lease in the database, which is renewed meanwhile. While requests prove nothing,
//! the intervals between them grow.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{LookupError, LookupOptions, LookupStart, PaymentLookup};
use crate::{
    domain::{Millis, NodeId, Payment, PaymentHash, Timestamp, payment::Pending},
    ports::{
        LightningNode, NewWitness, SendStream, SendUpdate, Store, StoreError, WitnessKeys,
        WitnessOrder,
    },
    report::chain,
    runtime::Runtime,
};

/// The longest interval between two requests, as a multiple of the time after which a send is over.
const SLOWEST: u32 = 3;

/// How many times the lease of an unanswered request is renewed.
const MAX_RENEWALS: u32 = 30;

/// How many requests without a lease are still listened to. The first ones suffice: those that wait for the
/// same stalled disk are answered together.
const MAX_HANGING: usize = 8;

/// Makes write witnesses.
pub struct WriteWitness {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    lookup: Arc<PaymentLookup>,
    options: LookupOptions,
    listening: TaskTracker,
    stop: CancellationToken,
    /// Whether a request of this process is under way.
    is_under_way: AtomicBool,
    /// How many requests in a row proved nothing.
    in_vain: AtomicU32,
    /// Permits to listen to requests that are overdue and have lost their lease.
    hanging: Semaphore,
}

/// A request for a witness that is under way.
#[derive(Clone)]
struct Request {
    node: NodeId,
    begun_at: Timestamp,
    /// The last send before it, by its sequence.
    after: i64,
    /// When its lease ends.
    lease_ends_at: Timestamp,
}

/// While this exists, this process makes no other request.
struct UnderWay(Arc<WriteWitness>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.is_under_way.store(false, Ordering::SeqCst);
    }
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    InVain,
}

impl WriteWitness {
    pub(super) fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        runtime: Runtime,
        lookup: Arc<PaymentLookup>,
        options: LookupOptions,
    ) -> Self {
        let (is_under_way, in_vain) = (AtomicBool::new(false), AtomicU32::new(0));
        let (hanging, stop) = (Semaphore::new(MAX_HANGING), CancellationToken::new());
        let listening = TaskTracker::new();
        // A closed tracker still accepts tasks, and only a closed one can be waited for.
        listening.close();
        Self {
            store,
            node,
            runtime,
            lookup,
            options,
            listening,
            stop,
            is_under_way,
            in_vain,
            hanging,
        }
    }

    /// Stops listening to the node.
    pub fn halt(&self) {
        self.stop.cancel();
    }

    /// Waits until nothing is listened to: soon after [`Self::halt`].
    pub async fn ended(&self) {
        self.listening.wait().await;
    }

    /// Requests a witness, unless a request is under way or was made just before. `payment` is the one that
    /// needs it, if any. Returns when the request is answered or overdue; an overdue one is still listened
    /// to.
    pub async fn make(self: &Arc<Self>, payment: Option<&Payment>) {
        if self.is_under_way.swap(true, Ordering::SeqCst) {
            return;
        }
        let under_way = UnderWay(Arc::clone(self));
        match self.begin().await {
            Ok(Some((asked, stream))) => {
                let payment = payment.map(|payment| payment.id.to_string());
                tracing::info!(node = %asked.node, payment,
                    "requesting a test payment that cannot succeed, to see whether the node stores payments");
                self.listen(asked, stream, under_way).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %chain(&error),
                    "could not send a write witness (a payment that cannot succeed)");
            }
        }
    }

    /// Requests a witness in the background, because the node has answered no recent send.
    pub fn make_in_background(self: &Arc<Self>) {
        let witness = Arc::clone(self);
        let work = async move { witness.make(None).await };
        self.runtime.spawner.spawn(Box::pin(self.listening.track_future(work)));
    }

    /// Reads what must be known of a payment before the node is asked about it. If only a witness is
    /// missing, requests one first.
    pub async fn begin_lookup(
        self: &Arc<Self>,
        payment: &Payment,
    ) -> Result<LookupStart, StoreError> {
        let began = self.lookup.begin(payment).await?;
        if began.pending != Pending::Unwitnessed {
            return Ok(began);
        }
        self.make(Some(payment)).await;
        self.lookup.begin(payment).await
    }

    async fn begin(&self) -> Result<Option<(Request, SendStream)>, LookupError> {
        let clocks = self.lookup.clocks().await?;
        if !clocks.settled {
            return Ok(None);
        }
        let node = self.lookup.paying_node().await?;
        // At least as long as a lease, so that the first renewal comes in time.
        let pause = self.pause().max(self.lease_length());
        let (begun_at, next_at) = (clocks.earlier, clocks.earlier.plus(pause));
        let lease = NewWitness { node: node.clone(), begun_at, next_at };
        let Some(after) = self.store.begin_witness(&lease).await? else {
            return Ok(None);
        };
        let (mut payee, mut hash) = ([0; 32], [0; 32]);
        self.runtime.entropy.fill(&mut payee);
        self.runtime.entropy.fill(&mut hash);
        let keys = WitnessKeys { payee, payment_hash: PaymentHash::from_bytes(hash) };
        let send_deadline = clocks.now.plus(self.options.send_life);
        let order = WitnessOrder { node: node.clone(), keys, send_deadline };
        let stream = self.node.witness(order).await;
        Ok(Some((Request { node, begun_at, after, lease_ends_at: next_at }, stream)))
    }

    /// The interval until the next request: at first as long as an answer may take, and doubled by each
    /// request that proves nothing.
    fn pause(&self) -> Millis {
        let overdue = self.options.answer_overdue.as_ms();
        let doubled = overdue << self.in_vain.load(Ordering::SeqCst).min(8);
        let limits = &self.options.limits;
        let over = self.options.send_life.plus(limits.clock_skew).plus(limits.node_slack).as_ms();
        Millis::from_ms(doubled.min(over.saturating_mul(SLOWEST.into())))
    }

    async fn listen(self: &Arc<Self>, asked: Request, mut stream: SendStream, under_way: UnderWay) {
        let overdue = self.runtime.clock.sleep(self.options.answer_overdue);
        tokio::select! {
            biased;
            update = stream.next() => return self.conclude(&asked, update.as_ref()).await,
            () = self.stop.cancelled() => return,
            () = overdue => {}
        }
        let witness = Arc::clone(self);
        let rest = async move { witness.listen_on(asked, stream, under_way).await };
        self.runtime.spawner.spawn(Box::pin(self.listening.track_future(rest)));
    }

    /// Renews the lease while the answer is awaited, so that no replica makes another request. After
    /// [`MAX_RENEWALS`] the lease ends, since this one call may hang for a reason of its own: other requests
    /// may be made, and this one is only listened to.
    async fn listen_on(&self, mut asked: Request, mut stream: SendStream, under_way: UnderWay) {
        let (mut under_way, mut permit) = (Some(under_way), None);
        for waited in 0.. {
            if waited < MAX_RENEWALS {
                asked = self.renewed(asked).await;
            } else if permit.is_none() {
                under_way = None;
                let Ok(free) = self.hanging.try_acquire() else { return };
                permit = Some(free);
            }
            tokio::select! {
                biased;
                update = stream.next() => {
                    drop(under_way);
                    return self.conclude(&asked, update.as_ref()).await;
                }
                () = self.stop.cancelled() => return,
                () = self.runtime.clock.sleep(self.options.answer_overdue) => {}
            }
        }
    }

    /// How long a lease lasts: twice the interval of its renewals.
    fn lease_length(&self) -> Millis {
        Millis::from_ms(self.options.answer_overdue.as_ms() * 2)
    }

    async fn renewed(&self, asked: Request) -> Request {
        let Ok(clocks) = self.lookup.clocks().await else { return asked };
        let next_at = clocks.earlier.plus(self.lease_length());
        let node = asked.node.clone();
        let lease = NewWitness { node, begun_at: asked.begun_at, next_at };
        match self.store.renew_witness(&lease, asked.lease_ends_at).await {
            Ok(true) => Request { lease_ends_at: next_at, ..asked },
            Ok(false) | Err(_) => asked,
        }
    }

    async fn conclude(&self, asked: &Request, update: Option<&SendUpdate>) {
        let outcome = match update {
            Some(SendUpdate::Record(_)) => Outcome::Stored,
            Some(
                SendUpdate::Refused(error) | SendUpdate::Unsent(error) | SendUpdate::Lost(error),
            ) => {
                tracing::warn!(%error,
                    "the node is not known to have stored the write witness (a payment that cannot succeed)");
                Outcome::InVain
            }
            // ALREADY_EXISTS for a random hash: the node may have read it and stored nothing.
            Some(SendUpdate::AlreadyExists) | None => Outcome::InVain,
        };
        match outcome {
            Outcome::Stored => {
                self.in_vain.store(0, Ordering::SeqCst);
                let written = self.store.witnessed(&asked.node, asked.begun_at, asked.after).await;
                if let Err(error) = written {
                    tracing::warn!(error = %chain(&error),
                        "could not record a write witness (a payment that cannot succeed)");
                }
            }
            Outcome::InVain => {
                self.in_vain.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
