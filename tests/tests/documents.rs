//! The README and `docs/`: every link and every file name in them refers to a file and a heading that exist.

#![allow(clippy::unwrap_used, reason = "a document that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A name in backticks that begins with one of these prefixes is a file or directory of this repository.
const PREFIXES: [&str; 8] = [
    "sidecar/",
    "harness/",
    "bench/",
    "tests/",
    "example-services/",
    "compose/",
    "docs/",
    ".ci/",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The documents' paths, relative to the root.
fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap();
    let mut all: Vec<PathBuf> = docs
        .map(|entry| Path::new("docs").join(entry.unwrap().file_name()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    all.push("README.md".into());
    all
}

/// A document's text outside of fenced code.
fn prose(document: &Path) -> String {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let parts = text.split("```").step_by(2);
    parts.collect()
}

/// The parts of `text` between each `open` and the next `close`.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(close))
        .map(|(part, _)| part)
}

/// The anchors that a Git hosting site generates for a document's headings.
fn anchors(document: &Path) -> BTreeSet<String> {
    let prose = prose(document);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading
                .chars()
                .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Removes `..` from a path.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, component| {
        if component == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(component);
        }
        plain
    })
}

#[test]
fn every_link_refers_to_an_existing_heading() {
    for document in documents() {
        let prose = prose(&document);
        let inside = between(&prose, "](", ')').filter(|link| !link.starts_with("http"));
        for link in inside {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => plain(&document.parent().unwrap().join(file)),
            };
            let place = format!("{}: {link}", document.display());
            assert!(root().join(&target).exists(), "{place}: no such file");
            assert!(
                anchor.is_empty() || anchors(&target).contains(anchor),
                "{place}: no such heading"
            );
        }
    }
}

#[test]
fn every_named_file_exists() {
    for document in documents() {
        let prose = prose(&document);
        let named = prose.split('`').skip(1).step_by(2);
        for name in named.filter(|name| PREFIXES.iter().any(|room| name.starts_with(room))) {
            let exists = root().join(name).exists();
            assert!(exists, "{}: there is no `{name}`", document.display());
        }
    }
}
