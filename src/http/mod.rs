//! HTTP for all sides of the service: one server and one client, each with limits on everything.

pub mod client;
pub mod server;
