//! The connection to lnd: credentials, TLS, HTTP/2, and the identity check on each connection.

mod calls;
mod connection;
mod connector;
mod credentials;
mod gather;
mod http2;
mod macaroon;
mod target;
mod tls;

pub(super) use self::{
    connection::{Link, authorised, within},
    connector::Connector,
    credentials::{Credentials, Keeper},
    target::{KeepAlive, Target},
};
pub use self::{
    credentials::CredentialFiles,
    macaroon::{InvalidMacaroon, Macaroon},
};
