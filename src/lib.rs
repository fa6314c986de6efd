//! withdrawd.
pub mod background;
pub mod domain;
pub mod grpc;
pub mod node;
pub mod pb;
pub mod ports;
pub mod runtime;
pub mod service;
pub mod store;
