//! The harness's reader of Compose files compared with the installed versions of Compose.

#![allow(
    clippy::unwrap_used,
    reason = "a failing helper fails its test, as an assertion does"
)]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::compose::cli::ComposeCli;
use harness::compose::{ComposeFile, Environment, Service};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

/// Generated files for each version, and values in each.
const FILES: u64 = 12;
const VALUES: usize = 40;

/// What a version of Compose understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// `docker-compose` 1.29: no variable in another's default, no `+`, and in `.env` only `${NAME}` and
    /// `${NAME:-default}`.
    Old,
    /// `docker compose`.
    New,
}

fn dialect(program: ComposeCli) -> Dialect {
    if program.to_string() == "docker compose" {
        Dialect::New
    } else {
        Dialect::Old
    }
}

/// The shell's variables of the generated cases.
const SHELL: [(&str, &str); 4] = [
    ("SET", "shell value"),
    ("EMPTY", ""),
    ("BOTH", "shell's"),
    ("OTHER", "1"),
];
/// The names that values use. `UNSET` has no value; the last two stand in `.env`.
const NAMES: [&str; 7] = ["SET", "EMPTY", "BOTH", "OTHER", "UNSET", "FILE", "QUOTED"];

fn pick<'a>(rng: &mut StdRng, from: &[&'a str]) -> &'a str {
    from.choose(rng).unwrap()
}

/// Text without variables, quotes and braces.
fn literal(rng: &mut StdRng) -> String {
    pick(
        rng,
        &["a", "b-c", "x y", "é", "/p", ":", "-d", "?", "+e", ":-f", "0"],
    )
    .to_owned()
}

/// Text with variables, for a value of a Compose file.
fn template(rng: &mut StdRng, dialect: Dialect, depth: usize) -> String {
    let mut text = String::new();
    for _ in 0..rng.random_range(1..4) {
        match rng.random_range(0..6) {
            0 => text.push_str(&literal(rng)),
            1 if dialect == Dialect::New || depth == 0 => text.push_str("$$"),
            2 if dialect == Dialect::New => text.push_str(pick(rng, &["$ ", "$1", "$-"])),
            _ => text.push_str(&variable(rng, dialect, depth)),
        }
    }
    text
}

fn variable(rng: &mut StdRng, dialect: Dialect, depth: usize) -> String {
    let name = pick(rng, &NAMES);
    let word = match dialect {
        Dialect::New if depth < 3 => template(rng, dialect, depth + 1),
        _ => literal(rng),
    };
    match rng.random_range(0..6) {
        0 => format!("${name}."),
        1 => format!("${{{name}}}"),
        2 => format!("${{{name}:-{word}}}"),
        3 => format!("${{{name}-{word}}}"),
        4 if dialect == Dialect::New => format!("${{{name}{}{word}}}", pick(rng, &["+", ":+"])),
        _ => format!("${{SET{}{}}}", pick(rng, &["?", ":?"]), literal(rng)),
    }
}

/// A `.env` file that both versions read alike, or `docker compose` alone.
fn dotenv(rng: &mut StdRng, dialect: Dialect) -> String {
    let end = pick(rng, &["\n", "\r\n"]);
    let mut text = pick(rng, &["", "\u{feff}"]).to_owned();
    for name in ["FILE", "BOTH", "QUOTED", "FILE"] {
        let before = pick(rng, &["", "# a comment = \"", "  "]);
        let export = pick(rng, &["", "export ", "export  "]);
        let equals = match dialect {
            Dialect::New => pick(rng, &["=", " = ", ": "]),
            Dialect::Old => pick(rng, &["=", " = "]),
        };
        let comment = pick(rng, &["", " # c", "  # 'c\""]);
        let value = dotenv_value(rng, dialect);
        let _ = write!(text, "{before}{end}{export}{name}{equals}{value}{comment}{end}");
    }
    text
}

fn dotenv_value(rng: &mut StdRng, dialect: Dialect) -> String {
    let expanded = match dialect {
        Dialect::New => template(rng, dialect, 1),
        Dialect::Old => format!(
            "{}{}",
            literal(rng),
            pick(rng, &["${SET}", "${UNSET:-d e}", "${OTHER}"])
        ),
    };
    match rng.random_range(0..4) {
        // A leading sign of a comment or a quote would be another form.
        0 => format!("v{}", expanded.trim_end()),
        1 => {
            // The older version takes a quote after two backslashes for an escaped one.
            let ends: &[&str] = match dialect {
                Dialect::New => &["", "\\n", "\\t\\\"", "\\\\", " # "],
                Dialect::Old => &["", "\\n", "\\t\\\"", " # "],
            };
            format!("\"{expanded}{}\"", pick(rng, ends))
        }
        2 => format!(
            "'{}{}'",
            literal(rng),
            pick(rng, &["", "\\n", "\\'", " # ", "\""])
        ),
        _ => String::new(),
    }
}

