//! The scenarios of `harness test`, one file each.
//!
//! To add a scenario, copy a short one such as `alternation.rs` to a new file: its `SCENARIO` has the name, the
//! property, the requirements, and the check. Then register it here: a `mod` line, and its place in [`ALL`], the order
//! of the run. Last, add its row to the table in `docs/testing.md`. Unit tests fail for a file that is not registered,
//! and for a scenario without a row.
//!
//! A check gets a [`Context`](super::suite::Context): `mesh()` is the shared mesh, which must be left as it was found;
//! `own_mesh()` starts a private one with another topology; `traffic()` sends constant requests; `measure()` records an
//! objective; `say()` adds a line to the timeline. A [`Mesh`](crate::cluster::mesh::Mesh) can stop, kill, pause, add,
//! remove, and cut off its members. Common checks are in [`checks`](super::checks). A scenario talks to the mesh as a
//! user does, over the network and the engine, and polls conditions to a deadline instead of sleeping. The suite itself
//! checks afterwards that the views converge and that the logs have no WARN or ERROR line except those in `allows`.

mod all_gone;
mod alternation;
mod balancers_restart;
mod compose_interop;
mod freeze;
mod graceful_stop;
mod keyed;
mod kill;
mod one_instance;
mod outside;
mod partition;
mod paths;
mod recreate;
mod rejoin;
mod rolling_restart;
mod scale;
mod side_by_side;
mod topology;
mod unreachable;
mod weights;

use super::suite::Scenario;

/// Every scenario, in the order in which they run.
pub static ALL: &[&Scenario] = &[
    &topology::SCENARIO,
    &paths::SCENARIO,
    &alternation::SCENARIO,
    &weights::SCENARIO,
    &graceful_stop::SCENARIO,
    &rejoin::SCENARIO,
    &one_instance::SCENARIO,
    &all_gone::SCENARIO,
    &kill::SCENARIO,
    &freeze::SCENARIO,
    &recreate::SCENARIO,
    &partition::SCENARIO,
    &unreachable::SCENARIO,
    &rolling_restart::SCENARIO,
    &balancers_restart::SCENARIO,
    &scale::SCENARIO,
    &outside::SCENARIO,
    &keyed::SCENARIO,
    &side_by_side::SCENARIO,
    &compose_interop::SCENARIO,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_file_here_is_registered_under_its_name() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verify/scenarios");
        let files: BTreeSet<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .file_stem()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            })
            .filter(|name| name != "mod")
            .collect();
        let names: BTreeSet<String> = super::ALL
            .iter()
            .map(|scenario| scenario.name.to_owned())
            .collect();
        assert_eq!(files, names);
        assert_eq!(names.len(), super::ALL.len(), "names are unique");
    }

    #[test]
    fn every_scenario_has_its_row_in_the_documentation() {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/testing.md");
        let text = std::fs::read_to_string(document).unwrap();
        let (_, after) = text.split_once("\n## Scenarios\n").unwrap();
        let section = after.split("\n## ").next().unwrap();
        let rows: BTreeSet<&str> = section
            .lines()
            .filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0))
            .collect();
        let names: BTreeSet<&str> = super::ALL.iter().map(|scenario| scenario.name).collect();
        assert_eq!(rows, names);
    }
}
