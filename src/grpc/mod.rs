//! The gRPC side: the `withdraw.v1` services, health and reflection.

mod call;
mod caller;
mod code;
mod convert;
mod deadline;
mod fields;
mod fit;
mod json;
mod layer;
mod operations;
mod payments;
mod server;
mod status;
mod withdraws;

pub use server::{GrpcOptions, Services, serve};
