//! Write witnesses that are made for their own sake.
//!
//! A send that was never answered is over only when the node has shown since that it stores payments.
//! Usually another payment shows it. Where none does, a payment is asked for that cannot succeed: to a
//! random key, with a random hash, of which the node stores that it failed. There is never more than one
//! at a time in all replicas, by a turn in the database that is renewed while it is listened to, and the
//! turns grow apart while they bring nothing.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures_util::StreamExt;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Began, LookupError, LookupOptions, PaymentLookup};
use crate::{
    domain::{Millis, NodeId, Payment, PaymentHash, Timestamp, payment::Pending},
    ports::{
        LightningNode, NewWitness, SendStream, SendUpdate, Store, StoreError, WitnessKeys,
        WitnessOrder,
    },
    report::chain,
    runtime::Runtime,
};

/// The longest time between two of them, as a multiple of what one takes to be over.
const SLOWEST: u32 = 3;

/// So often the turn of one is renewed that is not answered.
const RENEWALS: u32 = 30;

/// So many that hang are listened to beside each other. The first ones: what a disk holds up ends together.
const HANGING: usize = 8;

/// Makes write witnesses.
pub struct WriteWitness {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    lookup: Arc<PaymentLookup>,
    options: LookupOptions,
    listening: TaskTracker,
    stop: CancellationToken,
    /// One of this process is under way.
    is_under_way: AtomicBool,
    /// How many in a row brought nothing.
    in_vain: AtomicU32,
    /// Places of those that hang.
    hanging: Semaphore,
}

/// A request for a witness that is under way.
#[derive(Clone)]
struct Asked {
    node: NodeId,
    begun_at: Timestamp,
    /// The last send before it.
    after: i64,
    /// The turn ends then.
    turn: Timestamp,
}

/// That one is under way: no other is made until it is dropped.
struct UnderWay(Arc<WriteWitness>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.is_under_way.store(false, Ordering::SeqCst);
    }
}

