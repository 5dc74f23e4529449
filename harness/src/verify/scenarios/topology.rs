//! The containers are those described in the Compose file.

use crate::cluster::topology::Role;
use crate::error::{Error, check};
use crate::verify::objectives::Objective;
use crate::verify::suite::{Context, Requirements, Scenario};

pub(super) static SCENARIO: Scenario = Scenario {
    name: "topology",
    about: "five containers run from one image, each with the sidecar as its first process and the described ports",
    requires: Requirements::NOTHING,
    allows: &[],
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &mut Context) -> Result<(), Error> {
    let (engine, image, ports) = (ctx.engine().clone(), ctx.image().clone(), ctx.topology().clone());
    let mut mesh = ctx.mesh().await?;
    mesh.refresh().await?;
    let roles = |wanted: fn(&Role) -> bool| {
        mesh.nodes()
            .iter()
            .filter(|node| wanted(&node.member.role))
            .count()
    };
    let counts = (
        roles(|role| *role == Role::Frontend),
        roles(|role| role.service() == Some("a")),
        roles(|role| role.service() == Some("b")),
        roles(|role| *role == Role::LoadBalancer),
    );
    let expected = "1 frontend, 2 of service a, 1 of service b, 1 load balancer";
    let (frontends, a, b, lbs) = counts;
    let seen = format!("{frontends} frontend, {a} of service a, {b} of service b, {lbs} load balancer");
    check(counts == (1, 2, 1, 1), expected, seen)?;
    ctx.measure(Objective::Image, image.size);

    for node in mesh.nodes() {
        let container = &node.container;
        let name = &container.name;
        check(container.running(), format!("{name} runs"), &container.status)?;
        check(
            container.image_id == image.id,
            format!("{name} is of image {}", image.id),
            &container.image_id,
        )?;
        let (described, member) = (&node.member.service.container_name, node.member.name());
        check(name == described, format!("{member} is named {described}"), name)?;
        check(
            container.command.starts_with("/bin/sidecar "),
            format!("{name} starts with the sidecar"),
            &container.command,
        )?;
        let published: Vec<u16> = container.ports.iter().map(|(port, _)| *port).collect();
        let described = ports
            .member(node.member.name())
            .map(|member| &member.service.ports);
        let mut wanted: Vec<u16> = described
            .into_iter()
            .flatten()
            .map(|port| port.container_port)
            .collect();
        wanted.sort_unstable();
        check(
            published == wanted,
            format!("{name} publishes {wanted:?}"),
            format!("{:?}", container.ports),
        )?;
        let loopback = container.ports.iter().all(|(_, bound)| bound.ip().is_loopback());
        check(
            loopback,
            format!("{name} is published on the loopback address only"),
            format!("{:?}", container.ports),
        )?;

        let mut programs: Vec<String> = engine
            .processes(&container.id)
            .await?
            .into_iter()
            .map(|process| process.program)
            .collect();
        programs.sort();
        let wanted: &[&str] = match node.member.role {
            Role::Frontend => &["frontend", "sidecar"],
            Role::Service { .. } => &["service", "sidecar"],
            Role::LoadBalancer => &["sidecar"],
        };
        // The engine's health check is a second, short-lived sidecar process.
        programs.dedup();
        check(
            programs == wanted,
            format!("{name} runs {wanted:?}"),
            format!("{programs:?}"),
        )?;
    }
    let disagreements = mesh.disagreements().await;
    check(
        disagreements.is_empty(),
        "all sidecars see the same mesh",
        disagreements.join("\n"),
    )
}
