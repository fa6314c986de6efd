//! A deterministic simulation: the whole of claim → payment → recovery under a scheduler of our own.
//!
//! The domain, the services, the background jobs and the store are the real ones. Actors (use
//! cases, jobs, and the tasks that they start) are futures that one thread polls by hand; every
//! call of a port is a gate where the actor waits until it is chosen, and a call's effect runs to
//! its end before anything else is chosen. What is chosen next is drawn from a seed, or read from a
//! list of steps. Nothing runs on tokio's clock.
//!
//! Clock readings and random numbers are taken between two gates: nothing else happens there, except
//! that [`step::Step::DelayNextReading`] lets time pass just before a reading, and that each replica's clock,
//! the database's and the node's are set apart.
//!
//! * [`history`]: makes steps; [`use_cases`], [`schedule`], [`events`]: those of callers, of the
//!   scheduler and of the world; [`recovery`]: the end of each history.
//! * [`generate`]: draws steps; [`scenarios`]: enumerates crashes; [`run`], [`many`]: run, shorten,
//!   report.
//! * [`node`]: the truth; [`node_port`], [`store`]: the gates before it and before the store.
//! * [`mirror`]: what the database holds; [`invariants`], [`lost_commits`]: what must hold; [`mutation`]:
//!   what they must catch.

mod actors;
mod clock;
pub mod database;
mod events;
mod generate;
mod history;
mod instance;
mod invariants;
mod lost_commits;
pub mod many;
mod mirror;
pub mod mutation;
mod node;
mod node_port;
mod payees;
mod recovery;
mod replica;
mod rng;
pub mod run;
pub mod scenarios;
mod schedule;
mod step;
mod store;
mod use_cases;
mod world;
