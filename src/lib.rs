//! withdrawd pays people out over Bitcoin's Lightning Network with LNURL-withdraw: exactly once,
//! whatever crashes.
//!
//! An internal service asks over gRPC for a withdraw request and hands its LNURL to a customer. The
//! customer's wallet sends an invoice to the public side, and the company's node pays it.
//!
//! # The modules
//!
//! Dependencies point down only: `tests/it/docs/architecture.rs` reads every path and fails on one that
//! points up. Its table DEPENDENCIES is exact; this is its outline, without the five modules at the bottom
//! (`domain`, `ports`, `runtime`, `report`, `trace`), which those above use as the table allows.
//!
//! ```text
//! main                → cli
//! cli                 → app, client, config, http, telemetry
//! app                 → all below but client, http, pb, telemetry, trace: it wires them
//! config              → grpc, sidecar, jobs, payer, integrity, lookup, store, node, telemetry (options)
//! grpc                → service, metrics, http, health, pb      inbound
//! sidecar             → service, metrics, http                  inbound
//! admin               → metrics, http, health                   inbound
//! metrics             → service
//! jobs                → payer, integrity, service, lookup       periodic work
//! payer, integrity    → lookup
//! service             → lookup                                  use cases
//! lookup, store, node → ports                                   store, node: outbound
//! client              → pb
//!
//! report              → ports, trace
//! telemetry           → trace
//! http                → runtime, domain
//! ports, runtime, trace → domain
//! ```
//!
//! * [`domain`] — pure values and decisions: ids, amounts, LNURL, invoice rules, the withdraw request, and
//!   what the instance can pay now ([`domain::InstanceStatus`]). [`domain::payment`] has the table of what
//!   follows from the node's report, and of what an operator may decide about a payment whose outcome is in
//!   doubt.
//! * [`ports`] — the traits of store and node, and the contract of their answers.
//! * [`service`] — the use cases: what internal services, wallets and operators may do.
//! * [`lookup`] — asks the node about payments and judges whether its answer counts, for use cases and
//!   workers alike.
//! * [`payer`] — follows every open attempt to its end: looks it up, sends it, listens to the answer.
//! * [`integrity`] — verifies that the database lost no commits, and fences the instance if it did.
//! * [`jobs`] — periodic background jobs: the payer, expiry, the node's heartbeat, the verification of the
//!   database.
//! * [`store`] — Postgres and SQLite behind one port; the statements are written once.
//! * [`node`] — lnd, and a simulated node for a first run.
//! * [`grpc`], [`sidecar`] — the inbound sides: gRPC for internal services and operators, LNURL for
//!   wallets.
//! * [`admin`], [`health`] — the admin port, and the state that probes read on it and over gRPC.
//! * [`http`] — one server and one client, with limits on everything.
//! * [`metrics`] — the metrics for Prometheus.
//! * [`app`], [`config`] — wiring by role, and the checked options.
//! * [`telemetry`], [`report`], [`trace`] — logs and traces; errors and payment transitions as log lines;
//!   the current trace context, the source of every span, link and stored trace id.
//! * [`runtime`] — time, randomness and tasks.
//! * [`cli`], [`client`], [`pb`] — the command line, its gRPC client, the generated types.
//!
//! # The invariants
//!
//! 1. At most one payment of a withdraw request settles. At most one of its attempts is open
//!    (RESERVED, SENDING, IN_FLIGHT, NEEDS_OPERATOR), by a unique index in both databases.
//! 2. A payment hash is claimed at most once, across all requests, by a unique constraint.
//! 3. A wallet gets OK only after its claim is committed. If it repeats the call with the same invoice, it
//!    gets OK again.
//! 4. A send is committed before the node is called, with a deadline that the node itself enforces.
//! 5. A payment is looked up before each send. A node's silence, error or timeout changes nothing.
//! 6. A request can be claimed again only when none of its sends can take effect any more and a later answer
//!    of the node shows that the payment has failed or is unknown. The answer counts only on a connection on
//!    which the node has shown that it is the node that was asked to pay and has kept its records. A send
//!    that was never answered may take effect until two things have happened: its time window (deadline,
//!    clock skew and the node's slack) has passed, and the node has stored a payment that was requested after
//!    that, the *write witness* ([`domain::payment::Pending`]).
//! 7. A COMMIT whose answer was lost counts neither as a success nor as a failure: the row is read back.
//! 8. Every write to the state of a payment or a request names the version that it read. A lease saves
//!    work; correctness does not rest on it.
//! 9. Every change writes its event in the same transaction. No event, row or log line holds a secret.
//! 10. PAID never changes.
//! 11. After a pause or a fence no replica accepts a claim or commits a send: claims and sends read both
//!     switches under a lock in their own transactions, before any other lock, and a pause gets that lock
//!     within a second, whatever the load. Payments in flight are still followed.
//! 12. If the database loses a commit that a process acknowledged to a caller, the instance is fenced, as
//!     long as one process lives that acknowledged it. A process acknowledges a commit by making it, or by
//!     answering a repeat of a create, a deactivation or a command. (It answers a wallet's repeat of an
//!     accepted claim from the rows alone.) Each such commit advances a *mark*, a counter of its process, in
//!     the same transaction. A process commits nothing on a database server until it has found its own marks
//!     there. Nothing is claimed or sent until the database records its server as *verified*: every process
//!     that was recently alive has found its marks there, and the node knows no payment that the database
//!     does not. If one of these checks fails, all replicas are fenced until an operator acknowledges the
//!     loss. Requests older than the fence are then *withheld* until an operator releases them.
//! 13. Claims never exceed what the node can send, as it reported in a recent heartbeat. Nor do they exceed
//!     the 24-hour limit, fees included, which the database checks one claim at a time. Each state transition
//!     updates the running totals in its own transaction.
//! 14. What follows from the node's report about a payment is decided in one place,
//!     [`domain::payment::decide_on_lookup`] and [`domain::payment::decide_on_stream`]; all other code
//!     gathers the evidence and writes what they decide.
//! 15. An operator resolves a payment in doubt only if the node does not contradict the decision. The event
//!     records who decided, and why.

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
