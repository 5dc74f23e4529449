//! The command line: the commands, and the flags that may precede them.
//!
//! Each command has a file with its arguments and its `run`.

mod bench;
mod chaos;
mod down;
mod file_args;
mod guard;
mod listing;
mod logs;
mod mesh_args;
mod output;
mod prepare;
mod project;
mod scale;
mod selftest;
mod status;
mod test;
mod up;
mod watch;
mod watchdog;
mod why;

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use harness::error::Error;
use harness::interrupt::Interrupts;

use self::file_args::FileArgs;
use self::mesh_args::{Accepts, MeshArgs};

const AFTER_HELP: &str = "\
Exit codes:
  0    success: every check passed
  1    the mesh failed a check (expected, seen, and the logs are printed),
       or another process removed the mesh that `up` keeps running
  2    the environment failed: a port in use, no engine, ...
       (advice is printed)
  130  interrupted

Environment (the first seven also from compose/.env, as in Compose):
  FRONTEND_PORT, LB_A_PORT, LB_B_PORT, LB_A_HTTP_PORT, LB_B_HTTP_PORT
                  host ports [default: 8080, 8081, 8082, 8083, 8084]
  MESH_NAME       name of the mesh: its Compose project and the prefix of its
                  container names [default: example]
  COMPOSE_PROJECT_NAME
                  name of the Compose project alone [default: $MESH_NAME]
  COMPOSE_FILE    without -f: files of a Compose project of yours, as for Compose
  MESH_COMPOSE    with -f: `docker compose` or `docker-compose`
                  [default: the first that runs]
  MESH_IMAGE      image name [default: service-mesh-example]
  DOCKER_HOST     the engine's socket, such as unix:///path/to/docker.sock
  NO_COLOR        no colours if set and not empty";

/// Run and check the example mesh: five nodes, each with a sidecar, as Docker
/// containers or as local processes.
///
/// Without a command, does the same as `up`.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: up::UpArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and start the mesh, wait until it is ready, and keep it running until Ctrl-C
    Up(up::UpArgs),
    /// Stop the mesh gracefully and remove its containers and network, whatever started it
    Down(down::DownArgs),
    /// Show the nodes, the instances of all services, and where the sidecars' views deviate
    Status(status::StatusArgs),
    /// Change the number of containers of a service, such as service-a2=3
    Scale(scale::ScaleArgs),
    /// Print the containers' logs
    Logs(logs::LogsArgs),
    /// Take the waypoints out of the Compose project of -f, which goes on running
    Eject(project::EjectArgs),
    /// Print what `up` would add to the Compose project of -f, and leave out, and why
    Inject(project::InjectArgs),
    /// Start a private mesh, run the end-to-end scenarios, and report the measured objectives
    Test(test::TestArgs),
    /// Activate the sidecar's failpoints one at a time, and require a scenario to fail for each
    Selftest(selftest::SelftestArgs),
    /// Print the timeline of a failure of `test` or `chaos`: the newest, or FILE
    Why(why::WhyArgs),
    /// Start a private mesh, inject random faults under traffic, and check that it recovers
    Chaos(chaos::ChaosArgs),
    /// Measure the data plane, a whole mesh, or the convergence of a mesh
    Bench(bench::BenchArgs),
    /// Remove the leftovers of a killed run; started by the harness itself
    #[command(hide = true)]
    Watchdog(watchdog::WatchdogArgs),
}

impl Command {
    /// Whether -f may precede this command.
    fn takes_files(&self) -> bool {
        matches!(
            self,
            Self::Up(_)
                | Self::Down(_)
                | Self::Status(_)
                | Self::Scale(_)
                | Self::Logs(_)
                | Self::Eject(_)
                | Self::Inject(_)
        )
    }

    /// The flags that may precede this command.
    fn accepts(&self) -> Accepts {
        match self {
            Self::Up(_)
            | Self::Down(_)
            | Self::Status(_)
            | Self::Scale(_)
            | Self::Logs(_)
            | Self::Eject(_)
            | Self::Inject(_) => Accepts::Mesh,
            Self::Test(_) | Self::Selftest(_) | Self::Chaos(_) | Self::Watchdog(_) => Accepts::Engine,
            Self::Why(_) => Accepts::Nothing,
            Self::Bench(args) => args.needs(),
        }
    }
}

