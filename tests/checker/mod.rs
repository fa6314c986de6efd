//! An explicit-state model checker. It visits every state that one withdraw request can reach, and prints the
//! shortest path to a state or a step that breaks an invariant. All decisions are made by the real functions
//! of `withdrawd::domain`.
//!
//! The model has two payers without leases, two invoices (A and B) for one request, and up to three sends of
//! each. A step is one atomic effect, and steps interleave freely. Every write names the version that was
//! read. So when a row changes, a payer that was about to write it becomes idle.
//!
//! * `state`: a state of the model; `packed`: the state as one number; `display`: the state as text;
//!   `canonical`: one representative for states that no later step can tell apart.
//! * `rows`: converts a state to the real rows and back; `real`: calls the real functions as the service
//!   does; `inputs`: their inputs and outputs.
//! * `steps`: all steps from a state; `world`: those of wallets, callers, operators and time; `node`: those
//!   of the node; `worker`: those of a payer.
//! * `faults`: what may go wrong, and the mutations (bugs that the search must find); `invariants`: what must
//!   hold; `search`: the search; `searches`: the sets of faults and mutations that are searched.
//!
//! What is merged:
//! - Reading the clocks, a lookup and its answer are one step. The clocks may have been read before the last
//!   send was over.
//! - A claim is one transaction, since a stale one is read again.
//! - Reasons of failures and doubts are left out, except FOREIGN: no decision reads the others.
//! - A payee is paid once per invoice.
//!
//! What is not modelled: nodes that enforce no deadline or pay a hash twice; clocks that disagree by more
//! than the skew without being noticed; a request that a proxy delivers twice; fees; other withdraw requests.
//! That a NOT_FOUND from a node that has lost its records is recognized is taken from `lookup`.

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
