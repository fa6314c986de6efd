//! Groups the HTTP/2 frames that hyper writes into whole calls, and releases only those.
//!
//! Why our own code reads frames: h2 interleaves the frames of concurrent calls, and sends headers while
//! their message waits for the peer's window. Neither h2, hyper nor tonic has an option against it
//! (`alternatives_test.rs`). Holding writes back is not enough: without this file, between 156 and 240 of
//! 2,000 sends, 200 at a time, did not leave whole (`http2_test.rs`).

use std::collections::VecDeque;

/// The most that one TLS record holds. rustls makes one record of a write that is no longer.
pub(super) const RECORD_BYTES: usize = 16 * 1024;

/// What a client sends before its first frame.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEADER_BYTES: usize = 9;

// Frame types and flags (RFC 9113, section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Frames that have not left yet.
///
/// Frames of concurrent calls arrive interleaved. Each is moved to the headers of its call, which
/// HTTP/2 allows: only headers must keep their order, since they share a compression table.
#[derive(Default)]
pub(super) struct Calls {
    /// The beginning of a frame.
    partial: Vec<u8>,
    queue: VecDeque<Unit>,
}

/// Bytes that must leave together: a call, or one frame that belongs to no queued call.
struct Unit {
    stream: u32,
    bytes: Vec<u8>,
    /// Whether the call's last frame is here, or its reset.
    ended: bool,
    /// Whether CONTINUATION frames are still to come.
    in_headers: bool,
}

impl Calls {
    /// Adds the next bytes of the connection.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let received = std::mem::take(&mut self.partial);
        let mut rest = &received[..];
        if let Some(frames) = rest.strip_prefix(PREFACE) {
            self.queue.push_back(Unit::complete(PREFACE));
            rest = frames;
        }
        while let Some((frame, after)) = Frame::read(rest) {
            self.enqueue(&frame);
            rest = after;
        }
        self.partial = rest.to_vec();
    }

    fn enqueue(&mut self, frame: &Frame<'_>) {
        let stream = frame.stream;
        let call =
            self.queue.iter_mut().rev().find(|unit| unit.stream == stream && !unit.is_complete());
        match call {
            Some(call) => call.add(frame),
            None if frame.kind == HEADERS => {
                let mut call = Unit { stream, bytes: Vec::new(), ended: false, in_headers: false };
                call.add(frame);
                self.queue.push_back(call);
            }
            // A frame of the connection, or of a call that has left.
            None => self.queue.push_back(Unit::complete(frame.bytes)),
        }
    }

    /// Takes as many complete calls as fit into a record, or a single longer one.
    ///
    /// Empty while the first call is incomplete: nothing overtakes headers.
    pub(super) fn next_write(&mut self) -> Vec<u8> {
        let mut write = Vec::new();
        while let Some(unit) = self.queue.pop_front_if(|unit| {
            unit.is_complete()
                && (write.is_empty() || write.len() + unit.bytes.len() <= RECORD_BYTES)
        }) {
            write.extend(unit.bytes);
        }
        write
    }

    /// Whether [`Self::next_write`] has anything to take.
    pub(super) fn is_ready(&self) -> bool {
        self.queue.front().is_some_and(Unit::is_complete)
    }

    /// How many bytes have not left yet.
    pub(super) fn len(&self) -> usize {
        self.queue.iter().map(|unit| unit.bytes.len()).sum::<usize>() + self.partial.len()
    }
}

impl Unit {
    fn complete(bytes: &[u8]) -> Self {
        Self { stream: 0, bytes: bytes.to_vec(), ended: true, in_headers: false }
    }

    const fn is_complete(&self) -> bool {
        self.ended && !self.in_headers
    }

    fn add(&mut self, frame: &Frame<'_>) {
        self.bytes.extend_from_slice(frame.bytes);
        match frame.kind {
            HEADERS | CONTINUATION => self.in_headers = !frame.has(END_HEADERS),
            _ => {}
        }
        match frame.kind {
            HEADERS | DATA => self.ended |= frame.has(END_STREAM),
            RST_STREAM => self.ended = true,
            _ => {}
        }
    }
}

/// One HTTP/2 frame.
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) stream: u32,
    flags: u8,
    /// All of it, header included.
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The first frame in `bytes`, and what follows it. None while it is incomplete.
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, content) = bytes.split_first_chunk::<FRAME_HEADER_BYTES>()?;
        let [length @ .., kind, flags, _, _, _, _] = header;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let after = content.get(length..)?;
        let bytes = &bytes[..bytes.len() - after.len()];
        Some((Self { kind: *kind, stream, flags: *flags, bytes }, after))
    }

    pub(super) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frames_test::{call, frame, headers},
        *,
    };

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    fn queued(frames: &[u8]) -> Calls {
        let mut calls = Calls::default();
        calls.push(frames);
        calls
    }

    #[test]
    fn no_part_of_a_call_leaves_before_its_end() {
        let greeting = [PREFACE, &frame(SETTINGS, 0, 0, 12)].concat();
        let all = [greeting.clone(), call(1, 700)].concat();
        for end in greeting.len()..all.len() {
            let mut calls = queued(&all[..end]);
            assert_eq!(calls.next_write(), greeting, "{end} bytes");
            assert!(!calls.is_ready());
            assert_eq!(calls.len(), end - greeting.len());
            calls.push(&all[end..]);
            assert_eq!(calls.next_write(), call(1, 700));
            assert_eq!(calls.len(), 0);
        }
    }

    #[test]
    fn frames_may_arrive_byte_by_byte() {
        let all = [PREFACE, &frame(SETTINGS, 0, 0, 12), &call(1, 700)].concat();
        let mut calls = Calls::default();
        for byte in &all {
            calls.push(&[*byte]);
        }
        assert_eq!(calls.next_write(), all);
    }

    #[test]
    fn interleaved_calls_are_separated() {
        let end = |stream| frame(DATA, END_STREAM, stream, 100);
        let ping = frame(PING, 0, 0, 8);
        let mut calls = queued(&[headers(1), headers(3), ping.clone(), end(3)].concat());
        assert!(calls.next_write().is_empty(), "nothing overtakes the first headers");
        calls.push(&[headers(5), end(1)].concat());
        assert_eq!(calls.next_write(), [headers(1), end(1), headers(3), end(3), ping].concat());
        let reset = frame(RST_STREAM, 0, 5, 4);
        calls.push(&reset);
        assert_eq!(calls.next_write(), [headers(5), reset].concat());
    }

    #[test]
    fn continued_headers_stay_together() {
        let (begin, end) =
            (frame(HEADERS, END_STREAM, 1, 300), frame(CONTINUATION, END_HEADERS, 1, 300));
        let mut calls = queued(&begin);
        assert!(!calls.is_ready());
        calls.push(&end);
        assert_eq!(calls.next_write(), [begin, end].concat());
    }

    #[test]
    fn only_a_single_long_call_exceeds_a_record() {
        let frames: Vec<u8> = (0..100).flat_map(|n| call(2 * n + 1, 700)).collect();
        let mut calls = queued(&frames);
        let one = call(1, 700).len();
        assert_eq!(calls.next_write(), frames[..RECORD_BYTES / one * one]);
        assert_eq!(calls.next_write().len(), RECORD_BYTES / one * one);

        let mut calls = queued(&[call(1, 10), call(3, RECORD_BYTES), call(5, 10)].concat());
        for expected in [call(1, 10), call(3, RECORD_BYTES), call(5, 10)] {
            assert_eq!(calls.next_write(), expected);
        }
    }
}
