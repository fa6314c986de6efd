//! The connection to lnd: credentials, TLS, HTTP/2, and the identity check on every connection.
//!
//! A send's deadline is a caveat in its macaroon (`macaroon.rs`). It binds only if headers and message
//! leave together: `http2.rs` starts calls one at a time, `single_task.rs` runs the connection in one
//! task, `coalesce.rs` holds its writes back, and `calls.rs` groups their frames into calls.

mod calls;
mod coalesce;
mod connection;
mod connector;
mod credentials;
mod http2;
mod identity;
mod macaroon;
mod single_task;
mod target;
mod tls;

#[cfg(test)]
mod alternatives_test;
#[cfg(test)]
mod frames_test;
#[cfg(test)]
mod http2_test;
#[cfg(test)]
mod recorded_io_test;

pub(super) use self::{
    connection::{LndConnection, with_macaroon, with_timeout},
    connector::Connector,
    credentials::{CredentialStore, Credentials},
    target::{KeepAlive, Target},
};
pub use self::{
    credentials::CredentialFiles,
    macaroon::{InvalidMacaroon, Macaroon},
};
