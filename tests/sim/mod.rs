//! A deterministic simulation: the whole of claim → payment → recovery under a scheduler of our own.
//!
//! The domain, the services, the background passes and the store are the real ones. Actors (use
//! cases, passes, and the tasks that they start) are futures that one thread polls by hand; every
//! call of a port is a gate where the actor waits until it is chosen, and a call's effect runs to
//! its end before anything else is chosen. What is chosen next is drawn from a seed, or read from a
//! list of steps. Nothing runs on tokio's clock.
//!
//! Clock readings and random numbers are taken between two gates: nothing else happens there, except
//! that [`step::Step::Pause`] lets time pass just before a reading, and that each replica's clock,
//! the database's and the node's are set apart.
//!
//! * [`history`]: makes steps; [`use_cases`], [`schedule`], [`events`]: those of callers, of the
//!   scheduler and of the world; [`heal`]: the end of each history.
//! * [`generate`]: draws steps; [`stories`]: enumerates crashes; [`run`], [`many`]: run, shorten,
//!   report.
//! * [`node`]: the truth; [`node_port`], [`store`]: the gates before it and before the store.
//! * [`books`], [`loss`]: the invariants; [`mutation`]: what they must catch.

mod actors;
mod books;
mod clock;
pub mod database;
mod events;
mod generate;
mod heal;
mod history;
mod instance;
mod loss;
pub mod many;
pub mod mutation;
mod node;
mod node_port;
mod payees;
mod replica;
mod rng;
pub mod run;
mod schedule;
mod step;
mod store;
pub mod stories;
mod use_cases;
mod world;
