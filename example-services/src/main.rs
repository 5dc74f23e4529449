//! Both programs of the example mesh in one file, which keeps the image small: it acts by the name that it is
//! called by, `service` or `frontend`, or by the first word behind its own.

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
    called: Called,
}

#[derive(Subcommand)]
enum Called {
    /// The programs of the example mesh. Called by a program's own name, it is that program
    #[command(name = "example-services", version)]
    ByFirstWord {
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
    match Cli::parse().called {
        Called::ByFirstWord { program } | Called::ByName(program) => match program {
            Program::Service(args) => args.run(),
            Program::Frontend(args) => args.run(),
        },
    }
}
