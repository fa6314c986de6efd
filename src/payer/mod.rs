//! The payer: follows every open attempt to its end.
//!
//! It takes no input and acts on stored state alone, so that any run may be the first after a crash. Each
//! attempt is **looked up before anything is sent**; a send is committed before the node is called; a
//! node's silence changes nothing. A lease keeps two workers from doing the same work. Correctness does not
//! rest on it: each write names the version that was read.

mod listen;
mod look;
mod permits;
mod send;

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span};

use self::permits::Permits;
use crate::{
    domain::{Millis, Timestamp},
    lookup::{LookupError, LookupOptions, NodeAccess, PaymentLookup, WriteWitness},
    ports::{Lane, Leased, LightningNode, Recorder, Store, StoreError},
    report::chain,
    runtime::Runtime,
    trace,
};

/// How the payer works.
#[derive(Clone, Copy, Debug)]
pub struct PayerOptions {
    /// When a send is over, and how often a payment is looked up.
    pub lookup: LookupOptions,
    /// How long no other worker can lease the attempt. Longer than `lookup.pace.fresh_for`.
    pub lease: Millis,
    /// How many attempts this process sends concurrently, each until it is in flight or its answer is
    /// overdue.
    pub max_sending: usize,
    /// How many other attempts it looks up concurrently.
    pub max_following: usize,
}

/// Follows open attempts to their end.
pub struct Payer {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    options: PayerOptions,
    lookup: Arc<PaymentLookup>,
    recorder: Arc<dyn Recorder>,
    sending: Arc<Semaphore>,
    following: Arc<Semaphore>,
    witness: Arc<WriteWitness>,
    /// The attempts that are being worked on.
    work: TaskTracker,
    /// The streams that are still listened to.
    listening: TaskTracker,
    /// Stops listening to the node, which may go on for days.
    stop: CancellationToken,
}

impl Payer {
    /// The payer of this process, at its node.
    pub fn new(
        store: Arc<dyn Store>,
        access: NodeAccess,
        runtime: Runtime,
        options: PayerOptions,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        let (work, listening) = (TaskTracker::new(), TaskTracker::new());
        // A closed tracker still accepts tasks, and only a closed one can be waited for.
        work.close();
        listening.close();
        let NodeAccess { node, lookup, witness, .. } = access;
        Self {
            witness,
            work,
            listening,
            stop: CancellationToken::new(),
            store,
            node,
            runtime,
            lookup,
            recorder,
            sending: Arc::new(Semaphore::new(options.max_sending)),
            following: Arc::new(Semaphore::new(options.max_following)),
            options,
        }
    }

    /// One run: leases as many due attempts as there are free permits, and starts to work on them. Returns
    /// how many it leased.
    ///
    /// Leases nothing while this process cannot reach the node, so that the work is free for a process that
    /// can.
    pub async fn run_once(self: &Arc<Self>) -> Result<usize, LookupError> {
        let _run = self.work.token();
        self.lookup.paying_node().await?;
        let fresh = self.take(Lane::Fresh, &self.sending).await?;
        let follow = self.take(Lane::Follow, &self.following).await?;
        Ok(fresh + follow)
    }

    /// Stops listening to the node. Payments in flight are stored, and the next start follows them.
    pub fn halt(&self) {
        self.stop.cancel();
        self.witness.halt();
    }

    /// Waits until no attempt is being worked on. Streams that may still bring an answer do not count.
    pub async fn idle(&self) {
        self.work.wait().await;
    }

    /// Waits until no attempt is worked on and no stream is listened to: soon after [`Self::halt`].
    pub async fn ended(&self) {
        self.work.wait().await;
        self.listening.wait().await;
        self.witness.ended().await;
    }

    async fn take(
        self: &Arc<Self>,
        lane: Lane,
        semaphore: &Arc<Semaphore>,
    ) -> Result<usize, StoreError> {
        let limit = i64::try_from(semaphore.available_permits()).unwrap_or(i64::MAX);
        let now = self.runtime.clock.now();
        let leased = self.store.lease(lane, now, now.plus(self.options.lease), limit).await?;
        let taken = leased.len();
        for leased in leased {
            let (payer, semaphore) = (Arc::clone(self), Arc::clone(semaphore));
            let work = async move {
                // May have to wait: a repeated send takes a permit outside of this loop. The semaphore is
                // never closed.
                let permits = Permits::of(semaphore.acquire_owned().await.ok());
                let span = span(&leased, lane);
                let work = async {
                    trace::link_create(&leased.withdraw);
                    trace::link_claim(&leased.payment);
                    payer.process(leased, permits).await;
                };
                work.instrument(span).await;
            };
            self.runtime.spawner.spawn(Box::pin(self.work.track_future(work)));
        }
        Ok(taken)
    }

    /// Schedules the next lookup after one that changed nothing.
    async fn postpone(&self, leased: &Leased) {
        let now = self.runtime.clock.now();
        let due_at = self.lookup.next_lookup(&leased.payment, leased.lookups, now);
        self.set_due(leased, due_at).await;
    }

    /// Repeats a lookup that gave no usable answer. Unlike [`Self::postpone`], it does not use up one of the
    /// two lookups that a closed attempt gets.
    async fn ask_again(&self, leased: &Leased) {
        let now = self.runtime.clock.now();
        let due_at = if leased.payment.state.is_open() {
            self.lookup.next_lookup(&leased.payment, leased.lookups, now)
        } else {
            Some(now.plus(self.options.lookup.pace.slow))
        };
        self.set_due(leased, due_at).await;
    }

    async fn set_due(&self, leased: &Leased, due_at: Option<Timestamp>) {
        let payment = leased.payment.id;
        let lookups = leased.lookups.saturating_add(1);
        if let Err(error) = self.store.postpone(leased, due_at, lookups).await {
            // The lease will expire, and the attempt is due again.
            tracing::warn!(%payment, error = %chain(&error),
                "could not schedule the next lookup; the payment is looked up again when its lease \
                 expires");
        }
    }
}

/// The root span of what one worker does for one attempt. It belongs to no caller's trace, since it may run
/// long after the calls that created and claimed the request; it has links to both.
fn span(leased: &Leased, lane: Lane) -> Span {
    let payment = &leased.payment;
    let name = match lane {
        Lane::Fresh => "pay",
        Lane::Follow => "follow",
    };
    tracing::info_span!(
        parent: None,
        "payer",
        otel.name = name,
        otel.kind = "consumer",
        withdrawd.payment.id = %payment.id,
        withdrawd.withdraw.id = %payment.withdraw,
        withdrawd.payment.hash = %payment.payment_hash,
        withdrawd.payment.amount_msat = payment.amount.get(),
        withdrawd.payment.found = payment.state.name(),
        withdrawd.payment.state = payment.state.name(),
    )
}
