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
//! app → { grpc, sidecar, admin } → service → { ports, domain }      inbound
//! app → background → { service, ports, domain }              passes over stored state
//! { store, node } → ports, domain                            outbound
//! ```
//!
//! * [`domain`] — pure values and decisions: ids, amounts, LNURL, invoice rules, the withdraw request,
//!   what the instance may pay now ([`domain::Standing`]), and in [`domain::payment`] the table that
//!   says what follows from a node's word, and what a person may decide where it leaves a doubt.
//! * [`ports`] — what the service asks of a store and of a node, and the contract of their answers.
//! * [`service`] — the use cases: the payer, the verifier that fences a database which lost commits, and
//!   what operators do about payments and the whole instance.
//! * [`store`] — Postgres and SQLite behind one port; the statements are written once.
//! * [`node`] — lnd, and a simulated node for a first run.
//! * [`grpc`], [`sidecar`] — the two faces: for internal services and operators, and for wallets.
//! * [`admin`], [`health`] — the operators' port, and what probes are told there and over gRPC.
//! * [`metrics`] — what Prometheus is told.
//! * [`background`] — what nobody asks for: paying, marking expiries, the node's heartbeat, the verifier.
//! * [`app`], [`config`], [`telemetry`], [`report`], [`runtime`] — wiring, options, logs and traces,
//!   errors for people; time and randomness.
//! * [`trace`] — the trace that the current work belongs to: whoever makes a span, or keeps or links
//!   one, asks it.
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
//!    that instant, on a connection on which it had shown its identity and its memory. A send that was
//!    never answered can take effect at any time, until the node was seen to store a payment that was
//!    begun after the time of that send ([`domain::payment::Pending`]).
//! 7. A COMMIT whose answer was lost is neither success nor failure: it is read back.
//! 8. Every write to the standing of a payment or a request names the version that it has read; a
//!    lease saves work, and no more.
//! 9. Every change writes its event in the same transaction. No event, row or log holds a secret.
//! 10. PAID never changes.
//! 11. No claim is accepted and no send committed after a pause or a fence, by any replica: claims and
//!     sends read the switches under a lock in their own transactions, before any other lock, and a pause
//!     takes its turn among them within a second, whatever the load. What is in flight is followed.
//! 12. Every commit that a caller is told of is there, or the instance is fenced, as long as a process lives
//!     that told it: by making it, or by answering a repeat of a create, a deactivation or a command. (A
//!     wallet's repeat of an accepted claim is answered from what is read.) Each moves a mark of its process
//!     in the same transaction, and no process makes one on a server on which it has
//!     not found its marks. Nothing is claimed or sent over a server that the database itself does not
//!     call verified: every process that was there lately has found its marks, and the node knows no
//!     payment that the database does not. If one of these fails, all replicas are fenced until an
//!     operator has looked; a request older than the fence is then withheld until an operator releases it.
//! 13. Nothing is claimed beyond what the node has said that it can send, by a heartbeat that is not
//!     stale, nor beyond the limit of 24 hours, fees included, which the database counts one claim at a
//!     time. What is counted is kept by each step in its own transaction.
//! 14. What follows from a node's word for a payment is decided in one place,
//!     [`domain::payment::looked_up`] and [`domain::payment::heard`]; everybody else gathers facts for it
//!     and writes what it says.
//! 15. An operator's word ends a doubt only where the node does not contradict it; who decided, and why,
//!     stands in the event of the change.

pub mod admin;
pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod domain;
pub mod grpc;
pub mod health;
pub mod http;
pub mod integrity;
pub mod jobs;
pub mod lookup;
pub mod metrics;
pub mod node;
pub mod payer;
pub mod pb;
pub mod ports;
pub mod report;
pub mod runtime;
pub mod service;
pub mod sidecar;
pub mod store;
pub mod telemetry;
pub mod trace;
