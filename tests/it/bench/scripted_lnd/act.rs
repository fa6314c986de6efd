//! What the scripted lnd does on a call, act by act: from a plain answer to a broken connection.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use h2::Reason;
use prost::Message;
use tokio::sync::Semaphore;
use tonic::Code;

/// One thing that it does. After the last act of an answer that has no end it says nothing more.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sends the headers of the answer. Any message does so by itself.
    Headers,
    /// Sends these bytes, which are a message unless they are to be something else.
    Bytes(Bytes),
    /// Ends the call with this code and text. Without a message before, there are trailers alone.
    End(Code, &'static str),
    /// Ends the call without its status.
    Break,
    /// Answers with this HTTP status, as a proxy in between would.
    Http(u16),
    /// `RST_STREAM`.
    Reset(Reason),
    /// `GOAWAY`, and the connection with all its calls is over.
    GoAway(Reason),
    /// `GOAWAY`, and what is open goes on to its end.
    GoAwayGently,
    /// Hangs up.
    Cut,
    /// Waits until the test lets it go on.
    Wait(Arc<Semaphore>),
}

/// A message as gRPC frames it.
pub fn say(message: &impl Message) -> Act {
    let length = u32::try_from(message.encoded_len()).unwrap();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(length);
    message.encode(&mut framed).unwrap();
    Act::Bytes(framed.freeze())
}

/// The first half of a message.
pub fn say_half(message: &impl Message) -> Act {
    let Act::Bytes(whole) = say(message) else { unreachable!("a message is bytes") };
    Act::Bytes(whole.slice(..whole.len() / 2))
}

/// The end of a call.
pub fn end(code: Code) -> Act {
    Act::End(code, "")
}

/// The whole answer to a call that has one message.
pub fn reply(message: &impl Message) -> Vec<Act> {
    vec![say(message), end(Code::Ok)]
}

/// An error, and no message.
pub fn refuse(code: Code, text: &'static str) -> Vec<Act> {
    vec![Act::End(code, text)]
}

/// What lnd says of a payment that it does not know.
pub fn not_found() -> Vec<Act> {
    refuse(Code::NotFound, "payment isn't initiated")
}
