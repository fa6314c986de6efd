//! The `withdrawd` binary. The library documents it.

use std::process::ExitCode;

use withdrawd::{cli::Cli, report::chain};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::read().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("withdrawd: {}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
