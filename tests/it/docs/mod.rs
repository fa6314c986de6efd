//! What is written: documents run as tests, deployments, the architecture.

pub mod architecture;
pub mod deploy;
pub mod operations_guide;
pub mod permissions;
pub mod prometheus;
pub mod readme;
