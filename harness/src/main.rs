//! The harness program.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    match cli::run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            // An error is ignored: the exit code remains.
            let _ = writeln!(std::io::stderr(), "harness: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
