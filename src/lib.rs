//! withdrawd.
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
pub mod runtime;
pub mod service;
pub mod sidecar;
pub mod store;
pub mod telemetry;
