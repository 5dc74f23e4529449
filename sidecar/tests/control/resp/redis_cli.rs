//! A sidecar process with redis-cli as its client.

use super::process::{Sidecar, redis_cli, sidecar, text};

const GROUP: &str = "g timeout 500 period 1000 up 2 down 3";

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A running sidecar whose password is in a file.
fn with_password() -> (Sidecar, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "pass word\n").expect("written");
    let path = file.path().display().to_string();
    (Sidecar::start(&["--resp-password-file", &path], &[]), file)
}

#[test]
fn each_call_executes_one_command() {
    let sidecar = Sidecar::start(&[], &[]);
    assert_eq!(sidecar.cli(&["PING"]), "PONG\n");
    assert_eq!(sidecar.cli(&["add", "server-groups", "sgs0"]), "OK\n");
    assert_eq!(sidecar.cli(&["list", "server-groups"]), "sgs0\n");
    assert_eq!(sidecar.cli(&words(&format!("a sg {GROUP}"))), "OK\n");
    for three in [&["-3"][..], &[]] {
        let line = [three, &["--no-raw", "list-detail", "server-group"]].concat();
        assert_eq!(
            sidecar.cli(&line),
            format!("1) \"{} method wrr\"\n", GROUP.replacen("g", "g ->", 1))
        );
    }
    assert_eq!(
        sidecar.cli(&["add", "server-groups", "sgs0"]),
        "the resource already exists\n\n"
    );
    let failed = redis_cli(sidecar.server, &["-e", "foo"], &[], "");
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        text(&failed).starts_with("foo is not a valid action"),
        "{failed:?}"
    );
}

#[test]
fn a_session_executes_typed_lines() {
    let sidecar = Sidecar::start(&[], &[]);
    let output = sidecar.typed(
        &["--no-raw"],
        "add server-groups \"sgs0\"\nlist server-groups\nfoo\n\nCOMMAND DOCS\nselect 0\necho 'a b'\nquit\nPING\n",
    );
    let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
    let [done, list, error, docs, selected, echo] = lines.as_slice() else {
        panic!("{output}");
    };
    assert_eq!(
        [*done, *list, *docs, *selected, *echo],
        ["OK", "1) \"sgs0\"", "(empty array)", "OK", "\"a b\""]
    );
    assert!(error.starts_with("(error) foo is not a valid action"), "{error}");
}

#[test]
fn a_pipe_executes_many_commands() {
    let sidecar = Sidecar::start(&[], &[]);
    let lines: String = (0..300)
        .map(|n| format!("add server-groups sgs{n}\r\n"))
        .collect();
    let output = sidecar.typed(&["--pipe"], &lines);
    assert!(output.contains("errors: 0, replies: 300"), "{output}");
    assert_eq!(sidecar.cli(&["list", "server-groups"]).lines().count(), 300);
}

#[test]
fn the_password_is_accepted_with_and_without_a_user_name() {
    let (sidecar, _file) = with_password();
    assert_eq!(sidecar.cli(&["PING"]), "NOAUTH Authentication required.\n\n");
    let list = ["--no-auth-warning", "-a", "pass word", "list", "tcp-lb"];
    assert_eq!(sidecar.cli(&list), "\n");
    for options in [&["--user", "default"][..], &["--user", "admin", "-3"], &["-3"]] {
        let line = [options, &["--no-auth-warning", "-a", "pass word", "PING"]].concat();
        assert_eq!(sidecar.cli(&line), "PONG\n", "{options:?}");
    }
    let variable = [("REDISCLI_AUTH", "pass word")];
    assert_eq!(
        text(&redis_cli(sidecar.server, &["PING"], &variable, "")),
        "PONG\n"
    );
    let output = sidecar.typed(
        &[],
        "PING\nAUTH \"pass word\"\nPING\nAUTH admin 'pass word'\nHELLO 3 AUTH x 'pass word' SETNAME me\nCLIENT GETNAME\n",
    );
    for expected in ["NOAUTH", "OK\n", "PONG\n", "proto", "me\n"] {
        assert!(output.contains(expected), "{expected} is missing in:\n{output}");
    }
    let wrong = sidecar.cli(&["--no-auth-warning", "-a", "pass", "PING"]);
    assert!(wrong.contains("WRONGPASS") && wrong.contains("NOAUTH"), "{wrong}");
    let log = sidecar.stop();
    assert!(log.contains("a wrong password"), "{log}");
    assert!(!log.contains("pass word"), "{log}");
}

#[test]
fn the_password_can_come_from_the_environment() {
    let sidecar = Sidecar::start(&[], &[("SIDECAR_RESP_PASSWORD", "secret")]);
    assert!(sidecar.cli(&["PING"]).starts_with("NOAUTH"));
    assert_eq!(
        sidecar.cli(&["--no-auth-warning", "-a", "secret", "PING"]),
        "PONG\n"
    );
}

/// Runs a sidecar that refuses to start; returns its error.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = sidecar(arguments, variables).output().expect("it runs");
    assert!(!output.status.success(), "{output:?}");
    text(&output)
}

/// Callers could never authenticate.
#[test]
fn a_token_that_no_header_can_contain_is_refused() {
    let arguments = ["--http-controller", "127.0.0.1:0", "--", "true"];
    for token in ["pässword", "secret "] {
        let why = refused(&arguments, &[("SIDECAR_HTTP_TOKEN", token)]);
        assert!(why.contains("no header can contain this token"), "{why}");
    }
}

#[test]
fn an_open_address_without_a_credential_is_refused() {
    for (flag, file_flag, variable) in [
        (
            "--resp-controller",
            "--resp-password-file",
            "SIDECAR_RESP_PASSWORD",
        ),
        ("--http-controller", "--http-token-file", "SIDECAR_HTTP_TOKEN"),
    ] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let why = refused(&[flag, address], &[]);
            for part in [flag, address, file_flag, variable, "--allow-open-controllers"] {
                assert!(why.contains(part), "{part} is missing in: {why}");
            }
        }
        // With a credential, the start proceeds to the next error.
        for variables in [&[(variable, "secret")][..], &[]] {
            let mut arguments = vec![flag, "0.0.0.0:0", "--", "/no/such/program"];
            if variables.is_empty() {
                arguments.insert(0, "--allow-open-controllers");
            }
            let why = refused(&arguments, variables);
            assert!(why.contains("cannot start /no/such/program"), "{why}");
        }
        let why = refused(&[flag, "127.0.0.1:0"], &[(variable, "")]);
        assert!(why.contains(variable) && why.contains("is empty"), "{why}");
        let why = refused(&[flag, "127.0.0.1:0", file_flag, "/no/such/file"], &[]);
        assert!(why.contains("cannot read /no/such/file: No such file"), "{why}");
        let why = refused(&[file_flag, "/no/such/file"], &[]);
        assert!(why.contains(flag), "{why}");
    }
}
