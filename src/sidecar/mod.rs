//! The public side: LNURL-withdraw (LUD-01, LUD-03) over plain HTTP/1.1, behind a proxy that terminates
//! TLS.
//!
//! * `GET {public_url}/w/{secret}` answers the withdrawRequest. It changes nothing.
//! * `GET {public_url}/cb?k1=…&pr=…` claims. No other request changes anything.
//!
//! Wallets write these two URLs in many ways: `target` and `query` say which ones are read alike.
//!
//! Every answer of these two is HTTP 200 with JSON, errors included, since wallets lose the reason
//! otherwise. `Host` and forwarding headers are ignored. No URL is logged, since it carries the secret.

mod answer;
mod query;
mod routes;
mod serve;
mod target;

pub use serve::{SidecarOptions, serve};
