//! The key file of a mesh, as users meet it.

use std::fs;

use tempfile::TempDir;

use crate::{Sidecar, command, run};

struct Files {
    directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self { directory }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

fn key() -> String {
    let output = command(&["key"]).output().expect("the sidecar runs");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn each_key_is_another_one() {
    let (one, other) = (key(), key());
    assert_eq!((one.len(), one.lines().count()), (45, 1), "{one}");
    assert_ne!(one, other);
}

#[test]
fn a_key_file_is_checked_with_its_line() {
    let files = Files::new();
    let good = files.write("good", &format!("# ours\n{}", key()));
    let bad = files.write("bad", &format!("{}not a key\n", key()));
    let check = |key_file: &str| {
        let settings = files.write(
            "discovery.conf",
            &format!("discovery.nic = lo\ndiscovery.key_file = {key_file}\n"),
        );
        run(&["check", "--discovery-config", &settings])
    };
    let (code, output) = check(&good);
    assert_eq!(code, Some(0), "{output}");
    let (code, output) = check(&bad);
    assert_eq!(code, Some(1));
    assert!(
        output.contains(&format!("{bad}:2: expected a key of 32 bytes in base64")),
        "{output}"
    );
    let (code, output) = check("/no/such/key");
    assert_eq!(code, Some(1));
    assert!(
        output.contains("discovery.key_file") && output.contains("cannot read /no/such/key"),
        "{output}"
    );
    let settings = files.write("discovery.conf", "discovery.nic = lo\n");
    let (code, output) = run(&["--discovery-config", &settings, "--discovery-key-file", &bad]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("nothing was started") && output.contains(&format!("{bad}:2:")),
        "{output}"
    );
}

/// The flag comes before the variable, and the variable before the file of settings.
#[test]
fn the_key_file_is_named_by_a_flag_a_variable_or_the_settings() {
    let files = Files::new();
    let names = ["flag", "variable", "settings"];
    let [flag, variable, setting] = names.map(|name| files.write(name, &key()));
    let settings =
        format!("discovery.nic = lo\ndiscovery.address = 127.61.9.1\ndiscovery.key_file = {setting}\n");
    let settings = files.write("discovery.conf", &settings);
    for (given, expected) in [
        (&[][..], &setting),
        (&["variable"], &variable),
        (&["variable", "flag"], &flag),
    ] {
        let mut command = command(&["--discovery-config", &settings]);
        if given.contains(&"variable") {
            command.env("SIDECAR_DISCOVERY_KEY_FILE", &variable);
        }
        if given.contains(&"flag") {
            command.args(["--discovery-key-file", &flag]);
        }
        let mut sidecar = Sidecar::spawn(&mut command);
        let line = sidecar.logged("messages are sealed with the first key");
        assert!(line.contains(&format!("file={expected} ")), "{line}");
    }
}

#[test]
fn without_a_key_a_hang_up_changes_nothing() {
    let mut sidecar = Sidecar::start(&[]);
    sidecar.logged("ready");
    sidecar.signal("-HUP");
    sidecar.logged("ignored SIGHUP: there is no mesh key to read again");
    sidecar.signal("-TERM");
    assert_eq!(sidecar.code(), Some(0));
}
