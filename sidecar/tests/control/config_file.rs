//! The config file: its language and its error messages.

use proptest::prelude::*;
use sidecar::control::{Command, Script};

const FRONTEND: &str = "\
add server-groups sgs0
add server-group a.my.service.com:80 timeout 500 period 1000 up 2 down 3
add server-group b.my.service.com:80 timeout 500 period 1000 up 2 down 3
add server-group a.my.service.com:80 to server-groups sgs0
add server-group b.my.service.com:80 to server-groups sgs0
add socks5-server sidecar address 127.0.0.1:1080 server-groups sgs0
add smart-group-delegate delegate-a service my-service-a zone example server-group a.my.service.com:80
add smart-group-delegate delegate-b service my-service-b zone example server-group b.my.service.com:80
";

fn errors(text: &str) -> Vec<String> {
    let errors = Script::parse([("mesh.conf", text)]).expect_err("the file has errors");
    errors.0.iter().map(ToString::to_string).collect()
}

/// The only error of a file with two resources that others refer to, followed by `line`.
fn error(line: &str) -> String {
    let text = format!("add server-groups sgs0\nadd server-group sg0 timeout 1 period 1 up 1 down 1\n{line}");
    let mut errors = errors(&text);
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.remove(0)
}

fn command(line: &str) -> Command {
    line.parse().unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[test]
fn the_file_of_the_originals_frontend_is_accepted() {
    let script = Script::parse([("frontend.conf", FRONTEND)]).expect("no errors");
    assert_eq!(script.lines.len(), 8);
    let commands: Vec<String> = script.lines.iter().map(|line| line.command.to_string()).collect();
    assert_eq!(
        commands[3],
        "add server-group a.my.service.com:80 to server-groups sgs0"
    );
}

#[test]
fn short_words_mean_the_same_as_long_ones() {
    for (short, long) in [
        ("a sgs x", "add server-groups x"),
        (
            "a sg x timeout 5 period 6 up 1 down 2",
            "add server-group x timeout 5 period 6 up 1 down 2",
        ),
        (
            "a sg x to sgs y w 3",
            "add server-group x to server-groups y weight 3",
        ),
        (
            "a svr x to sg y addr 127.0.0.1:80 w 3",
            "add server x to server-group y address 127.0.0.1:80 weight 3",
        ),
        (
            "a tl x addr [::1]:80 sgs y",
            "add tcp-lb x address [::1]:80 server-groups y",
        ),
        (
            "a socks5 x addr 127.0.0.1:1 sgs y",
            "add socks5-server x address 127.0.0.1:1 server-groups y",
        ),
    ] {
        assert_eq!(command(short), command(long), "{short}");
    }
}

#[test]
fn keys_come_in_any_order_and_words_that_are_keywords_may_be_names() {
    assert_eq!(
        command("add tcp-lb lb address 127.0.0.1:80 server-groups sgs0"),
        command("add tcp-lb lb server-groups sgs0 address 127.0.0.1:80"),
    );
    assert_eq!(
        command("add server-groups address").to_string(),
        "add server-groups address"
    );
}

#[test]
fn empty_lines_and_comments_are_ignored() {
    let script = Script::parse([(
        "x",
        "\n   \n# a comment\n  # another\n\tadd server-groups sgs0\r\n",
    )]);
    assert_eq!(script.expect("no errors").lines.len(), 1);
}

#[test]
fn several_files_are_read_as_if_concatenated() {
    let (first, second) = (
        "add server-groups x",
        "add tcp-lb lb address 127.0.0.1:80 server-groups x",
    );
    Script::parse([("1", first), ("2", second)]).expect("the second refers to the first");
    let errors = Script::parse([("2", second), ("1", first)]).expect_err("the other order does not work");
    assert_eq!(
        errors.to_string(),
        "2:1: `x`: there is no server-groups of this name; it must be added on an earlier line"
    );
}

#[test]
fn an_error_names_file_line_word_and_what_was_expected() {
    for (line, word, expected) in [
        ("bogus server-groups x", "bogus", "expected one of add"),
        ("add bogus x", "bogus", "tcp-lb, socks5-server"),
        ("add", "add", "a resource is expected"),
        ("add server-groups", "server-groups", "a name is expected"),
        (
            "add server-group x timeout 500 period 1000 up 2",
            "down",
            "missing",
        ),
        (
            "add server-group x timeout -5 period 1 up 1 down 1",
            "-5",
            "milliseconds from 1 to 3600000",
        ),
        (
            "add server-group x timeout 5 period 1 up 0 down 1",
            "0",
            "from 1 to 1000",
        ),
        (
            "add server-group x timeout 5 period 1 up 1 down 1 method nope",
            "nope",
            "wrr, wlc or source",
        ),
        (
            "add server-group x timeout 5 timeout 6 period 1 up 1 down 1",
            "timeout",
            "once",
        ),
        ("add server-group x timeout", "timeout", "needs a value"),
        (
            "add server s to server-group sg0 address nonsense",
            "nonsense",
            "such as 127.0.0.1:1080",
        ),
        (
            "add server s address 127.0.0.1:80",
            "server",
            "to server-group NAME",
        ),
        (
            "add server s to server-group sg0 address 127.0.0.1:80 weight 2147483648",
            "2147483648",
            "from 0 to 2147483647",
        ),
        ("add server-groups x weight 3", "weight", "does not go with"),
        (
            "add server-groups x nonsense",
            "nonsense",
            "not a valid word here",
        ),
        (
            "add tcp-lb x adress 127.0.0.1:80 server-groups sgs0",
            "adress",
            "did you mean address?",
        ),
        (
            "add server-group sg0 to server-groups nope",
            "nope",
            "no server-groups of this name",
        ),
        ("add server-groups sgs0", "sgs0", "exists already"),
        (
            "add tcp-lb x address 127.0.0.1:80 server-groups sgs0 allow-non-backend",
            "allow-non-backend",
            "go with",
        ),
        (
            "add smart-group-delegate d service s zone z server-group nope",
            "nope",
            "no server-group of",
        ),
        ("add bytes-in x", "bytes-in", "it is read-only"),
        ("update session x", "session", "it is read-only"),
        ("force-remove connection x", "connection", "it is read-only"),
        ("remove session x", "session", "use force-remove"),
        (
            "update server-groups sgs0 in tcp-lb lb",
            "server-groups",
            "remove it and add it again",
        ),
        (
            "list bytes-in in server-group sg0",
            "bytes-in",
            "`in tcp-lb NAME` or `in socks5-server NAME` or `in http-proxy NAME` is missing",
        ),
        (
            "list bytes-in in server s",
            "bytes-in",
            "`in server-group NAME` is missing",
        ),
        (
            "list bytes-in in server s in server s",
            "bytes-in",
            "`in server-group NAME` is missing",
        ),
        ("list event-loop-group", "event-loop-group", "--workers"),
        (
            "add event-loop el0 to server-group sg0",
            "event-loop",
            "--workers",
        ),
        (
            "add tcp-lb x address 127.0.0.1:80 server-groups sgs0 protocol https",
            "https",
            "protocol https is not valid; did you mean http? expected tcp, http/1.x, h2 or http",
        ),
        (
            "add tcp-lb x address 127.0.0.1:80 server-groups sgs0 protocol h2 send-proxy",
            "send-proxy",
            "send-proxy does not go with protocol h2",
        ),
        (
            "add server-group x timeout 1 period 1 up 1 down 1 eject 5 for",
            "5 for",
            "eject 5 for is not valid; expected off, or a number of failures",
        ),
        (
            "add tcp-lb x address 127.0.0.1:80 server-groups sgs0 timeout 5000",
            "5000",
            "use idle-timeout instead",
        ),
        (
            "add tcp-lb x address 127.0.0.1:80 server-groups sgs0 cert-key c",
            "c",
            "listeners have no TLS",
        ),
        (
            "add socks5-server x address 127.0.0.1:80 server-groups sgs0 protocol tcp",
            "protocol",
            "go with",
        ),
        ("add server-groups y cascade", "cascade", "not a valid word here"),
    ] {
        let error = error(line);
        assert!(
            error.starts_with(&format!("mesh.conf:3: `{word}`: ")),
            "{line}: {error}"
        );
        assert!(error.contains(expected), "{line}: {error}");
    }
}

#[test]
fn all_errors_are_reported_at_once_without_their_consequences() {
    let text = "\
add server-groups sgs0
add server-group sg0 timeout x period 1 up 1 down 1
add server-group sg0 to server-groups sgs0
add smart-group-delegate d service s zone z server-group sg0
frobnicate
add tcp-lb lb address 127.0.0.1:80 server-groups sgs1
";
    let errors = errors(text);
    let lines: Vec<&str> = errors.iter().filter_map(|f| f.split(": ").next()).collect();
    assert_eq!(lines, ["mesh.conf:2", "mesh.conf:5", "mesh.conf:6"], "{errors:?}");
}

#[test]
fn two_listeners_do_not_share_an_address() {
    let text = "\
add server-groups x
add tcp-lb lb address 127.0.0.1:80 server-groups x
add socks5-server s address 127.0.0.1:80 server-groups x
";
    assert_eq!(
        errors(text),
        ["mesh.conf:3: `127.0.0.1:80`: address 127.0.0.1:80 is taken by tcp-lb lb"]
    );
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "\\PC{0,200}") {
        let _ = Script::parse([("x", text.as_str())]);
    }

    #[test]
    fn arbitrary_words_of_the_language_do_not_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "add", "remove", "tcp-lb", "server-group", "server", "to", "from", "address", "weight", "x",
            "smart-node-delegate", "127.0.0.1:80", "10", "server-groups", "socks5-server", "allow-non-backend",
        ]), 0..20),
    ) {
        let _ = words.join(" ").parse::<Command>();
    }
}
