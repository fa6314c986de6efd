//! A deterministic simulation: the whole of claim → payment → recovery under a scheduler of our own.
//!
//! The domain, the services, the background jobs and the store are the real ones. Actors (use
//! cases, jobs, and the tasks that they start) are futures that one thread polls by hand; every
//! call of a port is a gate where the actor waits until it is chosen, and a call's effect runs to
//! its end before anything else is chosen. What is chosen next is drawn from a seed, or read from a
//! list of steps. Nothing runs on tokio's clock.
//!
//! Time stands still while an actor runs from one gate to the next. Only [`step::Step::DelayNextReading`]
//! lets time pass just before a clock is read. The clocks of the replicas, the database and the node differ.
//!
//! Words: a *history* is one run, a list of *steps*. A *scenario* is a fixed history that is repeated with a
//! crash at every call. A *mutation* takes one safety rule out of the code, to prove that the simulation
//! notices.
//!
//! * [`history`]: applies steps; [`use_cases`], [`schedule`], [`events`]: the steps of callers, of the
//!   scheduler, and of the network, the node and time; [`recovery`]: the end of each history.
//! * [`generate`]: draws steps from a seed; [`scenarios`]: enumerates crashes; [`run`], [`many`]: run
//!   histories, shorten the failing ones and report them.
//! * [`node`]: the simulated node, its payments and payees; [`node_port`], [`store`]: the gates before the
//!   node and before the store.
//! * [`mirror`]: what the database holds; [`invariants`], [`lost_commits`]: what must hold; [`mutation`]: the
//!   rules that can be taken out.

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
