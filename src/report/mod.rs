//! Texts for people: errors in log lines and on terminals, and log lines about payments.

mod transition;

pub use transition::{contradiction, transition};

/// An error with its causes, for a log line. Drivers' errors often repeat their causes; a cause that the
/// text already contains is left out.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let why = cause.to_string();
        if !text.contains(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        source = cause.source();
    }
    text
}
