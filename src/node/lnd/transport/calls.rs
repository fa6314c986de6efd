//! A connection's frames in the order in which they may leave: call by call, each as a whole.

use std::collections::VecDeque;

/// The most that one TLS record holds. rustls makes one record of a write that is no longer.
pub(super) const RECORD: usize = 16 * 1024;

/// What a client begins with, before the first frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Frames that wait.
///
/// The frames of calls that began together come mingled. Here each joins the headers of its call:
/// frames of different streams may change places as long as headers keep their order.
#[derive(Default)]
pub(super) struct Calls {
    /// Less than a frame.
    unread: Vec<u8>,
    waiting: VecDeque<Unit>,
}

/// What must not be parted: a call, or a frame that belongs to none that waits.
struct Unit {
    stream: u32,
    bytes: Vec<u8>,
    /// Its last frame is there, or its reset.
    ended: bool,
    /// The rest of its headers is still to come.
    in_headers: bool,
}

impl Calls {
    /// Takes in what comes next on the connection.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut rest = &unread[..];
        if let Some(frames) = rest.strip_prefix(PREFACE) {
            self.waiting.push_back(Unit::whole(PREFACE));
            rest = frames;
        }
        while let Some((frame, after)) = Frame::read(rest) {
            self.place(&frame);
            rest = after;
        }
        self.unread = rest.to_vec();
    }

    fn place(&mut self, frame: &Frame<'_>) {
        let stream = frame.stream;
        let call = self.waiting.iter_mut().rev().find(|it| it.stream == stream && !it.is_whole());
        match call {
            Some(call) => call.add(frame),
            None if frame.kind == HEADERS => {
                let mut call = Unit { stream, bytes: Vec::new(), ended: false, in_headers: false };
                call.add(frame);
                self.waiting.push_back(call);
            }
            // Of the connection, or of a call that has left.
            None => self.waiting.push_back(Unit::whole(frame.bytes)),
        }
    }

    /// The next write: as many whole calls as a record holds, or a single one that is longer. Empty
    /// if the first call is not whole yet: nothing overtakes headers.
    pub(super) fn next_write(&mut self) -> Vec<u8> {
        let mut write = Vec::new();
        while let Some(unit) = self.waiting.pop_front_if(|unit| {
            unit.is_whole() && (write.is_empty() || write.len() + unit.bytes.len() <= RECORD)
        }) {
            write.extend(unit.bytes);
        }
        write
    }

    /// Whether [`Self::next_write`] has anything.
    pub(super) fn is_ready(&self) -> bool {
        self.waiting.front().is_some_and(Unit::is_whole)
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.iter().map(|unit| unit.bytes.len()).sum::<usize>() + self.unread.len()
    }
}

impl Unit {
    fn whole(bytes: &[u8]) -> Self {
        Self { stream: 0, bytes: bytes.to_vec(), ended: true, in_headers: false }
    }