/// Runs the command.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let started_at = Instant::now();
    let interrupts = Interrupts::listen().map_err(|error| {
        Error::environment(
            format!("cannot handle signals: {error}"),
            "run the harness where processes may install signal handlers",
        )
    })?;
    let (command, before, files) = match arguments.command {
        None => (
            Command::Up(arguments.up),
            MeshArgs::default(),
            FileArgs::default(),
        ),
        Some(_) if !arguments.up.is_default() => {
            return Err(Error::environment(
                "--detach, --scale, --timeout, or --no-build precedes the command",
                "put it after the command",
            ));
        }
        Some(command) => (command, arguments.up.mesh, arguments.up.files),
    };
    before.check_accepted(command.accepts())?;
    files.check_accepted(command.takes_files())?;
    match command {
        Command::Up(args) => up::run(args, before, files, started_at, interrupts).await,
        Command::Down(args) => down::run(args, before, files, &interrupts).await,
        Command::Status(args) => status::run(args, before, files, &interrupts).await,
        Command::Scale(args) => scale::run(args, before, files, &interrupts).await,
        Command::Logs(args) => logs::run(args, before, files, &interrupts).await,
        Command::Eject(args) => project::eject(args.files.or(files), args.mesh.or(before)).await,
        Command::Inject(args) => {
            project::inject(args.files.or(files), args.mesh.or(before), &interrupts).await
        }
        Command::Test(args) => test::run(args, &before, started_at, interrupts).await,
        Command::Selftest(args) => selftest::run(args, &before, interrupts).await,
        Command::Why(args) => why::run(args, &interrupts).await,
        Command::Chaos(args) => chaos::run(args, &before, interrupts).await,
        Command::Bench(args) => bench::run(args, before, &interrupts).await,
        Command::Watchdog(args) => watchdog::run(args, &before).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn up_is_the_default_command() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let plain = Arguments::parse_from(["harness", "--detach", "-p", "other"]);
        assert!(plain.command.is_none() && plain.up.detach);
        assert_eq!(plain.up.mesh.project.as_deref(), Some("other"));
        assert!(
            matches!(Arguments::parse_from(["harness", "up", "-d"]).command, Some(Command::Up(up)) if up.detach)
        );
    }

    #[test]
    fn the_project_may_precede_or_follow_the_command() {
        for line in [["-p", "other", "status"], ["status", "-p", "other"]] {
            let parsed = Arguments::parse_from(std::iter::once("harness").chain(line));
            assert!(parsed.up.is_default(), "{line:?}");
            let Some(Command::Status(args)) = parsed.command else {
                panic!("{line:?}");
            };
            let args = args.mesh.or(parsed.up.mesh);
            assert_eq!(args.project.as_deref(), Some("other"), "{line:?}");
        }
        assert!(!Arguments::parse_from(["harness", "-d", "status"]).up.is_default());
    }

    #[test]
    fn commands_accept_and_show_only_the_flags_that_apply_to_them() {
        use clap::CommandFactory;
        let (project, engine) = (["-p", "other"], ["--runtime", "docker"]);
        for (command, takes_project, takes_engine) in [
            ("up", true, true),
            ("down", true, true),
            ("status", true, true),
            ("logs", true, true),
            ("bench mesh", true, true),
            ("bench convergence", false, true),
            ("bench data-plane", false, false),
            ("test", false, true),
            ("selftest", false, true),
            ("chaos", false, true),
            ("why", false, false),
        ] {
            for (flag, takes) in [(project, takes_project), (engine, takes_engine)] {
                let line = std::iter::once("harness").chain(command.split(' ')).chain(flag);
                let parsed = Arguments::try_parse_from(line);
                assert_eq!(parsed.is_ok(), takes, "{command} {flag:?}");
            }
            let mut found = Arguments::command();
            for word in command.split(' ') {
                found = found.find_subcommand(word).unwrap().clone();
            }
            let help = found.render_long_help().to_string();
            assert_eq!(help.contains("--project"), takes_project, "{help}");
            assert_eq!(help.contains("--runtime"), takes_engine, "{help}");
        }
    }

    #[test]
    fn a_mistyped_word_gets_a_suggestion() {
        for (line, meant) in [
            (&["harness", "statsu"][..], "'status'"),
            (&["harness", "up", "--detatch"], "'--detach'"),
            (&["harness", "bench", "converge"], "'convergence'"),
            (&["harness", "up", "--runtime", "dokcer"], "'docker'"),
        ] {
            let message = Arguments::try_parse_from(line).unwrap_err().to_string();
            assert!(
                message.contains("similar") && message.contains(meant),
                "{line:?}: {message}"
            );
        }
    }

    #[test]
    fn test_accepts_several_filters() {
        let line = [
            "harness",
            "test",
            "--filter",
            "a",
            "--filter",
            "b",
            "--repeat",
            "3",
            "--require",
            "docker",
        ];
        let parsed = Arguments::parse_from(line);
        assert!(matches!(parsed.command, Some(Command::Test(_))), "{parsed:?}");
        for wrong in [["--repeat", "0"], ["--require", "nothing"]] {
            assert!(
                Arguments::try_parse_from(["harness", "test"].into_iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
