//! One task for all of a connection, which writes only when nothing in it has more to say.
//!
//! lnd checks a macaroon's deadline when a call's headers arrive, and waits for the message. Were
//! this process paused, or the way to lnd cut, between the two, lnd would take the message long after
//! the deadline, and pay. hyper writes them apart, so its writes are gathered here, and leave in whole
//! calls: all frames of a call in one write, every write in one TLS record, which arrives whole or not
//! at all. What is not whole yet stays, also when the connection closes.
//!
//! The exception is a call that is longer than a record (16 KiB). No send is: its invoice and its
//! macaroon are bounded (`invoice::MAX_INVOICE_CHARS`, `macaroon::MAX_BYTES`).

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    task::{Context, Poll, Wake, Waker, ready},
};

use futures_util::{Stream, stream::FuturesUnordered};
use hyper::rt::Executor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::calls::Calls;

/// When so much is gathered, the other end is slow and must be waited for.
const MAX_GATHERED: usize = 64 * 1024;
/// How often jobs that wake each other are run before what they have written leaves all the same.
/// tokio lets a task take some 128 new requests in a turn, and each is settled in a few rounds.
const MAX_ROUNDS: usize = 1_000;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands hyper's futures to the task of their connection. It is only called from within that task,
/// so that nobody has to be woken.
#[derive(Clone)]
pub(super) struct OneTask(Sender<Job>);

/// What [`OneTask`] was handed.
pub(super) struct Jobs(Receiver<Job>);

impl OneTask {
    pub(super) fn new() -> (Self, Jobs) {
        let (sender, receiver) = mpsc::channel();
        (Self(sender), Jobs(receiver))
    }
}

impl<F> Executor<F> for OneTask
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, job: F) {
        // Refused when the connection's task has ended, and then there is nothing left to do.
        let _refused = self.0.send(Box::pin(job));
    }
}

/// A stream of bytes whose writes wait for the end of the task's turn.
pub(super) struct Gathered<Io>(Arc<Mutex<Inner<Io>>>);

struct Inner<Io> {
    io: Io,
    calls: Calls,
    /// What is left of the write that has begun.
    leaving: Vec<u8>,
    /// Who could not add to what waits.
    blocked: Option<Waker>,
}

impl<Io> Gathered<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            calls: Calls::default(),
            leaving: Vec::new(),
            blocked: None,
        })))
    }

    /// The same stream, for [`drive`].
    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<Io>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Io: AsyncWrite + Unpin> Inner<Io> {
    /// Writes the whole calls that wait, as much as the other end takes.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.leaving.is_empty() {
                // TLS takes a write as one record only while it has nothing else to write.
                ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                self.leaving = self.calls.next_write();
            }
            if self.leaving.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.leaving))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.leaving.drain(..written);
        }
    }
}

impl<Io> Inner<Io> {
    /// Whether more is gathered than shall be. A call that is not whole must be completed first.
    fn is_full(&self) -> bool {
        let may_leave = !self.leaving.is_empty() || self.calls.is_ready();
        may_leave && self.calls.len() >= MAX_GATHERED
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Gathered<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Gathered<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        if inner.is_full() {
            // The connection's task writes, and then wakes whoever is blocked.
            inner.blocked = Some(cx.waker().clone());
            return Poll::Pending;
        }
        inner.calls.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Nothing is flushed before the end of the turn: that is the point.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_leave(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

/// Runs a connection and all that hyper hands over for it, until nothing of it is left or its
/// bytes cannot be written.
pub(super) async fn drive<Io>(
    connection: impl Future<Output = ()> + Send + 'static,
    handed: Jobs,
    io: Gathered<Io>,
) where
    Io: AsyncWrite + Unpin,
{
    let mut jobs: FuturesUnordered<Job> = FuturesUnordered::new();
    jobs.push(Box::pin(connection));
    std::future::poll_fn(move |cx| {
        let done = run(&mut jobs, &handed, cx);
        let mut io = io.inner();
        match io.poll_leave(cx) {
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Ready(Ok(())) => io.blocked.take().into_iter().for_each(Waker::wake),
            Poll::Pending => {}
        }
        done
    })
    .await;
}

/// Runs all jobs until none has anything to do. Ready when none is left.
fn run(jobs: &mut FuturesUnordered<Job>, handed: &Jobs, cx: &Context<'_>) -> Poll<()> {
    let turn = Arc::new(Turn { task: cx.waker().clone(), goes_on: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&turn));
    let mut cx = Context::from_waker(&waker);
    for _ in 0..MAX_ROUNDS {
        // Before the jobs are polled, so that no wake is lost.
        turn.goes_on.store(false, Ordering::SeqCst);
        jobs.extend(handed.0.try_iter());
        match Pin::new(&mut *jobs).poll_next(&mut cx) {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => {
                let handed_more: Vec<Job> = handed.0.try_iter().collect();
                if handed_more.is_empty() && !turn.goes_on.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
                jobs.extend(handed_more);
            }
        }
    }
    // Not idle yet: others have a turn, then this task again.
    waker.wake_by_ref();
    Poll::Pending
}

/// Tells whether a job was woken during the turn, and wakes the task after it.
struct Turn {
    task: Waker,
    goes_on: AtomicBool,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.goes_on.store(true, Ordering::SeqCst);
        self.task.wake_by_ref();
    }
}

#[cfg(test)]
#[path = "gather_test.rs"]
mod tests;
