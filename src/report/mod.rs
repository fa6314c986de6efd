//! What people are told: errors, in a log line or on a terminal, and what happens to payments.

mod transition;

pub use transition::transition;

/// An error with what caused it, for a log line. Drivers' errors repeat their causes: said once.
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
