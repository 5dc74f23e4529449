//! Passwords and tokens of the controllers: where they come from, what is accepted, and what is refused at the start.

use redis::{ProtocolVersion, RedisConnectionInfo};

use super::process::{Sidecar, sidecar};

/// What a client says at first: RESP 2 by `AUTH`, RESP 3 by `HELLO`.
fn greetings(user: Option<&str>, password: &str) -> [RedisConnectionInfo; 2] {
    let mut settings = RedisConnectionInfo::default().set_password(password);
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    [ProtocolVersion::RESP2, ProtocolVersion::RESP3].map(|version| settings.clone().set_protocol(version))
}

#[test]
fn the_password_is_accepted_with_and_without_a_user_name() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "pass word\n").expect("written");
    let path = file.path().display().to_string();
    let sidecar = Sidecar::start(&["--resp-password-file", &path], &[]);
    for user in [None, Some("default"), Some("admin")] {
        for greeting in greetings(user, "pass word") {
            let mut client = sidecar.connect(greeting).expect("the password is right");
            assert_eq!(client.run("PING"), Ok("PONG".to_owned()), "{user:?}");
            assert_eq!(client.run("list tcp-lb"), Ok(Vec::<String>::new()), "{user:?}");
        }
        for greeting in greetings(user, "pass") {
            assert!(sidecar.connect(greeting).is_err(), "{user:?}");
        }
    }
    let mut client = sidecar
        .connect(RedisConnectionInfo::default())
        .expect("it accepts");
    let refused = client.run::<String>("PING").expect_err("it has no password");
    assert_eq!(refused.code(), Some("NOAUTH"), "{refused}");
    let log = sidecar.stop();
    assert!(log.contains("a wrong password"), "{log}");
    assert!(!log.contains("pass word"), "{log}");
}

#[test]
fn the_password_can_come_from_the_environment() {
    let sidecar = Sidecar::start(&[], &[("SIDECAR_RESP_PASSWORD", "secret")]);
    for greeting in greetings(None, "secret") {
        let mut client = sidecar.connect(greeting).expect("the password is right");
        assert_eq!(client.run("PING"), Ok("PONG".to_owned()));
    }
}

/// Runs a sidecar that refuses to start; returns its error.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = sidecar(arguments, variables).output().expect("it runs");
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
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
