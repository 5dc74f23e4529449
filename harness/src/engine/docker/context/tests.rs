use std::collections::BTreeMap;
use std::fs;

use super::*;

/// A home directory with the docker program's files, and the environment.
struct Home {
    directory: tempfile::TempDir,
    variables: BTreeMap<&'static str, String>,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().to_str().unwrap().to_owned();
        Self {
            directory,
            variables: BTreeMap::from([("HOME", home)]),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.directory.path().join(".docker").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn current(self, name: &str) -> Self {
        let text = format!("{{\n\t\"auths\": {{}},\n\t\"currentContext\": \"{name}\"\n}}");
        self.file("config.json", &text)
    }

    /// `id` is the SHA-256 of the context's name.
    fn context(self, id: &str, meta: &str) -> Self {
        self.file(&format!("contexts/meta/{id}/meta.json"), meta)
    }

    fn found(&self) -> Result<Endpoint, EngineError> {
        endpoint(|name| self.variables.get(name).cloned())
    }

    fn host(&self) -> String {
        self.found().unwrap().to_string()
    }

    fn refusal(&self) -> String {
        let error = self.found().unwrap_err();
        format!("{error}; {}", error.advice())
    }
}

const DESKTOP: &str = "fe9c6bd7a66301f49ca9b6a70b217107cd1284598bfc254700c989b916da791e";
const COLIMA: &str = "f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16";
const ROOTLESS: &str = "12b961af5feb3e9d39f93b2cefb9a1a944f18d02cca0cac2f04f5a982240605f";
const LAB: &str = "a51146d38077ff992eba84cf1d5e9b249073503eb74868699016153b031a38f7";

#[test]
fn the_current_context_of_each_product_leads_to_its_engine() {
    for (name, id, meta, host) in [
        (
            "desktop-linux",
            DESKTOP,
            r#"{"Name":"desktop-linux","Metadata":{"Description":"Docker Desktop","otel":{}},"Endpoints":{"docker":{"Host":"unix:///home/me/.docker/desktop/docker.sock","SkipTLSVerify":false}}}"#,
            "unix:///home/me/.docker/desktop/docker.sock",
        ),
        (
            "colima",
            COLIMA,
            r#"{"Name":"colima","Metadata":{"Description":"colima"},"Endpoints":{"docker":{"Host":"unix:///Users/me/.colima/default/docker.sock","SkipTLSVerify":false}}}"#,
            "unix:///Users/me/.colima/default/docker.sock",
        ),
        (
            "rootless",
            ROOTLESS,
            r#"{"Name":"rootless","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///run/user/1000/docker.sock","SkipTLSVerify":false}}}"#,
            "unix:///run/user/1000/docker.sock",
        ),
        (
            "lab",
            LAB,
            r#"{"Name":"lab","Metadata":{},"Endpoints":{"docker":{"Host":"ssh://me@lab"}}}"#,
            "ssh://me@lab",
        ),
    ] {
        assert_eq!(Home::new().current(name).context(id, meta).host(), host);
        let chosen = Home::new().context(id, meta).with("DOCKER_CONTEXT", name);
        assert_eq!(chosen.host(), host);
    }
}

#[test]
fn docker_host_comes_before_docker_context_and_that_before_the_current_one() {
    let meta = r#"{"Endpoints":{"docker":{"Host":"tcp://lab:1"}}}"#;
    let home = || Home::new().current("colima").context(LAB, meta);
    assert_eq!(home().with("DOCKER_CONTEXT", "lab").host(), "tcp://lab:1");
    let both = home()
        .with("DOCKER_CONTEXT", "lab")
        .with("DOCKER_HOST", "tcp://other");
    assert_eq!(both.host(), "tcp://other:2375");
    // An empty variable is none.
    let empty = home().with("DOCKER_HOST", "").with("DOCKER_CONTEXT", "");
    assert!(empty.refusal().contains("there is no docker context `colima`"));
}

#[test]
fn the_default_context_and_none_are_the_first_default_socket() {
    if Path::new(DEFAULT_SOCKET).exists() {
        let socket = format!("unix://{DEFAULT_SOCKET}");
        assert_eq!(
            Home::new()
                .current("lab")
                .with("DOCKER_CONTEXT", "default")
                .host(),
            socket
        );
        assert_eq!(Home::new().current("").host(), socket);
        return;
    }
    let none = Home::new().current("default");
    assert!(matches!(none.found(), Err(EngineError::NoSocket { .. })));
    let desktop = none.file("run/docker.sock", "");
    assert!(desktop.host().ends_with("/.docker/run/docker.sock"));
}

#[test]
fn tls_is_spoken_where_the_docker_program_speaks_it() {
    let tls = |home: &Home| home.found().unwrap().tls;
    let host = || Home::new().with("DOCKER_HOST", "tcp://lab");
    assert_eq!(tls(&host()), None);
    assert_eq!(
        tls(&host()
            .with("DOCKER_TLS_VERIFY", "1")
            .with("DOCKER_CERT_PATH", "/c")),
        Some(Tls {
            verify: true,
            certificates: Some("/c".into())
        })
    );
    let unverified = host().with("DOCKER_TLS", "1");
    assert!(tls(&unverified).is_some_and(|tls| !tls.verify));
    let unix = Home::new()
        .with("DOCKER_HOST", "unix:///s")
        .with("DOCKER_TLS_VERIFY", "1");
    assert_eq!(tls(&unix), None);

    let meta = |skip: bool| {
        format!(r#"{{"Endpoints":{{"docker":{{"Host":"tcp://lab:2376","SkipTLSVerify":{skip}}}}}}}"#)
    };
    let context = |skip| Home::new().current("lab").context(LAB, &meta(skip));
    assert_eq!(tls(&context(false)), None);
    assert_eq!(
        tls(&context(true)),
        Some(Tls {
            verify: false,
            certificates: None
        })
    );
    let certified = context(false).file(&format!("contexts/tls/{LAB}/docker/ca.pem"), "");
    let found = tls(&certified).unwrap();
    assert!(found.verify && found.certificates.unwrap().join("ca.pem").is_file());
}

#[test]
fn what_is_no_engine_is_named_with_what_to_do() {
    for (home, part) in [
        (
            Home::new().with("DOCKER_HOST", "npipe:////./pipe/docker_engine"),
            "DOCKER_HOST: `npipe:////./pipe/docker_engine`: engines are reached by",
        ),
        (
            Home::new()
                .current("lab")
                .context(LAB, r#"{"Endpoints":{"docker":{"Host":"npipe:////./pipe/d"}}}"#),
            "the docker context `lab`: `npipe:////./pipe/d`: engines are reached by",
        ),
        (
            Home::new().current("lab").context(
                LAB,
                r#"{"Name":"lab","Endpoints":{"kubernetes":{"Host":"https://k"}}}"#,
            ),
            "the docker context `lab` is of no Docker engine",
        ),
        (
            Home::new().with("DOCKER_CONTEXT", "lab"),
            "DOCKER_CONTEXT: there is no docker context `lab`",
        ),
        (
            Home::new().current("lab"),
            "config.json: there is no docker context `lab`",
        ),
        (
            Home::new().file("config.json", "{"),
            "config.json: EOF while parsing",
        ),
        (Home::new().current("lab").context(LAB, "["), "meta.json: EOF"),
    ] {
        let text = home.refusal();
        assert!(text.contains(part), "{text}");
        assert!(text.contains("`docker context ls`"), "{text}");
    }
}
