use proptest::prelude::*;

use super::Model;
use crate::control::arbitrary;
use crate::control::command::{Add, Command};
use crate::control::error::CommandError;

fn run(model: &mut Model, line: &str) -> Result<usize, CommandError> {
    model.apply(&line.parse()?).map(|along| along.len())
}

fn with(lines: &[&str]) -> Model {
    let mut model = Model::default();
    for line in lines {
        run(&mut model, line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    model
}

fn frontend() -> Model {
    with(&[
        "add server-groups sgs0",
        "add server-group sg0 timeout 500 period 1000 up 2 down 3",
        "add server-group sg0 to server-groups sgs0",
        "add security-group secg0 default allow",
        "add tcp-lb lb0 address 127.0.0.1:80 server-groups sgs0 security-group secg0",
        "add smart-group-delegate d0 service s zone z server-group sg0",
    ])
}

#[test]
fn what_is_in_use_is_not_removed_and_its_user_is_named() {
    let mut model = frontend();
    for (line, message) in [
        (
            "remove server-groups sgs0",
            "server-groups sgs0 is used by tcp-lb lb0",
        ),
        (
            "remove server-group sg0",
            "server-group sg0 is used by server-groups sgs0",
        ),
        (
            "remove security-group secg0",
            "security-group secg0 is used by tcp-lb lb0",
        ),
    ] {
        assert_eq!(run(&mut model, line).unwrap_err().to_string(), message);
    }
    assert_eq!(model, frontend(), "nothing was changed");
    run(&mut model, "remove server-group sg0 from server-groups sgs0").unwrap();
    let error = run(&mut model, "remove server-group sg0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "server-group sg0 is used by smart-group-delegate d0"
    );
}

#[test]
fn force_takes_the_users_along() {
    let mut model = frontend();
    assert_eq!(run(&mut model, "force-remove server-group sg0").unwrap(), 2);
    assert_eq!(run(&mut model, "force-remove server-groups sgs0").unwrap(), 1);
    assert_eq!(model, with(&["add security-group secg0 default allow"]));
}

#[test]
fn a_configuration_does_not_grow_without_end() {
    let mut model = Model::default();
    for n in 0..4096 {
        run(&mut model, &format!("add server-groups g{n}")).unwrap();
    }
    let error = run(&mut model, "add server-groups more").unwrap_err().to_string();
    assert!(error.contains("4096"), "{error}");
    run(&mut model, "remove server-groups g7").unwrap();
    run(&mut model, "add server-groups more").unwrap();
}

#[test]
fn more_instances_than_the_mesh_takes_are_refused() {
    let mut model = Model::default();
    for n in 0..1024 {
        run(
            &mut model,
            &format!(
                "add smart-node-delegate n{n} service s zone z nic lo port {}",
                n + 1
            ),
        )
        .unwrap();
    }
    let error = run(
        &mut model,
        "add smart-node-delegate more service s zone z nic lo port 9999",
    )
    .unwrap_err();
    assert!(error.to_string().contains("1024"), "{error}");
}

/// The longest line times the most lines is less than what is read.
#[test]
fn the_largest_configuration_can_be_read_back() {
    let name = "n".repeat(255);
    let longest = format!(
        "add smart-node-delegate {name} service {name} zone {name} nic {name} ip-type v6 port 65535 weight 65535"
    );
    longest.parse::<Command>().unwrap();
    assert!(4097 * (longest.len() as u64 + 1) < crate::text_file::MAX_FILE);
}

proptest! {
    #[test]
    fn what_is_refused_changes_nothing(changes in prop::collection::vec(arbitrary::change(), 0..60)) {
        let mut model = Model::default();
        for change in &changes {
            let before = model.clone();
            if model.apply(change).is_err() {
                prop_assert_eq!(&model, &before, "{} was refused", change);
            }
        }
    }

    /// Written down and read back, any configuration is the same again, down to the order of everything.
    #[test]
    fn its_commands_make_it_again(changes in prop::collection::vec(arbitrary::change(), 0..60)) {
        let mut model = Model::default();
        for change in &changes {
            let _ = model.apply(change);
        }
        let mut again = Model::default();
        for add in model.commands() {
            let line = Command::Add(add).to_string();
            let command: Command = line.parse().map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
            again.apply(&command).map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
        }
        prop_assert_eq!(&again, &model);
        let (first, second): (Vec<Add>, Vec<Add>) = (model.commands(), again.commands());
        prop_assert_eq!(first, second);
    }
}
