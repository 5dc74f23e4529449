//! The command line: what can be asked, and which part answers.

mod bench;
mod chaos;
mod destination;
mod down;
mod guard;
mod logs;
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
use harness::runtime::Choice;

const EXIT_CODES: &str = "\
Exit codes:
  0    done, and all that was checked held
  1    the mesh did not do what it should; what was expected, what was seen and the logs are printed
  2    this machine would not let it run (a port that is held, no engine, ...); what to do is printed
  130  interrupted before it was done

Environment:
  FRONTEND_PORT, LB_A_PORT, LB_B_PORT  host ports, by default 8080, 8081 and 8082
  MESH_NAME                            project name, by default `example`
  MESH_IMAGE                           image name, by default `service-mesh-example`
  DOCKER_HOST                          the engine's socket, as unix:///path/to/docker.sock";

/// Seconds that a mesh may take to be ready.
const DEFAULT_TIMEOUT: u64 = 30;

/// Runs and checks the example mesh: five containers or groups of processes, each a sidecar with a program.
///
/// Without a command it does what `up` does.
#[derive(Debug, Parser)]
#[command(name = "harness", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: Up,
    #[command(flatten)]
    project: Project,
    /// What runs the containers
    #[arg(long, global = true, value_name = "RUNTIME", value_enum, default_value_t)]
    runtime: Choice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build what is needed, start the mesh, wait until every path answers, and keep it until Ctrl-C
    Up(Up),
    /// Stop the mesh gracefully and remove its containers and its network, whoever started it
    Down,
    /// Show each sidecar's view of the mesh and what disagrees
    Status,
    /// Show what the containers wrote
    Logs(Logs),
    /// Check a mesh of its own end to end, beside any that runs, and report what was measured
    Test(test::Wish),
    /// Break the sidecar on purpose, one thing at a time, and require that the scenarios notice
    Selftest(selftest::Wish),
    /// Show what happened around a failure: the newest that `test` or `chaos` wrote down, or that of a file
    Why {
        /// The file that the failure named
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Break a mesh of its own at random under traffic, and check that it recovers; a failure can be done again
    Chaos(chaos::Wish),
    /// Measure how fast and how frugal the sidecar is, beside other proxies
    Bench(bench::Wish),
    /// Take away what a run leaves when it is killed; the harness starts this itself
    #[command(hide = true)]
    Watchdog {
        /// The run
        run: String,
    },
}

#[derive(Debug, Args)]
struct Up {
    #[command(flatten)]
    build: Build,
    /// Leave the mesh running; `harness down` takes it away
    #[arg(short, long)]
    detach: bool,
    /// Seconds that the mesh may take to be ready
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_TIMEOUT, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

#[derive(Debug, Args)]
struct Build {
    /// Use the image that is there instead of compiling it, for instance one from compose/Dockerfile
    #[arg(long)]
    no_build: bool,
}

#[derive(Debug, Args)]
struct Project {
    /// The mesh's name: its Compose project, and the prefix of its containers' names [default: $MESH_NAME or example]
    #[arg(short = 'p', long = "project", global = true, value_name = "NAME", value_parser = project_name)]
    name: Option<String>,
}

#[derive(Debug, Args)]
struct Logs {
    /// A service's or a container's name, such as service-a2 or example-lb; all where it is left out
    #[arg(value_name = "NAME")]
    node: Option<String>,
    /// Go on with what they write from now on
    #[arg(short, long)]
    follow: bool,
    /// Show only the last lines of each
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
}

impl Up {
    /// Whether it is what `up` without options would be. Before a command options of `up` mean nothing.
    fn plain(&self) -> bool {
        !self.detach && !self.build.no_build && self.timeout == DEFAULT_TIMEOUT
    }
}

impl Project {
    fn name(&self) -> Result<String, Error> {
        let given = self
            .name
            .clone()
            .or_else(|| std::env::var("MESH_NAME").ok().filter(|name| !name.is_empty()));
        let name = given.unwrap_or_else(|| "example".to_owned());
        project_name(&name).map_err(|fault| Error::environment(fault, "choose another MESH_NAME"))
    }
}

/// Compose's rule for names of projects.
fn project_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let held =
        text.starts_with(plain) && text.chars().all(|c| plain(c) || c == '-' || c == '_') && text.len() <= 40;
    let expected = || {
        format!(
            "project name `{text}`: expected at most 40 of a-z, 0-9, - and _, the first a letter or digit"
        )
    };
    if held {
        Ok(text.to_owned())
    } else {
        Err(expected())
    }
}

