//! Where a span stands in its trace: what W3C's `traceparent` carries, and what a row keeps, so that
//! later work can name what it goes back to.

use std::fmt;

/// A span of some trace, here or in another service. It says nothing about who asked for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// None if an id is all zeros, which names nothing.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Option<Self> {
        let names_something = trace_id != [0; 16] && span_id != [0; 8];
        names_something.then_some(Self { trace_id, span_id, flags })
    }

    /// Reads a `traceparent` of version 00: lower-case hex of fixed length, as it is stored.
    pub fn parse(text: &str) -> Option<Self> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut parts = text.split('-');
        let mut next = || parts.next();
        let (version, trace_id, span_id, flags) = (next()?, next()?, next()?, next()?);
        if version != "00" || next().is_some() {
            return None;
        }
        let [flags] = read(flags)?;
        Self::new(read(trace_id)?, read(span_id)?, flags)
    }

    /// The trace.
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span in it.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Bit 0: it is recorded.
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// As logs write it.
    pub fn trace_id_hex(&self) -> String {
        hex::encode(self.trace_id)
    }
}

/// The `traceparent`, 55 characters.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace_id, span_id) = (hex::encode(self.trace_id), hex::encode(self.span_id));
        write!(f, "00-{trace_id}-{span_id}-{:02x}", self.flags)
    }
}

fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_written() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::parse(text).unwrap();
        assert_eq!(context.to_string(), text);
        assert_eq!(context.trace_id_hex(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.flags(), 1);

        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319cc-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad}");
        }
    }
}
