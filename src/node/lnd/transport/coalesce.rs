//! Holds back a connection's writes, so that a call's headers and message leave in one TLS record.
//!
//! lnd checks a macaroon's deadline when a call's headers arrive, and then waits for the message. If this
//! process is paused in between, or the network fails, lnd takes the message long after the deadline and
//! pays (`lab_tests/deadlines.rs`). A TLS record arrives whole or not at all.
//!
//! Why our own code:
//!
//! - hyper and h2 split calls, and have no option to hold writes back. Of 1,700 calls hyper alone split
//!   1,700, and this file none; of 16 calls that h2 alone began together it split 15
//!   (`alternatives_test.rs`).
//! - lnd's REST gateway would need none of this: it reads a request's whole body before it checks the
//!   macaroon. It is as fast, too: of 60 payments each, alternating, the median was 125 ms over REST and
//!   120 ms over gRPC (lnd v0.21.2). But it speaks HTTP/1.1 only: 300 payments in flight took 300
//!   connections, over gRPC one. A send must use the connection on which the node has shown its identity
//!   and its newest payment; over REST, every payment in flight would need all that for itself, and how
//!   long it is in flight is up to the payee.
//! - A gRPC deadline (`grpc-timeout`) is relative: lnd counts it from when the headers arrive.
//!
//! The exception is a call longer than a record (16 KiB). No send is: its invoice and its macaroon are
//! bounded (`invoice::MAX_INVOICE_CHARS`, `macaroon::MAX_BYTES`).

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::calls::Calls;

/// Above this the peer is slow, and writers must wait.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// A byte stream that holds writes back until [`Self::poll_release`].
pub(super) struct CoalescedIo<Io>(Arc<Mutex<Inner<Io>>>);

struct Inner<Io> {
    io: Io,
    held: Calls,
    /// The rest of the write in progress.
    leaving: Vec<u8>,
    /// Wakes a writer that waits for space.
    blocked_writer: Option<Waker>,
}

impl<Io> CoalescedIo<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            held: Calls::default(),
            leaving: Vec::new(),
            blocked_writer: None,
        })))
    }

    /// A second handle, to release the writes.
    pub(super) fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<Io>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Io: AsyncWrite + Unpin> CoalescedIo<Io> {
    /// Writes the complete calls that are held, then wakes a writer that waits for space.
    pub(super) fn poll_release(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_release(cx))?;
        inner.blocked_writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> Inner<Io> {
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.leaving.is_empty() {
                // TLS makes one record of a write only if it has nothing else to write.
                ready!(Pin::new(&mut self.io).poll_flush(cx))?;
                self.leaving = self.held.next_write();
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
    /// Whether writers must wait. An incomplete call must always be completed first.
    fn is_full(&self) -> bool {
        let can_release = !self.leaving.is_empty() || self.held.is_ready();
        can_release && self.held.len() >= MAX_HELD_BYTES
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for CoalescedIo<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().io).poll_read(cx, buffer)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for CoalescedIo<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        if inner.is_full() {
            inner.blocked_writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        inner.held.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    /// Releases nothing: only [`Self::poll_release`] does.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// An incomplete call never leaves, not even now.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_release(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "coalesce_test.rs"]
mod tests;
