//! Errors about unusable files, addresses and flags.

use crate::run;

#[test]
fn all_errors_of_all_files_are_reported_and_nothing_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    };
    let first = write("first.conf", "add bogus x\nadd server-groups sgs0\n");
    let second = write("second.conf", "add server-groups sgs0\n");
    let discovery = write("discovery.conf", "discovery.tcp_port = many\n");
    let started = directory.path().join("started");
    let (code, output) = run(&[
        "--load",
        &first,
        &second,
        "--discovery-config",
        &discovery,
        "--",
        "touch",
        &started.display().to_string(),
    ]);
    assert_eq!(code, Some(1));
    for fault in [
        format!("{first}:1: `bogus`"),
        format!("{second}:1: `sgs0`"),
        format!("{discovery}:1: "),
    ] {
        assert!(output.contains(&fault), "{fault} is missing in: {output}");
    }
    assert!(!started.exists());
}

#[test]
fn an_address_in_use_is_reported_with_its_line() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = held.local_addr().expect("an address");
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text = format!("add server-groups x\nadd tcp-lb lb address {address} server-groups x\n");
    std::fs::write(file.path(), text).expect("written");
    let name = file.path().display().to_string();
    let (code, output) = run(&["--load", &name]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains(&format!("{name}:2: `{address}`: cannot listen on address")),
        "{output}"
    );
}

#[test]
fn an_open_proxy_is_reported_with_its_line_unless_it_is_allowed() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let text =
        "add server-groups x\nadd socks5-server s address 0.0.0.0:0 server-groups x allow-non-backend\n";
    std::fs::write(file.path(), text).expect("written");
    let name = file.path().display().to_string();
    let (code, output) = run(&["--load", &name]);
    assert_eq!(code, Some(1));
    let fault = format!("{name}:2: `allow-non-backend`: anyone who can reach 0.0.0.0:0");
    assert!(output.contains(&fault), "{output}");
    let mut sidecar = crate::Sidecar::start(&["--load", &name, "--allow-open-proxies"]);
    sidecar.logged("ready");
}

#[test]
fn an_error_names_the_missing_file() {
    let (code, output) = run(&["--load", "/no/such/file.conf"]);
    assert_eq!(code, Some(1));
    assert!(
        output.contains("cannot read /no/such/file.conf: No such file or directory"),
        "{output}"
    );
}

#[test]
fn a_mistyped_flag_gets_a_suggestion() {
    let (code, output) = run(&["--discovery-confg", "discovery.conf"]);
    assert_eq!(code, Some(2));
    assert!(output.contains("'--discovery-config'"), "{output}");
}