/// A Compose file whose values are environment variables of one service.
fn compose_file(values: &[String]) -> String {
    let mut text = String::from(
        "services:\n  s:\n    image: i\n    container_name: c\n    networks: [n]\n    environment:\n",
    );
    for (number, value) in values.iter().enumerate() {
        let _ = writeln!(text, "      V{number}: {}", serde_json::to_string(value).unwrap());
    }
    text + "networks: {n: {}}\n"
}

/// A directory with a Compose file and a `.env`.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new(compose: &str, dotenv: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("compose.yaml"), compose).unwrap();
        std::fs::write(directory.path().join(".env"), dotenv).unwrap();
        Self { directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("compose.yaml")
    }

    fn ours(&self) -> Result<ComposeFile, String> {
        ours(&self.path(), &SHELL).map(|(file, _)| file)
    }
}

/// The file and the project's name as the harness reads them.
fn ours(path: &Path, shell: &[(&str, &str)]) -> Result<(ComposeFile, String), String> {
    let shell = shell
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment = Environment::beside(path, shell).map_err(|error| error.to_string())?;
    let file = ComposeFile::read(path, &|name| environment.get(name)).map_err(|error| error.to_string())?;
    Ok((file, environment.project_name()))
}

/// The file as Compose reads it.
async fn theirs(program: ComposeCli, path: &Path, shell: &[(&str, &str)]) -> Result<Value, String> {
    let printed = program.run(&[path], None, None, shell, &["config"]).await?;
    // Compose prints dollar signs as it reads them.
    serde_saphyr::from_str(&printed.replace("$$", "$")).map_err(|error| format!("{error}\n{printed}"))
}

fn environment(config: &Value) -> BTreeMap<String, String> {
    let variables = config["services"]["s"]["environment"].as_object().unwrap();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    variables
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

#[tokio::test]
async fn generated_values_and_env_files_are_read_as_compose_reads_them() {
    for program in tests::compose().await.unwrap() {
        for _ in 0..FILES {
            let seed: u64 = rand::random();
            let mut rng = StdRng::seed_from_u64(seed);
            let dialect = dialect(program);
            let values: Vec<String> = (0..VALUES).map(|_| template(&mut rng, dialect, 0)).collect();
            let dotenv = dotenv(&mut rng, dialect);
            let files = Files::new(&compose_file(&values), &dotenv);
            let theirs = theirs(program, &files.path(), &SHELL).await;
            let theirs = theirs.unwrap_or_else(|error| panic!("{program}, seed {seed}: {error}\n{dotenv}"));
            let ours = files.ours();
            let ours = ours.unwrap_or_else(|error| panic!("{program}, seed {seed}: {error}\n{dotenv}"));
            let (ours, theirs) = (&ours.services[0].environment, environment(&theirs));
            for (number, value) in values.iter().enumerate() {
                let name = format!("V{number}");
                assert_eq!(
                    ours[&name], theirs[&name],
                    "ours and that of {program} for {value}, seed {seed}, .env:\n{dotenv}"
                );
            }
        }
    }
}

#[tokio::test]
async fn what_docker_compose_refuses_is_refused() {
    let cases = [
        ("${SET", ""),
        ("${}", ""),
        ("${1}", ""),
        ("${SET!}", ""),
        ("${SET:x}", ""),
        ("${SET:=x}", ""),
        ("${a b}", ""),
        ("${UNSET:?no}", ""),
        ("${EMPTY:?no}", ""),
        ("${UNSET?}", ""),
        ("${SET:-${UNSET:?no}}", ""),
        ("${UNSET:-${}}", ""),
        ("x", "A B=1"),
        ("x", "A!=1"),
        ("x", "A=\"x"),
        ("x", "A='x"),
        ("x", "A=${B:?no}"),
        ("x", "A=${B"),
        ("x", "=1\n"),
        // These are fine.
        ("${EMPTY?no}${SET:?no}", "A=1"),
    ];
    for program in tests::compose().await.unwrap() {
        for (value, dotenv) in cases {
            // The older version ignores the lines of `.env` that it does not understand, and nests no variables.
            if dialect(program) == Dialect::Old && (!dotenv.is_empty() || value.contains(":-")) {
                continue;
            }
            let files = Files::new(&compose_file(&[value.to_owned()]), dotenv);
            let (ours, theirs) = (files.ours(), theirs(program, &files.path(), &SHELL).await);
            assert_eq!(
                ours.is_err(),
                theirs.is_err(),
                "{value}, .env {dotenv}: ours {ours:?}, that of {program} {theirs:?}"
            );
        }
    }
}

/// A service, with what the versions print differently in one form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparable {
    image: String,
    container_name: String,
    command: Vec<String>,
    ports: Vec<(String, String, u64)>,
    networks: Vec<String>,
    read_only: bool,
    test: Vec<String>,
}

