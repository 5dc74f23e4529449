//! Both programs of the example mesh in one executable, which keeps the image small. It runs the program that it is
//! called as, `service` or `frontend`, or that its first argument names.

mod frontend_args;
mod service_args;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::frontend_args::FrontendArgs;
use crate::service_args::ServiceArgs;

#[derive(Parser)]
#[command(multicall = true)]
struct Cli {
    #[command(subcommand)]
    call: Call,
}

#[derive(Subcommand)]
enum Call {
    /// The programs of the example mesh. Called by a program's own name, it is that program
    #[command(name = "example-services", version)]
    ByArgument {
        #[command(subcommand)]
        program: Program,
    },
    #[command(flatten)]
    ByName(Program),
}

#[derive(Subcommand)]
enum Program {
    /// Register at the sidecar, listen on the port it gives, and answer GET / with name, host and port
    #[command(version)]
    Service(ServiceArgs),
    /// Answer GET /service-NAME with what an instance of that service says, fetched through the sidecar
    #[command(version)]
    Frontend(FrontendArgs),
}

fn main() -> ExitCode {
    match Cli::parse().call {
        Call::ByArgument { program } | Call::ByName(program) => match program {
            Program::Service(args) => args.run(),
            Program::Frontend(args) => args.run(),
        },
    }
}