/// What became of one.
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
        let (hanging, stop) = (Semaphore::new(HANGING), CancellationToken::new());
        let listening = TaskTracker::new();
        // A closed tracker takes tasks all the same; it can be waited for.
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

    /// Stops to listen to the node.
    pub fn halt(&self) {
        self.stop.cancel();
    }

    /// Waits until nothing is listened to, which after [`Self::halt`] is soon.
    pub async fn ended(&self) {
        self.listening.wait().await;
    }

    /// Makes one, unless one is under way or was made just before, for `payment` if for any. Returns when
    /// it is answered, or overdue; it is listened to all the same.
    pub async fn make(self: &Arc<Self>, payment: Option<&Payment>) {
        if self.is_under_way.swap(true, Ordering::SeqCst) {
            return;
        }
        let under_way = UnderWay(Arc::clone(self));
        match self.begin().await {
            Ok(Some((asked, stream))) => {
                let payment = payment.map(|payment| payment.id.to_string());
                tracing::info!(node = %asked.node, payment,
                    "asks the node for a payment that cannot succeed, to see whether it stores payments");
                self.listen(asked, stream, under_way).await;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %chain(&error), "could not ask for a write witness");
            }
        }
    }

    /// Makes one because no send was answered of late, beside whatever goes on.
    pub fn make_beside(self: &Arc<Self>) {
        let witness = Arc::clone(self);
        let work = async move { witness.make(None).await };
        self.runtime.spawner.spawn(Box::pin(self.listening.track_future(work)));
    }

    /// What is known of a payment before the node is asked about it; with a witness that was made for it,
    /// where one is missing.
    pub async fn begin_look(self: &Arc<Self>, payment: &Payment) -> Result<Began, StoreError> {
        let began = self.lookup.begin(payment).await?;
        if began.pending != Pending::Unwitnessed {
            return Ok(began);
        }
        self.make(Some(payment)).await;
        self.lookup.begin(payment).await
    }

    async fn begin(&self) -> Result<Option<(Asked, SendStream)>, LookupError> {
        let clocks = self.lookup.clocks().await?;
        if !clocks.settled {
            return Ok(None);
        }
        let node = self.lookup.paying_node().await?;
        // Long enough to be renewed in time.
        let pause = self.pause().max(self.turn());
        let (begun_at, next_at) = (clocks.earlier, clocks.earlier.plus(pause));
        let turn = NewWitness { node: node.clone(), begun_at, next_at };
        let Some(after) = self.store.begin_witness(&turn).await? else {
            return Ok(None);
        };
        let (mut payee, mut hash) = ([0; 32], [0; 32]);
        self.runtime.entropy.fill(&mut payee);
        self.runtime.entropy.fill(&mut hash);
        let keys = WitnessKeys { payee, payment_hash: PaymentHash::from_bytes(hash) };
        let send_deadline = clocks.now.plus(self.options.send_life);
        let order = WitnessOrder { node: node.clone(), keys, send_deadline };
        let stream = self.node.witness(order).await;
        Ok(Some((Asked { node, begun_at, after, turn: next_at }, stream)))
    }

    /// The time until the next one: as long as one takes to be answered at first, and longer while they
    /// bring nothing.
    fn pause(&self) -> Millis {
        let overdue = self.options.answer_overdue.as_ms();
        let doubled = overdue << self.in_vain.load(Ordering::SeqCst).min(8);
        let limits = &self.options.limits;
        let over = self.options.send_life.plus(limits.clock_skew).plus(limits.node_slack).as_ms();
        Millis::from_ms(doubled.min(over.saturating_mul(SLOWEST.into())))
    }

    async fn listen(self: &Arc<Self>, asked: Asked, mut stream: SendStream, under_way: UnderWay) {
        let overdue = self.runtime.clock.sleep(self.options.answer_overdue);
        tokio::select! {
            biased;
            update = stream.next() => return self.heard(&asked, update.as_ref()).await,
            () = self.stop.cancelled() => return,
            () = overdue => {}
        }
        let witness = Arc::clone(self);
        let rest = async move { witness.listen_on(asked, stream, under_way).await };
        self.runtime.spawner.spawn(Box::pin(self.listening.track_future(rest)));
    }

    /// While it is waited for nobody makes another one: the turn is renewed. One that was waited for long
    /// enough is still listened to, and keeps nobody from trying anew: its call may hang by itself.
    async fn listen_on(&self, mut asked: Asked, mut stream: SendStream, under_way: UnderWay) {
        let (mut under_way, mut place) = (Some(under_way), None);
        for waited in 0.. {
            if waited < RENEWALS {
                asked = self.renewed(asked).await;
            } else if place.is_none() {
                under_way = None;
                let Ok(free) = self.hanging.try_acquire() else { return };
                place = Some(free);
            }
            tokio::select! {
                biased;
                update = stream.next() => {
                    drop(under_way);
                    return self.heard(&asked, update.as_ref()).await;
                }
                () = self.stop.cancelled() => return,
                () = self.runtime.clock.sleep(self.options.answer_overdue) => {}
            }
        }
    }

    /// Twice as long as it takes to renew it.
    fn turn(&self) -> Millis {
        Millis::from_ms(self.options.answer_overdue.as_ms() * 2)
    }

    async fn renewed(&self, asked: Asked) -> Asked {
        let Ok(clocks) = self.lookup.clocks().await else { return asked };
        let next_at = clocks.earlier.plus(self.turn());
        let node = asked.node.clone();
        let turn = NewWitness { node, begun_at: asked.begun_at, next_at };
        match self.store.renew_witness(&turn, asked.turn).await {
            Ok(true) => Asked { turn: next_at, ..asked },
            Ok(false) | Err(_) => asked,
        }
    }

    async fn heard(&self, asked: &Asked, update: Option<&SendUpdate>) {
        let outcome = match update {
            Some(SendUpdate::Record(_)) => Outcome::Stored,
            Some(
                SendUpdate::Refused(error) | SendUpdate::Unsent(error) | SendUpdate::Lost(error),
            ) => {
                tracing::warn!(%error, "the node did not store the payment that it was asked for");
                Outcome::InVain
            }
            // Known already, a random hash: it may have been read and not stored.
            Some(SendUpdate::AlreadyExists) | None => Outcome::InVain,
        };
        match outcome {
            Outcome::Stored => {
                self.in_vain.store(0, Ordering::SeqCst);
                let written = self.store.witnessed(&asked.node, asked.begun_at, asked.after).await;
                if let Err(error) = written {
                    tracing::warn!(error = %chain(&error), "could not write a write witness");
                }
            }
            Outcome::InVain => {
                self.in_vain.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}
