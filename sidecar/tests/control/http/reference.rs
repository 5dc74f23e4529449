//! The examples of docs/commands.md, executed in order.
//!
//! A block marked `commands` contains commands after `> `, each followed by its answer. A block marked `http`
//! contains requests after `> `: method, path, and the body, if any.

use std::time::{Duration, Instant};

use serde_json::Value;
use sidecar::control::{Command, Reply};

use super::addresses::Mapped;
use super::support::Api;

const REFERENCE: &str = include_str!("../../../../docs/commands.md");
const WAIT_TIMEOUT: Duration = Duration::from_secs(10);

/// A command or request of the reference, and its documented answer.
struct Example {
    line: usize,
    is_http: bool,
    request: String,
    answer: Vec<String>,
}

fn examples() -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut block = None;
    for (number, line) in REFERENCE.lines().enumerate() {
        if let Some(marker) = line.strip_prefix("```") {
            block = match (block, marker) {
                (None, marker) => Some(marker),
                (Some(_), _) => None,
            };
            continue;
        }
        if !matches!(block, Some("commands" | "http")) {
            continue;
        }
        match (line.strip_prefix("> "), examples.last_mut()) {
            (Some(request), _) => examples.push(Example {
                line: number + 1,
                is_http: block == Some("http"),
                request: request.to_owned(),
                answer: Vec::new(),
            }),
            (None, Some(example)) => example.answer.push(line.to_owned()),
            (None, None) => panic!("line {}: an answer without a command", number + 1),
        }
    }
    examples
}

async fn execute(api: &Api, request: &str) -> Vec<String> {
    let outcome = match request.parse::<Command>() {
        Ok(command) => api.controller.execute(command).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Reply::Done) => vec!["OK".to_owned()],
        Ok(Reply::Lines(lines)) => lines,
        Ok(Reply::Count(count)) => vec![format!("(integer) {count}")],
        Ok(Reply::Unsaved(error)) => panic!("{error}"),
        Err(error) => vec![format!("(error) {error}")],
    }
}

async fn ask(api: &Api, request: &str) -> Vec<String> {
    let mut parts = request.splitn(3, ' ');
    let mut part = || parts.next().unwrap_or_default();
    let (status, body) = api.ask(part(), part(), part()).await;
    vec![format!("{status} {body}").trim_end().to_owned()]
}

/// Compares lines, or status and JSON.
fn alike(answer: &[String], expected: &[String]) -> bool {
    fn json(lines: &[String]) -> Option<(String, Value)> {
        let text = lines.join(" ");
        let (status, body) = text.split_once(' ')?;
        Some((status.to_owned(), serde_json::from_str(body).ok()?))
    }
    answer == expected || json(answer).is_some_and(|answer| json(expected) == Some(answer))
}

#[tokio::test]
async fn every_example_is_answered_as_shown() {
    let api = Api::open().await;
    let mut mapped = Mapped::default();
    mapped.serve("127.0.0.1:9001", "127.0.0.1").await;
    mapped.serve("127.0.0.1:9002", "127.0.0.1").await;
    for listener in ["127.0.0.1:1080", "127.0.0.1:8081", "127.0.0.1:8082"] {
        mapped.hold(listener);
    }
    let port = mapped.hold("127.0.0.1:12345").port();
    mapped.pairs.push(("12345".to_owned(), port.to_string()));
    let examples = examples();
    for Example {
        line,
        is_http,
        request,
        answer: expected,
    } in &examples
    {
        let request = mapped.ours(request);
        let deadline = Instant::now() + WAIT_TIMEOUT;
        let answer = loop {
            let answer = match is_http {
                true => ask(&api, &request).await,
                false => execute(&api, &request).await,
            };
            let answer: Vec<String> = answer.iter().map(|line| mapped.written(line)).collect();
            // Only health checks change answers over time.
            let waits = answer.iter().any(|line| line.contains("DOWN"));
            if alike(&answer, expected) || !waits || Instant::now() > deadline {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(
            alike(&answer, expected),
            "docs/commands.md, line {line}: {request}\nis answered\n{}\ninstead of\n{}",
            answer.join("\n"),
            expected.join("\n")
        );
    }
    assert!(examples.len() > 60, "only {} examples were found", examples.len());
}

#[tokio::test]
async fn every_field_and_path_is_in_the_reference() {
    let quoted = |word: &str| {
        assert!(
            REFERENCE.contains(&format!("`{word}`")),
            "`{word}` is not explained"
        );
    };
    let api = Api::open().await;
    let document = api.read("/api/v1/openapi.json").await;
    for (path, item) in document["paths"].as_object().expect("paths") {
        for operation in item.as_object().expect("operations").values() {
            let body = operation.pointer("/requestBody/content/application~1json/schema/properties");
            let fields = body.and_then(Value::as_object).into_iter().flatten();
            fields.for_each(|(name, _)| quoted(name));
        }
        if path.starts_with("/api/v1/channel") || path.starts_with("/api/v1/statistics") {
            let last = path
                .rsplit('/')
                .find(|part| !part.starts_with('{'))
                .expect("a word");
            assert!(REFERENCE.contains(last), "{path} is not explained");
        }
    }
}
