//! What the engine did to containers, read off two of its lists: pure.

use std::collections::BTreeMap;

use crate::runtime::Container;

/// Containers and the states that they were last seen in, by id.
pub(super) type States = BTreeMap<String, (String, String)>;

/// A container's name and a sentence for each that is no longer as it was `known`, which is brought up to date.
pub(super) fn changes(known: &mut States, listed: &[Container]) -> Vec<(String, String)> {
    let mut told = Vec::new();
    for container in listed {
        let state = (container.name.clone(), container.state.clone());
        let before = known.insert(container.id.clone(), state.clone());
        let what = match &before {
            Some(before) if *before == state => continue,
            Some((_, before)) => format!("{before} -> {}", phrase(container)),
            None => format!("new: {} {}", container.short_id(), phrase(container)),
        };
        told.push((container.name.clone(), what));
    }
    let gone = |id: &String| !listed.iter().any(|container| container.id == *id);
    let removed: Vec<String> = known.keys().filter(|id| gone(id)).cloned().collect();
    for id in removed {
        if let Some((name, state)) = known.remove(&id) {
            told.push((name, format!("{state} -> removed")));
        }
    }
    told
}

/// The state, with what the engine says of an end, for instance `exited: Exited (137) 2 seconds ago`.
fn phrase(container: &Container) -> String {
    match container.state.as_str() {
        "exited" | "dead" => format!("{}: {}", container.state, container.status),
        state => state.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(id: &str, name: &str, state: &str) -> Container {
        Container {
            id: id.to_owned(),
            name: name.to_owned(),
            image: String::new(),
            image_id: String::new(),
            command: String::new(),
            state: state.to_owned(),
            status: "Exited (137) 1 second ago".to_owned(),
            labels: BTreeMap::new(),
            ports: Vec::new(),
            address: None,
        }
    }

    #[test]
    fn each_change_is_told_once() {
        let mut known = States::new();
        let told = |known: &mut States, listed: &[Container]| {
            let changes = changes(known, listed).into_iter();
            changes
                .map(|(name, what)| format!("{name} {what}"))
                .collect::<Vec<_>>()
        };
        let a = |state| container("1", "a", state);
        assert_eq!(told(&mut known, &[a("created")]), ["a new: 1 created"]);
        assert_eq!(told(&mut known, &[a("running")]), ["a created -> running"]);
        assert!(told(&mut known, &[a("running")]).is_empty());
        let exited = "a running -> exited: Exited (137) 1 second ago";
        assert_eq!(told(&mut known, &[a("exited")]), [exited]);
        let anew = container("2", "a", "running");
        let both = told(&mut known, &[anew]);
        assert_eq!(both, ["a new: 2 running", "a exited -> removed"]);
        assert_eq!(told(&mut known, &[]), ["a running -> removed"]);
    }
}
