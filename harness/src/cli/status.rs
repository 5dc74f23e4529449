//! `status`: each sidecar's view of the mesh, and their disagreements.

use std::process::ExitCode;

use harness::cluster::convergence::{ForeignNode, NodeView, disagreements};
use harness::cluster::mesh::Mesh;
use harness::cluster::mesh_view::View;
use harness::console::table;
use harness::error::Error;
use harness::interrupt::Interrupts;

use super::mesh_args::MeshArgs;
use super::output::print;

pub(super) async fn run(args: MeshArgs, interrupts: &Interrupts) -> Result<ExitCode, Error> {
    let mesh = args.attach().await?;
    let seen = mesh.views().await;
    let mut wrong: Vec<String> = mesh
        .topology()
        .members
        .iter()
        .filter_map(|member| match mesh.node(member.name()) {
            Err(_) => Some(format!("{} has no container", member.name())),
            Ok(node) if !node.container.running() => Some(format!(
                "{} is not running: {}",
                member.name(),
                node.container.status
            )),
            Ok(_) => None,
        })
        .collect();
    let foreign = mesh.foreign_nodes(&seen).await?;
    wrong.extend(disagreements(&seen, &foreign));

    let verdict = if wrong.is_empty() {
        "All sidecars see the same mesh.".to_owned()
    } else {
        format!("Disagreements:\n  {}", wrong.join("\n  "))
    };
    let text = format!("{}\n\n{}{verdict}\n", views(&mesh, &seen), others(&foreign));
    print(text, interrupts).await?;
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The nodes that are not in the topology, one line each.
fn others(foreign: &[ForeignNode]) -> String {
    let nodes: Vec<String> = foreign.iter().map(ToString::to_string).collect();
    match nodes.len() {
        0 => String::new(),
        1 => format!("1 node that is not in the topology: {}\n", nodes[0]),
        count => format!(
            "{count} nodes that are not in the topology:\n  {}\n",
            nodes.join("\n  ")
        ),
    }
}

/// A table with a row for each member: its container's state and its sidecar's view.
fn views(mesh: &Mesh, seen: &[NodeView]) -> String {
    let services = mesh.topology().services();
    let mut header = vec![
        "NAME".to_owned(),
        mesh.engine().node_id().to_owned(),
        "STATUS".to_owned(),
        "ADDRESS".to_owned(),
    ];
    header.extend(["NODES UP".to_owned(), "HASH".to_owned()]);
    header.extend(
        services
            .iter()
            .map(|service| format!("SERVICE {}", service.to_uppercase())),
    );
    let rows = mesh.nodes().iter().map(|node| {
        let view = seen
            .iter()
            .find(|seen| seen.name == node.member.name())
            .and_then(|seen| seen.view.as_ref().ok());
        let seen = |what: &dyn Fn(&View) -> String| view.map(what).unwrap_or_else(|| "-".to_owned());
        let mut row = vec![
            node.member.name().to_owned(),
            node.container.short_id().to_owned(),
            node.container.status.clone(),
            seen(&|view| view.node.address.to_string()),
            seen(&|view| {
                let up = view.nodes.iter().filter(|node| node.health == "UP").count();
                format!("{up}/{}", view.nodes.len())
            }),
            seen(&|view| view.hash.chars().take(8).collect()),
        ];
        row.extend(
            services
                .iter()
                .map(|service| seen(&|view| instances(view, service))),
        );
        row
    });
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    table::plain(&header, rows)
}

/// A service's instances in one sidecar's view.
fn instances(view: &View, service: &str) -> String {
    let full = format!("my-service-{service}");
    let known = view
        .services
        .iter()
        .filter(|known| known.service == full)
        .flat_map(|known| &known.instances);
    let shown: Vec<String> = known
        .map(|instance| {
            let down = if instance.state == "UP" { "" } else { " (down)" };
            format!("{}:{}{down}", instance.node_name, instance.port)
        })
        .collect();
    if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join(" ")
    }
}
