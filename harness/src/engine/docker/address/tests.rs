use super::*;

fn endpoint(text: &str) -> Endpoint {
    Endpoint::plain(text.parse().unwrap())
}

#[test]
fn addresses_are_read_as_the_docker_program_reads_them() {
    for (text, read, remote) in [
        (
            "unix:///run/user/1000/docker.sock",
            "unix:///run/user/1000/docker.sock",
            None,
        ),
        ("unix://", "unix:///var/run/docker.sock", None),
        (
            "tcp://build.example",
            "tcp://build.example:2375",
            Some("build.example"),
        ),
        (
            "build.example:4243",
            "tcp://build.example:4243",
            Some("build.example"),
        ),
        ("tcp://127.0.0.1:4243/", "tcp://127.0.0.1:4243", None),
        ("tcp://localhost", "tcp://localhost:2375", None),
        ("tcp://[fd00::1]:4243", "tcp://[fd00::1]:4243", Some("fd00::1")),
        ("tcp://[::1]", "tcp://[::1]:2375", None),
        (
            "ssh://build.example",
            "ssh://build.example",
            Some("build.example"),
        ),
        (
            "ssh://me@10.0.0.9:22022/run/d.sock",
            "ssh://me@10.0.0.9:22022/run/d.sock",
            Some("10.0.0.9"),
        ),
        // Another machine's loopback address may be this one's tunnel.
        ("ssh://me@localhost", "ssh://me@localhost", Some("localhost")),
    ] {
        let endpoint = endpoint(text);
        assert_eq!(endpoint.to_string(), read);
        assert_eq!(endpoint.remote(), remote, "{text}");
        let again = self::endpoint(&endpoint.to_string());
        assert_eq!(again.to_string(), read);
    }
}

#[test]
fn other_addresses_are_refused_with_the_reason() {
    for (text, reason) in [
        ("npipe:////./pipe/docker_engine", "not by npipe://"),
        ("fd://", "not by fd://"),
        ("http://10.0.0.1:2375", "not by http://"),
        ("tcp://:2375", "expected a host"),
        ("tcp://10.0.0.1:x", "expected a port, found `x`"),
        ("tcp://10.0.0.1:65536", "expected a port, found `65536`"),
        ("tcp://me@10.0.0.1", "expected tcp://HOST:PORT"),
        ("tcp://10.0.0.1/prefix", "expected tcp://HOST:PORT"),
        ("ssh://me:secret@host", "without a password"),
        ("ssh://-oProxyCommand=touch", "expected a host"),
        ("ssh://-l@host", "expected a host"),
        ("ssh://a host", "expected a host"),
        ("", "expected a host"),
    ] {
        let error = text.parse::<Address>().unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn ssh_runs_the_docker_program_of_the_other_machine() {
    let dial = endpoint("ssh://me@build:2222/run/my docker.sock").dial().unwrap();
    assert_eq!(
        (dial.program, dial.arguments.join(" ").as_str()),
        (
            "ssh",
            "-T -o BatchMode=yes -o ConnectTimeout=20 -l me -p 2222 -- build docker --host \
             'unix:///run/my docker.sock' system dial-stdio"
        )
    );
    assert!(
        dial.advice.contains("`ssh -p 2222 me@build docker version`"),
        "{}",
        dial.advice
    );
}

#[test]
fn the_docker_program_speaks_tls_and_tcp_needs_no_program() {
    let plain = endpoint("tcp://build");
    assert_eq!(plain.tcp().as_deref(), Some("tcp://build:2375"));
    assert_eq!(plain.dial(), None);
    let secured = Endpoint {
        tls: Some(Tls {
            verify: true,
            certificates: Some("/certificates".into()),
        }),
        ..plain
    };
    assert_eq!(secured.tcp(), None);
    let dial = secured.dial().unwrap();
    assert_eq!(
        (dial.program, dial.arguments.join(" ").as_str()),
        ("docker", "system dial-stdio")
    );
    let value = |name: &str| {
        let found = dial.variables.iter().find(|(known, _)| *known == name);
        found.unwrap().1.clone().unwrap_or_default()
    };
    assert_eq!(value("DOCKER_HOST"), "tcp://build:2376");
    assert_eq!(value("DOCKER_TLS_VERIFY"), "1");
    assert_eq!(value("DOCKER_CERT_PATH"), "/certificates");
    assert_eq!(value("DOCKER_CONTEXT"), "");
}
