//! Files of the original, and files for it: its saved configuration is taken, and what is shipped loads there, too.

use sidecar::control::Script;

/// What the original writes on its own shutdown, in its order.
const SAVED_BY_THE_ORIGINAL: &str = "\
add event-loop-group elg0
add event-loop el0 to event-loop-group elg0
add server-group sg0 timeout 500 period 1000 up 2 down 3 method wrr event-loop-group (control-elg)
add server-groups sgs0
add server-group sg0 to server-groups sgs0 weight 10
add security-group secg0 default deny
add security-group-rule r0 to security-group secg0 network 10.0.0.0/8 protocol TCP port-range 0,65535 default allow
add security-group-rule r1 to security-group secg0 network [fd00:0000:0000:0000:0000:0000:0000:0000]/8 protocol TCP port-range 22,22 default deny
add tcp-lb lb0 acceptor-elg (acceptor-elg) event-loop-group (worker-elg) address 127.0.0.1:80 server-groups sgs0 timeout 900000 in-buffer-size 16384 out-buffer-size 16384 protocol http/1.x security-group secg0
add socks5-server s0 acceptor-elg (acceptor-elg) event-loop-group elg0 address [0000:0000:0000:0000:0000:0000:0000:0001]:1080 server-groups sgs0 timeout 900000 in-buffer-size 16384 out-buffer-size 16384 deny-non-backend
add smart-group-delegate d0 service s zone z server-group sg0
";

#[test]
fn the_saved_configuration_of_the_original_is_accepted_with_one_warning() {
    let script = Script::parse([("saved", SAVED_BY_THE_ORIGINAL)]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(script.lines.len(), 11);
    let lb = script.lines[8].command.to_string();
    assert_eq!(
        lb,
        "add tcp-lb lb0 address 127.0.0.1:80 server-groups sgs0 security-group secg0 protocol http/1.x"
    );
    let [(file, remarks)] = script.remarks.as_slice() else {
        panic!("{:?}", script.remarks);
    };
    assert_eq!(file, "saved");
    assert_eq!(
        remarks.sentences(),
        [
            "acceptor-elg, event-loop, event-loop-group, in-buffer-size, out-buffer-size: accepted without effect; \
          threads are set by --workers at start, and buffers have the size that serves best"
        ]
    );
}

/// The warning appears once for a file, also where nothing is started.
#[test]
fn the_warning_is_logged_once_for_a_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("saved");
    std::fs::write(&file, SAVED_BY_THE_ORIGINAL).expect("written");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sidecar"))
        .arg("check")
        .arg(&file)
        .env_remove("RUST_LOG")
        .output()
        .expect("it runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN")).collect();
    let [warning] = warnings.as_slice() else {
        panic!("{log}");
    };
    assert!(warning.contains("saved: acceptor-elg, event-loop, "), "{warning}");
}

#[test]
fn updates_and_removals_of_the_originals_threads_are_accepted() {
    let text = "\
add server-groups sgs0
add tcp-lb lb0 address 127.0.0.1:80 server-groups sgs0
update tcp-lb lb0 in-buffer-size 32768 out-buffer-size 32768
update tcp-lb lb0 in-buffer-size 1 server-groups sgs0 timeout 900000
remove event-loop el0 from elg elg0
R event-loop-group elg0
";
    let script = Script::parse([("x", text)]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(script.remarks.len(), 1);
    let missing =
        Script::parse([("x", "update tcp-lb nope in-buffer-size 1")]).expect_err("there is no tcp-lb");
    assert!(
        missing.to_string().contains("no tcp-lb of this name"),
        "{missing}"
    );
}

/// The original splits the path of a request at `/` and `?` after decoding it, and its commands at the word `in`.
#[test]
fn a_name_that_the_original_cannot_hold_is_accepted_with_a_warning() {
    let text = "add server-groups p/q\nadd server-groups what?\nadd server-groups in\nadd server-groups a-Z_0.$:@+é\n";
    let script = Script::parse([("x", text)]).expect("no errors");
    let [(_, remarks)] = script.remarks.as_slice() else {
        panic!("{:?}", script.remarks);
    };
    let [sentence] = &remarks.sentences()[..] else {
        panic!("{remarks:?}");
    };
    assert!(
        sentence.starts_with("in, p/q, what?: accepted, but the original cannot hold"),
        "{sentence}"
    );
}

/// The original stops silently at an empty line, and refuses a comment.
#[test]
fn each_line_of_the_shipped_files_is_a_command() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/config");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("compose/config") {
        let path = entry.expect("an entry").path();
        if path.ends_with("discovery.conf") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text file");
        let script =
            Script::parse([("x", text.as_str())]).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(script.lines.len(), text.lines().count(), "{}", path.display());
        assert!(script.remarks.is_empty(), "{}", path.display());
        files += 1;
    }
    assert!(files >= 2, "only {files} command files in {}", folder.display());
}
