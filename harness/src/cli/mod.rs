//! The command line: what can be asked, and which part answers.

mod attach;
mod bench;
mod chaos;
mod destination;
mod down;
mod guard;
mod logs;
mod output;
mod place;
mod prepare;
mod selftest;
mod status;
mod test;
mod up;
mod watch;
mod watchdog;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use harness::error::Error;
use harness::interrupt::Interrupts;

use self::place::{EngineArgs, Needs, Place};

const EXIT_CODES: &str = "\
Exit codes:
  0    success: everything that was checked held
  1    the mesh did not behave as it should (what was expected, what was seen and
       the logs are printed), or somebody else removed the mesh that `up` stays with
  2    the environment got in the way: a port in use, no engine, ... (what to do is printed)
  130  interrupted before it was done

Environment:
  FRONTEND_PORT, LB_A_PORT, LB_B_PORT  host ports (default: 8080, 8081, 8082)
  MESH_NAME                            project name (default: example)
  MESH_IMAGE                           image name (default: service-mesh-example)
  DOCKER_HOST                          the engine's socket, such as unix:///path/to/docker.sock
  NO_COLOR                             if it is not empty, nothing is coloured";

/// Seconds that a mesh may take to be ready.
const DEFAULT_TIMEOUT: u64 = 30;

/// Runs and checks the example mesh: five nodes with a sidecar each, as containers or as processes.
///
/// Without a command, does the same as `up`.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build and start the mesh, wait until every path answers, and keep it running until Ctrl-C
    Up(Up),
    /// Stop the mesh gracefully and remove its containers and network, no matter who started it
    Down(Place),
    /// Show each sidecar's view of the mesh and where they disagree
    Status(Place),
    /// Show the containers' logs
    Logs(Logs),
    /// Start a mesh beside any that runs, test it end to end, and report what was measured
    Test {
        #[command(flatten)]
        wish: test::Wish,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Break the sidecar on purpose, one thing at a time, and require the scenarios to notice
    Selftest {
        #[command(flatten)]
        wish: selftest::Wish,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Show what happened around a failure of `test` or `chaos`: the newest one, or the one in FILE
    Why {
        /// The file named in the failure's message
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Start a mesh, break it at random under traffic, and check that it recovers; failures can be replayed
    Chaos {
        #[command(flatten)]
        wish: chaos::Wish,
        #[command(flatten)]
        engine: EngineArgs,
    },
    /// Measure the data plane, a whole mesh, or how fast a mesh converges
    Bench(bench::Wish),
    /// Remove what a run leaves behind when it is killed; started by the harness itself
    #[command(hide = true)]
    Watchdog {
        /// The run
        run: String,
        #[command(flatten)]
        engine: EngineArgs,
    },
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    build: Build,
    /// Leave the mesh running; `harness down` removes it
    #[arg(short, long)]
    detach: bool,
    /// How long to wait for the mesh to become ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct Build {
    /// Use the existing image instead of building one
    #[arg(long)]
    no_build: bool,
}

#[derive(Debug, Args)]
struct Logs {
    /// A service or a container, such as service-a2 or example-lb [default: all]
    #[arg(value_name = "NAME")]
    node: Option<String>,
    /// Keep printing new lines
    #[arg(short, long)]
    follow: bool,
    /// Show only the last LINES lines of each container
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    #[command(flatten)]
    place: Place,
}

impl Up {
    /// Whether it is what `up` without options would be. Before a command options of `up` mean nothing.
    fn plain(&self) -> bool {
        !self.detach && !self.build.no_build && self.timeout == DEFAULT_TIMEOUT
    }
}

impl Command {
    /// What of a place it has a use for.
    fn needs(&self) -> Needs {
        match self {
            Self::Up(_) | Self::Down(_) | Self::Status(_) | Self::Logs(_) => Needs::Place,
            Self::Test { .. } | Self::Selftest { .. } | Self::Chaos { .. } | Self::Watchdog { .. } => {
                Needs::Engine
            }
            Self::Why { .. } => Needs::Nothing,
            Self::Bench(wish) => wish.needs(),
        }
    }
}

/// Does what was asked.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let begun = Instant::now();
    let interrupts = Interrupts::listen().map_err(|error| {
        Error::environment(
            format!("cannot listen for signals: {error}"),
            "run it where a process may handle signals",
        )
    })?;
    let (command, before) = match arguments.command {
        None => (Command::Up(arguments.up), Place::default()),
        Some(_) if !arguments.up.plain() => {
            return Err(Error::environment(
                "--detach, --timeout or --no-build is given before a command",
                "put it after the command that it is for",
            ));
        }
        Some(command) => (command, arguments.up.place),
    };
    before.no_more_than(command.needs())?;
    match command {
        Command::Up(up) => {
            let place = up.place.or(before);
            let limit = Duration::from_secs(up.timeout);
            let wish = up::Wish {
                project: place.name()?,
                choice: place.choice(),
                build: !up.build.no_build,
                detach: up.detach,
                limit,
            };
            up::run(wish, begun, interrupts).await
        }
        Command::Down(place) => {
            let place = place.or(before);
            down::run(&place.name()?, place.choice(), &interrupts).await
        }
        Command::Status(place) => {
            let place = place.or(before);
            status::run(&place.name()?, place.choice()).await
        }
        Command::Logs(logs) => {
            let place = logs.place.or(before);
            let wish = logs::Wish {
                name: logs.node.as_deref(),
                tail: logs.tail,
                follow: logs.follow,
                timestamps: logs.timestamps,
            };
            logs::run(&place.name()?, place.choice(), wish, &interrupts).await
        }
        Command::Test { wish, engine } => test::run(engine.choice(&before), wish, begun, interrupts).await,
        Command::Selftest { wish, engine } => selftest::run(engine.choice(&before), wish, interrupts).await,
        Command::Why { file } => why::run(file),
        Command::Chaos { wish, engine } => chaos::run(wish, engine.choice(&before), interrupts).await,
        Command::Bench(wish) => bench::run(wish, before, &interrupts).await,
        Command::Watchdog { run, engine } => watchdog::run(&run, engine.choice(&before)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound_and_up_is_the_default() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
        let plain = Arguments::parse_from(["harness", "--detach", "-p", "other"]);
        assert!(plain.command.is_none() && plain.up.detach);
        assert_eq!(plain.up.place.project.as_deref(), Some("other"));
        assert!(
            matches!(Arguments::parse_from(["harness", "up", "-d"]).command, Some(Command::Up(up)) if up.detach)
        );
    }

    #[test]
    fn the_project_may_be_named_before_and_behind_the_command() {
        for line in [["-p", "other", "status"], ["status", "-p", "other"]] {
            let parsed = Arguments::parse_from(std::iter::once("harness").chain(line));
            assert!(parsed.up.plain(), "{line:?}");
            let Some(Command::Status(place)) = parsed.command else {
                panic!("{line:?}");
            };
            let place = place.or(parsed.up.place);
            assert_eq!(place.project.as_deref(), Some("other"), "{line:?}");
        }
        assert!(!Arguments::parse_from(["harness", "-d", "status"]).up.plain());
    }

    #[test]
    fn no_command_takes_or_shows_a_place_that_means_nothing_to_it() {
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
    fn filters_of_test_add_up() {
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
        assert!(matches!(parsed.command, Some(Command::Test { .. })), "{parsed:?}");
        for wrong in [["--repeat", "0"], ["--require", "nothing"]] {
            assert!(
                Arguments::try_parse_from(["harness", "test"].into_iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }
}
