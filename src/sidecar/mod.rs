//! The public face: LNURL-withdraw (LUD-01, LUD-03) over plain HTTP/1.1, behind whatever proxy ends
//! TLS.
//!
//! * `GET {public_url}/w/{secret}` answers the withdrawRequest. It changes nothing.
//! * `GET {public_url}/cb?k1=…&pr=…` claims. Nothing else changes anything.
//!
//! Wallets write these two in many ways: `target` and `query` say which are read alike.
//!
//! Every answer of these two is HTTP 200 with JSON, errors included, since wallets lose the reason
//! otherwise. Nothing is taken from `Host` or forwarding headers. No URL reaches a log: it carries
//! the secret.

mod answer;
mod query;
mod routes;
mod serve;
mod target;

pub use serve::{SidecarOptions, serve};