    const fn is_whole(&self) -> bool {
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

struct Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at the front, and what follows it. None while it is not whole.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, content) = bytes.split_first_chunk::<FRAME_HEAD>()?;
        let [length @ .., kind, flags, _, _, _, _] = head;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        let after = content.get(length..)?;
        let bytes = &bytes[..bytes.len() - after.len()];
        Some((Self { kind: *kind, flags: *flags, stream, bytes }, after))
    }

    const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SETTINGS: u8 = 4;
    const PING: u8 = 6;

    pub(crate) fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.resize(frame.len() + length, b'x');
        frame
    }

    /// A call as gRPC makes it: the end is a frame of its own.
    pub(crate) fn call(stream: u32, length: usize) -> Vec<u8> {
        let end = frame(DATA, END_STREAM, stream, 0);
        [headers(stream), frame(DATA, 0, stream, length), end].concat()
    }

    fn headers(stream: u32) -> Vec<u8> {
        frame(HEADERS, END_HEADERS, stream, 300)
    }

    /// How many calls these frames hold, which must be whole ones.
    pub(crate) fn whole_calls(frames: &[u8]) -> usize {
        let mut rest = frames.strip_prefix(PREFACE).unwrap_or(frames);
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        while let Some((frame, after)) = Frame::read(rest) {
            rest = after;
            match frame.kind {
                HEADERS => begun.push(frame.stream),
                DATA => assert!(begun.contains(&frame.stream), "a message without its headers"),
                _ => {}
            }
            let ends = frame.kind == RST_STREAM && begun.contains(&frame.stream);
            if ends || matches!(frame.kind, HEADERS | DATA) && frame.has(END_STREAM) {
                ended.push(frame.stream);
            }
        }
        assert!(rest.is_empty(), "half a frame");
        begun.sort_unstable();
        ended.sort_unstable();
        // Reset after its end.
        ended.dedup();
        assert_eq!(begun, ended, "a call is not whole");
        begun.len()
    }

    fn waiting(frames: &[u8]) -> Calls {
        let mut calls = Calls::default();
        calls.push(frames);
        calls
    }

    #[test]
    fn nothing_of_a_call_leaves_before_its_end() {
        let greeting = [PREFACE, &frame(SETTINGS, 0, 0, 12)].concat();
        let whole = [greeting.clone(), call(1, 700)].concat();
        for end in greeting.len()..whole.len() {
            let mut calls = waiting(&whole[..end]);
            assert_eq!(calls.next_write(), greeting, "{end} bytes");
            assert!(!calls.is_ready());
            assert_eq!(calls.len(), end - greeting.len());
            calls.push(&whole[end..]);
            assert_eq!(calls.next_write(), call(1, 700));
            assert_eq!(calls.len(), 0);
        }
    }

    #[test]
    fn frames_may_come_byte_by_byte() {
        let whole = [PREFACE, &frame(SETTINGS, 0, 0, 12), &call(1, 700)].concat();
        let mut calls = Calls::default();
        for byte in &whole {
            calls.push(&[*byte]);
        }
        assert_eq!(calls.next_write(), whole);
    }

    #[test]
    fn calls_that_mingle_are_parted() {
        let end = |stream| frame(DATA, END_STREAM, stream, 100);
        let ping = frame(PING, 0, 0, 8);
        let mut calls = waiting(&[headers(1), headers(3), ping.clone(), end(3)].concat());
        assert!(calls.next_write().is_empty(), "nothing overtakes the first headers");
        calls.push(&[headers(5), end(1)].concat());
        assert_eq!(calls.next_write(), [headers(1), end(1), headers(3), end(3), ping].concat());
        let reset = frame(RST_STREAM, 0, 5, 4);
        calls.push(&reset);
        assert_eq!(calls.next_write(), [headers(5), reset].concat());
    }

    #[test]
    fn headers_in_several_frames_are_one() {
        let (begin, end) =
            (frame(HEADERS, END_STREAM, 1, 300), frame(CONTINUATION, END_HEADERS, 1, 300));
        let mut calls = waiting(&begin);
        assert!(!calls.is_ready());
        calls.push(&end);
        assert_eq!(calls.next_write(), [begin, end].concat());
    }

    #[test]
    fn a_write_is_no_longer_than_a_record_unless_a_single_call_is() {
        let frames: Vec<u8> = (0..100).flat_map(|n| call(2 * n + 1, 700)).collect();
        let mut calls = waiting(&frames);
        let one = call(1, 700).len();
        assert_eq!(calls.next_write(), frames[..RECORD / one * one]);
        assert_eq!(calls.next_write().len(), RECORD / one * one);

        let mut calls = waiting(&[call(1, 10), call(3, RECORD), call(5, 10)].concat());
        for whole in [call(1, 10), call(3, RECORD), call(5, 10)] {
            assert_eq!(calls.next_write(), whole);
        }
    }
}
