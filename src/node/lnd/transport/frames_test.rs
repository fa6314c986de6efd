//! Frames for the tests, and how whole the calls are that a client has written.

use std::collections::BTreeMap;

use super::calls::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PREFACE, RECORD_BYTES, RST_STREAM,
};

/// A frame with `length` bytes of content.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
    let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.resize(frame.len() + length, b'x');
    frame
}

pub(super) fn headers(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, 300)
}

/// A call as tonic makes it: its end is a frame of its own.
pub(super) fn call(stream: u32, length: usize) -> Vec<u8> {
    let end = frame(DATA, END_STREAM, stream, 0);
    [headers(stream), frame(DATA, 0, stream, length), end].concat()
}

/// How many calls a client began, and how many of them do not lie in one TLS record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: usize,
    pub(super) split: usize,
}

/// Counts the calls in all writes of a connection. TLS makes one record of a write, or several of one that
/// is longer than a record.
///
/// Panics at half a frame, a message before its headers, and a call without an end.
pub(super) fn tally(writes: &[Vec<u8>]) -> Tally {
    let records: Vec<&[u8]> = writes.iter().flat_map(|write| write.chunks(RECORD_BYTES)).collect();
    let record_of: Vec<usize> = records
        .iter()
        .enumerate()
        .flat_map(|(number, record)| std::iter::repeat_n(number, record.len()))
        .collect();
    let all = records.concat();
    let mut rest = all.strip_prefix(PREFACE).unwrap_or(&all);
    // The records of a call's first byte and of its last one.
    let mut calls: BTreeMap<u32, (usize, Option<usize>)> = BTreeMap::new();
    while let Some((frame, after)) = Frame::read(rest) {
        let first = record_of[all.len() - rest.len()];
        let last = record_of[all.len() - after.len() - 1];
        rest = after;
        if frame.kind == HEADERS {
            calls.insert(frame.stream, (first, None));
        }
        assert!(frame.kind != DATA || calls.contains_key(&frame.stream), "no headers");
        let ends = frame.kind == RST_STREAM
            || matches!(frame.kind, HEADERS | DATA) && frame.has(END_STREAM);
        if let Some((_, end @ None)) = calls.get_mut(&frame.stream).filter(|_| ends) {
            *end = Some(last);
        }
    }
    assert!(rest.is_empty(), "half a frame");
    let split = calls.values().filter(|(first, last)| last.expect("no end") != *first).count();
    Tally { calls: calls.len(), split }
}
