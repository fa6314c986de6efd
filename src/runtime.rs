//! Time, randomness and tasks: injected everywhere, taken from the system only here.
//!
//! clippy's `disallowed-methods` keeps the rest of the crate from reaching for them. Connections are
//! the exception: what TLS, HTTP/2 and the database drivers do by themselves runs on tokio's clock
//! and tasks (`node/lnd`, `store/postgres`), and decides nothing.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::domain::{Millis, Timestamp};

/// A future that nobody waits for.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time and waits for it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time that has passed since some instant, whatever happens to the wall clock.
    fn monotonic(&self) -> Millis;

    /// Waits.
    async fn sleep(&self, span: Millis);
}

/// Makes random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// Starts tasks.
pub trait Spawner: Send + Sync {
    /// Runs `task` to its end, whatever becomes of whoever started it.
    fn spawn(&self, task: Task);
}

/// All three, as the service is handed them.
#[derive(Clone)]
pub struct Runtime {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks.
    pub spawner: Arc<dyn Spawner>,
}

impl Runtime {
    /// The system's.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        }
    }

    /// Ten random bytes: what an id needs.
    pub fn id_bits(&self) -> [u8; 10] {
        let mut bits = [0; 10];
        self.entropy.fill(&mut bits);
        bits
    }

    /// A random number below 1,000, for spreading work.
    pub fn jitter(&self) -> u16 {
        let mut bits = [0; 2];
        self.entropy.fill(&mut bits);
        u16::from_be_bytes(bits) % 1000
    }

    /// Runs `work` to its end even if the caller goes away, and hands back what it made: tonic and
    /// hyper drop a handler's future when the client disconnects, and money must not be halfway.
    ///
    /// None if the task was lost: it panicked, or the process is going away.
    pub fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Detached<T> {
        let (done, result) = oneshot::channel();
        let work = async move {
            // Nobody listens any more: the work is done all the same.
            let _ = done.send(work.await);
        };
        // It is part of what the caller asked for, and its span ends with it.
        self.spawner.spawn(Box::pin(work.instrument(Span::current())));
        Detached(result)
    }

    /// Waits for `work` as long as `span`; none if it takes longer.
    pub async fn within<T>(&self, span: Millis, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep(span) => None,
        }
    }
}

/// Work that goes on by itself: what it makes, or none if the task was lost.
#[derive(Debug)]
pub struct Detached<T>(oneshot::Receiver<T>);

impl<T> Future for Detached<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let result = ready!(Pin::new(&mut self.0).poll(cx)).ok();
        if result.is_none() {
            tracing::error!("work was lost: it panicked, or the process is stopping");
        }
        Poll::Ready(result)
    }
}

/// The system's clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time begins now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Millis {
        Millis::from_ms(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place where time is waited for")]
    async fn sleep(&self, span: Millis) {
        tokio::time::sleep(span.as_duration()).await;
    }
}

/// The system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without randomness no secret can be made")]
        getrandom::fill(bytes).expect("the system has randomness");
    }
}

/// Tasks on tokio.
#[derive(Clone, Copy, Debug)]
pub struct TokioSpawner;

impl Spawner for TokioSpawner {
    #[expect(clippy::disallowed_methods, reason = "the one place where tasks are started")]
    fn spawn(&self, task: Task) {
        tokio::spawn(task);
    }
}
