//! withdrawd pays people out over Bitcoin's Lightning Network with LNURL-withdraw: exactly once,
//! whatever crashes.
//!
//! An internal service asks over gRPC for a withdraw request and hands its LNURL to a customer. The
//! customer's wallet sends an invoice to the public side, and the company's node pays it.
//!
//! # The rooms
//!
//! Arrows point down only; a test reads every path and fails when one points up.
//!
//! ```text
//! main → cli → { app, client }                         app knows every room, config their options
//! app → { grpc, sidecar } → service → { ports, domain }      inbound
//! app → background → { service, ports, domain }              passes over stored state
//! { store, node } → ports, domain                            outbound
//! ```
//!
//! * [`domain`] — pure values and decisions: ids, amounts, LNURL, invoice rules, the withdraw request,
//!   and in [`domain::payment`] the table that says what follows from a node's word.
//! * [`ports`] — what the service asks of a store and of a node, and the contract of their answers.
//! * [`service`] — the use cases, the payer among them.
//! * [`store`] — Postgres and SQLite behind one port; the statements are written once.
//! * [`node`] — lnd, and a simulated node for a first run.
//! * [`grpc`], [`sidecar`] — the two faces: for internal services, and for wallets.
//! * [`background`] — what nobody asks for: paying, marking expiries.
//! * [`app`], [`config`], [`telemetry`], [`report`], [`runtime`] — wiring, options, logs, errors for
//!   people; time and randomness.
//! * [`cli`], [`client`], [`pb`] — the command line, its gRPC client, the generated types.
//!
//! # The invariants
//!
//! 1. At most one payment of a withdraw request settles. At most one of its attempts is open
//!    (RESERVED, SENDING, IN_FLIGHT, NEEDS_OPERATOR), by a unique index in both databases.
//! 2. A payment hash is claimed with once, across all requests, by a unique constraint.
//! 3. A wallet is told OK only after its claim is committed. The same invoice is told OK again.
//! 4. A send is committed before the node is asked, with a deadline that the node itself enforces.
//! 5. Nothing is sent before it was looked up; a node's silence, error or timeout changes nothing.
//! 6. A request reopens only when no send of it can take effect any more, and the node said so after
//!    that instant, on a connection on which it had shown its identity and its memory.
//! 7. A COMMIT whose answer was lost is neither success nor failure: it is read back.
//! 8. Every write to the standing of a payment or a request names the version that it has read; a
//!    lease saves work, and no more.
//! 9. Every change writes its event in the same transaction. No event, row or log holds a secret.
//! 10. PAID never changes.

pub mod app;
pub mod background;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod node;
pub mod pb;
pub mod ports;
pub mod report;
pub mod runtime;
pub mod service;
pub mod sidecar;
pub mod store;
pub mod telemetry;
