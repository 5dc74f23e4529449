use proptest::prelude::*;

use super::Config;
use crate::control::arbitrary;
use crate::control::command::Command;
use crate::control::error::CommandError;

fn run(config: &mut Config, line: &str) -> Result<usize, CommandError> {
    line.parse::<Command>()?
        .configure(config)
        .map(|removed| removed.len())
}

fn with(lines: &[&str]) -> Config {
    let mut config = Config::default();
    for line in lines {
        run(&mut config, line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
    config
}

fn frontend() -> Config {
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
fn a_resource_in_use_is_not_removed_and_its_user_is_named() {
    let mut config = frontend();
    for (line, message) in [
        (
            "remove server-groups sgs0",
            "server-groups sgs0 is used by tcp-lb lb0",
        ),
        (
            "remove server-group sg0",
            "server-group sg0 is used by server-groups sgs0, smart-group-delegate d0",
        ),
        (
            "remove security-group secg0",
            "security-group secg0 is used by tcp-lb lb0",
        ),
    ] {
        assert_eq!(run(&mut config, line).unwrap_err().to_string(), message);
    }
    assert_eq!(config, frontend(), "nothing was changed");
    run(&mut config, "remove server-group sg0 from server-groups sgs0").unwrap();
    let error = run(&mut config, "remove server-group sg0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "server-group sg0 is used by smart-group-delegate d0"
    );
}

#[test]
fn all_users_are_named_up_to_a_limit() {
    let mut config = with(&["add server-groups sgs0"]);
    for n in 0..9 {
        let add = format!("add tcp-lb lb{n} address 127.0.0.1:{} server-groups sgs0", 80 + n);
        run(&mut config, &add).unwrap();
    }
    let error = run(&mut config, "remove server-groups sgs0")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("server-groups sgs0 is used by tcp-lb lb0, tcp-lb lb1, "),
        "{error}"
    );
    assert!(error.ends_with("tcp-lb lb7, 1 more"), "{error}");
}

/// The original leaves the users running, so that its word must not end them.
#[test]
fn a_forced_removal_spares_the_users() {
    let mut config = frontend();
    let error = run(&mut config, "force-remove server-group sg0").unwrap_err();
    assert_eq!(
        error.to_string(),
        "server-group sg0 is used by server-groups sgs0, smart-group-delegate d0; `remove server-group sg0 cascade` \
         (over HTTP ?cascade=true) removes them, too"
    );
    assert_eq!(config, frontend(), "nothing was changed");
    assert_eq!(
        run(&mut config, "force-remove tcp-lb lb0").unwrap(),
        1,
        "it is not used"
    );
}

#[test]
fn a_cascading_removal_removes_the_users_first() {
    let mut config = frontend();
    assert_eq!(run(&mut config, "remove server-group sg0 cascade").unwrap(), 3);
    assert_eq!(run(&mut config, "remove server-groups sgs0 cascade").unwrap(), 2);
    assert_eq!(config, with(&["add security-group secg0 default allow"]));
}

#[test]
fn a_configuration_is_bounded() {
    let mut config = Config::default();
    for n in 0..4096 {
        run(&mut config, &format!("add server-groups g{n}")).unwrap();
    }
    let error = run(&mut config, "add server-groups more")
        .unwrap_err()
        .to_string();
    assert!(error.contains("4096"), "{error}");
    run(&mut config, "remove server-groups g7").unwrap();
    run(&mut config, "add server-groups more").unwrap();
}

#[test]
fn more_instances_than_other_nodes_accept_are_refused() {
    let mut config = Config::default();
    for n in 0..1024 {
        run(
            &mut config,
            &format!(
                "add smart-node-delegate n{n} service s zone z nic lo port {}",
                n + 1
            ),
        )
        .unwrap();
    }
    let error = run(
        &mut config,
        "add smart-node-delegate more service s zone z nic lo port 9999",
    )
    .unwrap_err();
    assert!(error.to_string().contains("1024"), "{error}");
}

/// The longest line times the maximum number of lines is within the limit of a file that is read.
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
    fn a_refused_command_changes_nothing(changes in prop::collection::vec(arbitrary::change(), 0..60)) {
        let mut config = Config::default();
        for change in &changes {
            let before = config.clone();
            if change.command().configure(&mut config).is_err() {
                prop_assert_eq!(&config, &before, "{} was refused", change.words());
            }
        }
    }

    #[test]
    fn the_commands_of_a_configuration_recreate_it(changes in prop::collection::vec(arbitrary::change(), 0..60)) {
        let mut config = Config::default();
        for change in &changes {
            let _ = change.command().configure(&mut config);
        }
        let mut again = Config::default();
        for add in config.commands() {
            let line = Command::Add(add).to_string();
            let command: Command = line.parse().map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
            command.configure(&mut again).map_err(|e| TestCaseError::fail(format!("{line}: {e}")))?;
        }
        prop_assert_eq!(&again, &config);
        prop_assert_eq!(again.commands(), config.commands(), "in the same order");
    }
}
