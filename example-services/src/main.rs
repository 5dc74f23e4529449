//! Both programs of the example mesh in one executable, which keeps the image small. The program, `service` or
//! `frontend`, is selected by the name under which it is called, or by its first argument.

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
    /// The programs of the example mesh. If called by the name of a program, runs that program
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
    /// Register at the sidecar, listen on the port that it allocates, and answer GET / with name, host and port
    #[command(version)]
    Service(ServiceArgs),
    /// Answer GET /service-NAME with the response of an instance of that service, fetched through the sidecar
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
