//! The gRPC side: `withdraw.v1.WithdrawService`, health and reflection.

mod convert;
mod json;
mod observe;
mod operations;
mod server;
mod status;
mod withdraws;

pub use server::{GrpcOptions, Health, LIVENESS, READINESS, Services, serve};
