//! Two equal instances take strict turns.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Route;
use crate::error::{Error, check};
use crate::verify::suite::Stage;

/// Requests on each path, one after the other.
const REQUESTS: usize = 20;

pub(super) async fn run(stage: &mut Stage) -> Result<(), Error> {
    let mesh = stage.mesh().await?;
    for route in mesh.routes()? {
        alternates(&mesh, &route).await?;
    }
    Ok(())
}

/// Checks that the instances behind `route` answer in turn, each once before the first answers again.
pub(super) async fn alternates(mesh: &Mesh, route: &(Route, SocketAddr)) -> Result<(), Error> {
    let hosts = ask_in_turn(mesh, route, REQUESTS).await?;
    let instances = mesh.hosts(&route.0.service);
    let expected = format!(
        "{}: strict turns of {instances:?} over {REQUESTS} requests",
        route.0.name()
    );
    check(in_turn(&hosts, &instances), expected, hosts.join(" "))
}

/// Whether `instances` and nobody else answered, each once before the first answers again.
fn in_turn(hosts: &[String], instances: &BTreeSet<&str>) -> bool {
    let turn = instances.len();
    let all = |turn: &[String]| turn.iter().map(String::as_str).collect::<BTreeSet<_>>() == *instances;
    turn > 0 && hosts.len() >= turn && hosts.windows(turn).all(all)
}

/// The hosts that answered `count` requests, one after the other.
pub(super) async fn ask_in_turn(
    mesh: &Mesh,
    route: &(Route, SocketAddr),
    count: usize,
) -> Result<Vec<String>, Error> {
    let mut hosts = Vec::with_capacity(count);
    for i in 1..=count {
        match mesh.ask(route).await {
            Ok(answer) => hosts.push(answer.host),
            Err(reason) => check(
                false,
                format!("{}: answer {i} of {count}", route.0.name()),
                reason,
            )?,
        }
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_instances_take_turns() {
        let turns = |hosts: &str, instances: &[&str]| {
            let hosts: Vec<String> = hosts.chars().map(String::from).collect();
            in_turn(&hosts, &instances.iter().copied().collect())
        };
        assert!(turns("abab", &["a", "b"]) && turns("babab", &["a", "b"]));
        assert!(!turns("abba", &["a", "b"]) && !turns("aaaa", &["a", "b"]));
        assert!(turns("bbb", &["b"]));
        assert!(!turns("xxx", &["b"]) && !turns("bxb", &["b"]), "somebody else");
        assert!(!turns("xyxy", &["a", "b"]), "others, though in turn");
        assert!(!turns("a", &["a", "b"]) && !turns("", &["b"]), "too few answers");
        assert!(!turns("ab", &[]), "nobody to answer");
    }
}
