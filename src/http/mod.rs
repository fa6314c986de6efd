//! HTTP as all faces of the service share it: one server and one client, each with limits on everything.

pub mod client;
pub mod server;