/// Does what was asked.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Error> {
    let begun = Instant::now();
    let interrupts = Interrupts::listen().map_err(|error| {
        Error::environment(
            format!("signals cannot be heard: {error}"),
            "run it where processes may handle signals",
        )
    })?;
    let project = arguments.project;
    let choice = arguments.runtime;
    if arguments.command.is_some() && !arguments.up.plain() {
        return Err(Error::environment(
            "--detach, --timeout or --no-build stands before a command",
            "write it behind the command that it is for",
        ));
    }
    match arguments.command.unwrap_or(Command::Up(arguments.up)) {
        Command::Up(up) => {
            let limit = Duration::from_secs(up.timeout);
            let wish = up::Wish {
                project: project.name()?,
                choice,
                build: !up.build.no_build,
                detach: up.detach,
                limit,
            };
            up::run(wish, begun, interrupts).await
        }
        Command::Down => down::run(&project.name()?, choice, &interrupts).await,
        Command::Status => status::run(&project.name()?, choice).await,
        Command::Logs(logs) => {
            let project = project.name()?;
            logs::run(
                &project,
                choice,
                logs::Wish {
                    name: logs.node.as_deref(),
                    tail: logs.tail,
                    follow: logs.follow,
                    timestamps: logs.timestamps,
                },
                &interrupts,
            )
            .await
        }
        Command::Test(_) if project.name.is_some() => Err(Error::environment(
            "`test` takes a project name of its own",
            "leave out -p",
        )),
        Command::Chaos(_) if project.name.is_some() => Err(Error::environment(
            "`chaos` takes a project name of its own",
            "leave out -p",
        )),
        Command::Bench(wish) => bench::run(wish, project.name, choice, &interrupts).await,
        Command::Chaos(wish) => chaos::run(wish, choice, interrupts).await,
        Command::Selftest(_) if project.name.is_some() => Err(Error::environment(
            "`selftest` takes project names of its own",
            "leave out -p",
        )),
        Command::Selftest(wish) => selftest::run(choice, wish, interrupts).await,
        Command::Watchdog { run } => watchdog::run(&run, choice).await,
        Command::Test(wish) => test::run(choice, wish, begun, interrupts).await,
        Command::Why { file } => why::run(file),
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
        assert_eq!(plain.project.name.as_deref(), Some("other"));
        assert!(
            matches!(Arguments::parse_from(["harness", "up", "-d"]).command, Some(Command::Up(up)) if up.detach)
        );
    }

    #[test]
    fn the_project_may_be_named_before_and_behind_the_command() {
        for line in [["-p", "other", "status"], ["status", "-p", "other"]] {
            let parsed = Arguments::parse_from(std::iter::once("harness").chain(line));
            assert!(matches!(parsed.command, Some(Command::Status)), "{line:?}");
            assert!(parsed.up.plain(), "{line:?}");
            assert_eq!(parsed.project.name.as_deref(), Some("other"), "{line:?}");
        }
        assert!(!Arguments::parse_from(["harness", "-d", "status"]).up.plain());
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
        assert!(matches!(parsed.command, Some(Command::Test(_))), "{parsed:?}");
        for wrong in [["--repeat", "0"], ["--require", "nothing"]] {
            assert!(
                Arguments::try_parse_from(["harness", "test"].into_iter().chain(wrong)).is_err(),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn project_names_follow_composes_rule() {
        for name in ["example", "a", "mesh-2_x"] {
            assert_eq!(project_name(name).as_deref(), Ok(name));
        }
        for name in ["", "-a", "Upper", "dot.ted", "sp ace", &"x".repeat(41)] {
            assert!(project_name(name).is_err(), "{name}");
        }
    }
}
