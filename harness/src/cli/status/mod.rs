//! `status`: the nodes, the instances of all services, and where the sidecars' views deviate.

mod changes;
mod screen;
mod text;
mod watch;

use std::process::ExitCode;

use harness::cluster::status::MeshStatus;
use harness::error::Error;
use harness::interrupt::Interrupts;
use serde::Serialize;

use super::file_args::FileArgs;
use super::mesh_args::MeshArgs;
use super::output::print;
use super::project as user_project;

pub(super) use watch::{Output, second};

/// Incremented when a key is removed or changes its meaning; keys may be added at any time.
const VERSION: u32 = 1;

#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Print the status as JSON
    #[arg(long)]
    json: bool,
    /// Look every second until Ctrl-C: redraw on a terminal, otherwise print what changes
    #[arg(short, long)]
    watch: bool,
    /// With -f: write the ports that are open now to the waypoints' files
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    pub(super) mesh: MeshArgs,
}

/// How the status of a user's project is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// As JSON.
    pub(super) json: bool,
    /// Until an interrupt.
    pub(super) watch: bool,
}

pub(super) async fn run(
    args: StatusArgs,
    before: MeshArgs,
    files: FileArgs,
    interrupts: &Interrupts,
) -> Result<ExitCode, Error> {
    if let Some(files) = args.files.or(files).project()? {
        if args.refresh && args.watch {
            return Err(Error::environment(
                "--refresh with --watch",
                "run `status --refresh` once, then `status --watch`",
            ));
        }
        let shown = Shown {
            json: args.json,
            watch: args.watch,
        };
        let status = user_project::status((files, args.mesh.or(before)), shown, args.refresh, interrupts);
        return Box::pin(status).await;
    }
    if args.refresh {
        return Err(Error::environment(
            "--refresh without a project",
            "name the project's Compose file with -f",
        ));
    }
    let mesh = args.mesh.or(before).attach().await?;
    if args.watch {
        return watch::run(mesh, args.json, interrupts).await;
    }
    let status = mesh.status().await?;
    let text = if args.json {
        json(&status, Layout::Pretty)?
    } else {
        text::status(&status, mesh.engine().node_id())
    };
    print(format!("{text}\n"), interrupts).await?;
    Ok(if status.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    /// Whether there is no problem.
    complete: bool,
    #[serde(flatten)]
    status: &'a MeshStatus,
}

/// How a document is written.
#[derive(Debug, Clone, Copy)]
enum Layout {
    /// Indented.
    Pretty,
    /// On one line.
    Line,
}

/// The status as JSON.
fn json(status: &MeshStatus, layout: Layout) -> Result<String, Error> {
    let document = Document {
        version: VERSION,
        complete: status.problems.is_empty(),
        status,
    };
    let text = match layout {
        Layout::Pretty => serde_json::to_string_pretty(&document),
        Layout::Line => serde_json::to_string(&document),
    };
    text.map_err(|error| {
        Error::environment(
            format!("the status cannot be written as JSON: {error}"),
            "this is a bug in the harness: please report it with this output",
        )
    })
}

#[cfg(test)]
mod fixture;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_document_has_the_documented_keys() {
        let text = json(&fixture::example(), Layout::Pretty).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "version": 1,
            "complete": false,
            "mesh": "example",
            "runtime": "docker",
            "nodes": [
                {"name": "lb", "id": "6e809c34621a", "state": "ready", "reason": null, "address": "172.18.0.2",
                 "status_page": "127.0.0.1:49153", "hash": "h"},
                {"name": "service-a", "id": "208955b57fbc", "state": "no_answer", "reason": "connection refused",
                 "address": "172.18.0.3", "status_page": "127.0.0.1:49154", "hash": null},
                {"name": "service-b", "id": null, "state": "missing", "reason": null, "address": null,
                 "status_page": null, "hash": null},
            ],
            "instances": [
                {"service": "a", "node": "service-a", "address": "172.18.0.3:27247", "weight": 10,
                 "up_for": ["lb"], "down_for": []},
            ],
            "foreign": [{"name": "more", "address": "172.18.0.9", "offers": ["c"]}],
            "problems": ["service-b has no container", "service-a gives no answer: connection refused"],
        });
        assert_eq!(read, expected);
        let usage = include_str!("../../../../docs/usage.md");
        let keys = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        let all = [
            &read,
            &read["nodes"][0],
            &read["instances"][0],
            &read["foreign"][0],
        ];
        for key in all.into_iter().flat_map(keys) {
            assert!(usage.contains(&format!("`{key}`")), "docs/usage.md lacks `{key}`");
        }
    }
}
