//! The gRPC side: `withdraw.v1` services, health and reflection.

mod code;
mod convert;
mod convert_payment;
mod deadline;
mod fit;
mod json;
mod measure;
mod observe;
mod operations;
mod payments;
mod server;
mod status;
mod withdraws;

pub use server::{GrpcOptions, Services, serve};