fn from_ours(service: &Service) -> Comparable {
    let port = |port: &harness::compose::PublishedPort| {
        let host = port.host_port.map(|port| port.to_string()).unwrap_or_default();
        (port.host_ip.to_string(), host, u64::from(port.container_port))
    };
    Comparable {
        image: service.image.clone(),
        container_name: service.container_name.clone(),
        command: service.command.clone(),
        ports: service.ports.iter().map(port).collect(),
        networks: service.networks.clone(),
        read_only: service.read_only,
        test: service
            .healthcheck
            .as_ref()
            .map(|check| check.test.clone())
            .unwrap_or_default(),
    }
}

fn from_theirs(service: &Value) -> Comparable {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let texts = |value: &Value| {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(text)
            .collect::<Vec<_>>()
    };
    let port = |port: &Value| match port.as_str() {
        Some(short) => {
            let parts: Vec<&str> = short.trim_end_matches("/tcp").split(':').collect();
            let [ip, host, container] = parts[..] else {
                panic!("{short}")
            };
            (
                ip.to_owned(),
                host.replace('0', if host == "0" { "" } else { "0" }),
                container.parse().unwrap(),
            )
        }
        None => {
            let host = text(&port["published"]);
            let host = if host == "0" { String::new() } else { host };
            (text(&port["host_ip"]), host, port["target"].as_u64().unwrap())
        }
    };
    Comparable {
        image: text(&service["image"]),
        container_name: text(&service["container_name"]),
        command: texts(&service["command"]),
        ports: service["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(port)
            .collect(),
        networks: service["networks"].as_object().unwrap().keys().cloned().collect(),
        read_only: service["read_only"].as_bool().unwrap_or_default(),
        test: texts(&service["healthcheck"]["test"]),
    }
}

#[tokio::test]
async fn the_shipped_files_mean_the_same_to_both() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/compose.yaml");
    let path = path.canonicalize().unwrap();
    for program in tests::compose().await.unwrap() {
        for shell in [
            vec![],
            vec![
                ("MESH_NAME", "other"),
                ("FRONTEND_PORT", "9080"),
                ("LB_A_PORT", "0"),
                ("LB_B_HTTP_PORT", "9084"),
            ],
            vec![
                ("COMPOSE_PROJECT_NAME", "project"),
                ("MESH_IMAGE", "registry:5000/image:1"),
            ],
            vec![("MESH_NAME", "other"), ("COMPOSE_PROJECT_NAME", "project")],
        ] {
            let (ours, project) = ours(&path, &shell).unwrap();
            let theirs = theirs(program, &path, &shell).await.unwrap();
            if dialect(program) == Dialect::New {
                assert_eq!(theirs["name"], project, "{shell:?}");
            }
            for service in &ours.services {
                let theirs = from_theirs(&theirs["services"][&service.name]);
                assert_eq!(from_ours(service), theirs, "{program}, {shell:?}");
            }
        }
    }
}

/// Lists and merge keys, in the forms that the harness reads.
#[tokio::test]
async fn merged_keys_mean_the_same_to_both() {
    let text = r#"
x-one: &one {image: "${IMAGE:-i}", read_only: true, networks: [n]}
x-two: &two {image: two, command: [a, "b $$c"]}
services:
  s: {<<: [*one, *two], container_name: c, ports: ["127.0.0.1:${PORT:-1}:2", "127.0.0.1::3"]}
  t: {<<: *two, container_name: d, image: own, networks: [n], read_only: "${RO:-yes}"}
networks: {n: }
"#;
    for program in tests::compose().await.unwrap() {
        let files = Files::new(text, "PORT=\"8\"\r\nIMAGE='from file' # c\r\n");
        let theirs = theirs(program, &files.path(), &[]).await.unwrap();
        for service in &files.ours().unwrap().services {
            assert_eq!(
                from_ours(service),
                from_theirs(&theirs["services"][&service.name]),
                "{program}"
            );
        }
    }
}
