//! Runs a connection, and every future that hyper spawns for it, in one task.
//!
//! Writes are released once no future in the task can make progress. By then hyper has handed over all
//! of a call's frames, and calls that begin together leave together.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::{Stream, stream::FuturesUnordered};
use hyper::rt::Executor;
use tokio::io::AsyncWrite;

use super::coalesce::CoalescedIo;

/// How often futures that wake each other are polled before writes are released all the same.
///
/// tokio lets a task take about 128 new requests per poll, and each needs a few rounds.
const MAX_ROUNDS: usize = 1_000;

type BoxedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands hyper's futures to the task of their connection.
///
/// hyper calls it only from within that task, so nothing has to be woken.
#[derive(Clone)]
pub(super) struct TaskExecutor(Sender<BoxedFuture>);

/// The futures that hyper has spawned.
pub(super) struct Spawned(Receiver<BoxedFuture>);

impl TaskExecutor {
    pub(super) fn new() -> (Self, Spawned) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), Spawned(receiver))
    }
}

impl<F> Executor<F> for TaskExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        // Fails once the connection's task has ended: there is nothing left to do then.
        let _ended = self.0.send(Box::pin(future));
    }
}

/// Drives the connection until all its futures are done or its writes fail.
pub(super) async fn drive<Io>(
    connection: impl Future<Output = ()> + Send + 'static,
    spawned: Spawned,
    io: CoalescedIo<Io>,
) where
    Io: AsyncWrite + Unpin,
{
    let mut futures: FuturesUnordered<BoxedFuture> = FuturesUnordered::new();
    futures.push(Box::pin(connection));
    std::future::poll_fn(move |cx| {
        let done = poll_until_idle(&mut futures, &spawned, cx);
        match io.poll_release(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => done,
        }
    })
    .await;
}

/// Polls until no future can make progress. Ready when none is left.
fn poll_until_idle(
    futures: &mut FuturesUnordered<BoxedFuture>,
    spawned: &Spawned,
    cx: &Context<'_>,
) -> Poll<()> {
    let flag = Arc::new(WakeFlag { task: cx.waker().clone(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&flag));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..MAX_ROUNDS {
        // Cleared before polling, so that no wake-up is lost.
        flag.woken.store(false, Ordering::SeqCst);
        futures.extend(spawned.0.try_iter());
        match Pin::new(&mut *futures).poll_next(&mut cx) {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => {
                let more: Vec<BoxedFuture> = spawned.0.try_iter().collect();
                if more.is_empty() && !flag.woken.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
                futures.extend(more);
            }
        }
    }
    // Not idle yet: yields to other tasks, then continues.
    waker.wake_by_ref();
    Poll::Pending
}

/// Records that a future was woken, and wakes the task.
struct WakeFlag {
    task: Waker,
    woken: AtomicBool,
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}
