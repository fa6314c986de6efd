//! Time, randomness and tasks: passed in everywhere, taken from the system only here.
//!
//! clippy's `disallowed-methods` forbids their direct use in the rest of the crate. Connections are the
//! exception: TLS, HTTP/2 and the database drivers use tokio's clock and tasks (`node/lnd`,
//! `store/postgres`), but decide nothing.

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

/// A clock: reads the time, and waits.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since some fixed instant. Jumps of the wall clock do not affect it.
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
    /// Runs `task` to its end, even if whoever started it is gone.
    fn spawn(&self, task: Task);
}

/// Clock, randomness and tasks together.
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
    /// The system's clock and randomness, and tokio's tasks.
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

    /// Runs `work` to its end even if the caller goes away, and returns its result: tonic and hyper drop a
    /// handler's future when the client disconnects, and a payment must not stop halfway.
    ///
    /// None if the task was lost: it panicked, or the process is stopping.
    pub fn detached<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Detached<T> {
        let (done, result) = oneshot::channel();
        let work = async move {
            // The caller may be gone; the work is done all the same.
            let _ = done.send(work.await);
        };
        // The work belongs to the caller's span, which ends with it.
        self.spawner.spawn(Box::pin(work.instrument(Span::current())));
        Detached(result)
    }

    /// Waits for `work` for at most `span`; none if it takes longer.
    pub async fn within<T>(&self, span: Millis, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep(span) => None,
        }
    }
}

/// Work that goes on if its caller goes away. Resolves to its result, or to none if the task was lost.
#[derive(Debug)]
pub struct Detached<T>(oneshot::Receiver<T>);

impl<T> Future for Detached<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let result = ready!(Pin::new(&mut self.0).poll(cx)).ok();
        if result.is_none() {
            tracing::error!("a task was lost: it panicked, or the process is stopping");
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
