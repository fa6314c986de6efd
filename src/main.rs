//! `withdrawd`: see the library.

use std::process::ExitCode;

use withdrawd::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::read().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("withdrawd: {error:#}");
            ExitCode::FAILURE
        }
    }
}
