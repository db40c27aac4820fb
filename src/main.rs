//! The operator's binary.

use std::process::ExitCode;

use clap::Parser;
use zitadel_operator::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().execute().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zitadel-operator: {error}");
            ExitCode::FAILURE
        }
    }
}
