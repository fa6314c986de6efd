//! Visits every state that one withdraw request can reach, where each decision is taken by the real
//! functions of `withdrawd::domain`, and prints the shortest way to whatever must never be.
//!
//! Two payers without leases, two invoices for one request, up to three sends of each. A step is one
//! atomic effect; between any two of them anything else may happen. Whatever is written names the
//! version that was read, so that a payer whose rows have moved is as good as idle.
//!
//! * `state`: what exists; `packed`: the same as one number; `display`: the same for people; `canonical`:
//!   one state for all that cannot be told apart.
//! * `rows`: the real rows, made from a state and read back into one; `real`: the real functions, called
//!   as the service calls them, with what goes in and out of them in `inputs`. Nothing else decides.
//! * `steps`: all steps from a state: of wallets, people and time (`world`), of the node, of a payer
//!   (`worker`).
//! * `faults`: what may go wrong, and the mutations; `invariants`: what must hold; `search`, `searches`.
//!
//! What is left out, or merged: reading the clocks, a look-up and its answer are one step, in which the
//! clocks may have been read before the last send was over; a claim is one transaction, since a stale
//! one is read again; reasons of failures and doubts but for FOREIGN, which no decision reads; a payee
//! is paid once per invoice. Not here: nodes that enforce no deadline or pay a hash twice, clocks that
//! disagree by more than the skew and do not notice, a request that a proxy delivers twice, fees, other
//! requests. A NOT_FOUND of a node without its records is known for what it is (`lookup`).

mod canonical;
mod display;
mod faults;
mod hashing;
mod inputs;
mod invariants;
mod node;
mod packed;
mod real;
mod rows;
mod search;
mod searches;
mod state;
mod steps;
mod worker;
mod world;

pub use faults::{FAULTS, Faults};
pub use search::Report;
pub use searches::{ASSUMPTIONS, MUTATIONS, SETS, Search, unexpected_decisions};
