//! How each proxy is told to do the same.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Installed, Program, Rival};
use crate::bench::contenders::{Contender, Door};

/// Threads or processes of each proxy that can be told their number: as many as the sidecar gets.
const WORKERS: usize = 2;
/// The name under which the sidecar knows the backend.
pub(crate) const NAME: (&str, u16) = ("backend.bench", 80);

/// What a proxy stands between.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Whom it connects to.
    pub backend: SocketAddr,
    /// Connections that it must be able to carry at a time.
    pub connections: usize,
    /// A directory of its own.
    pub directory: PathBuf,
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The program's arguments.
    pub arguments: Vec<String>,
    /// Its configuration: where it goes, and the text.
    pub file: Option<(PathBuf, String)>,
    /// Whether what it writes is kept for when it fails; not where it cannot be kept from telling each connection.
    pub log: bool,
}

impl Plan {
    /// How `contender` is started.
    pub fn new(contender: Contender, installed: &Installed, ground: &Ground) -> Self {
        let path = ground.directory.join("conf");
        let name = path.display().to_string();
        let (arguments, text) = match contender.program {
            Program::Sidecar => (
                words(&["--workers", &WORKERS.to_string(), "--load", &name]),
                sidecar(contender.door, ground),
            ),
            Program::Rival(Rival::Nginx) => (
                words(&["-e", "stderr", "-c", &name]),
                nginx(installed.module.as_deref(), ground),
            ),
            Program::Rival(Rival::Haproxy) => {
                (words(&["-db", "-f", &name]), haproxy(contender.splice, ground))
            }
            Program::Rival(Rival::Dante) => {
                let pid = ground.directory.join("pid").display().to_string();
                (words(&["-f", &name, "-p", &pid]), dante(ground))
            }
            Program::Rival(Rival::Microsocks) => {
                let (host, port) = (ground.listen.ip().to_string(), ground.listen.port().to_string());
                return Self {
                    arguments: words(&["-i", &host, "-p", &port]),
                    file: None,
                    log: false,
                };
            }
        };
        Self {
            arguments,
            file: Some((path, text)),
            log: true,
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn sidecar(door: Door, ground: &Ground) -> String {
    let Ground { listen, backend, .. } = ground;
    let (name, port) = NAME;
    let group = format!("{name}:{port}");
    let mut text = format!(
        "add server-groups sgs0\n\
         add server-group {group} timeout 1000 period 5000 up 1 down 3\n\
         add server-group {group} to server-groups sgs0\n\
         add server s0 to server-group {group} address {backend}\n"
    );
    // Writing to a String does not fail.
    let _ = match door {
        Door::Tcp => writeln!(text, "add tcp-lb lb0 address {listen} server-groups sgs0"),
        Door::Socks5 => writeln!(
            text,
            "add socks5-server socks0 address {listen} server-groups sgs0 allow-non-backend"
        ),
        Door::Socks5Name => writeln!(
            text,
            "add socks5-server socks0 address {listen} server-groups sgs0"
        ),
    };
    text
}

fn nginx(module: Option<&Path>, ground: &Ground) -> String {
    let Ground { listen, backend, .. } = ground;
    let module = module.map_or_else(String::new, |path| format!("load_module {};\n", path.display()));
    let pid = ground.directory.join("pid");
    let pid = pid.display();
    // Two sockets a connection, in the worst case all in one worker.
    let sockets = 2 * ground.connections + 64;
    format!(
        "{module}daemon off;\n\
         worker_processes {WORKERS};\n\
         pid {pid};\n\
         error_log stderr crit;\n\
         events {{ worker_connections {sockets}; }}\n\
         stream {{\n\
         \x20 upstream backend {{ server {backend}; }}\n\
         \x20 server {{ listen {listen} backlog=4096; proxy_pass backend; }}\n\
         }}\n"
    )
}

fn haproxy(splice: bool, ground: &Ground) -> String {
    let Ground { listen, backend, .. } = ground;
    let splice = if splice {
        "  option splice-auto\n  option splice-request\n  option splice-response\n"
    } else {
        ""
    };
    let most = ground.connections + 32;
    // Without strict-limits it does without the descriptors that it keeps for what it is not asked to do here.
    format!(
        "global\n  nbthread {WORKERS}\n  maxconn {most}\n  no strict-limits\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n{splice}\
         listen lb\n  bind {listen} backlog 4096\n  server s0 {backend}\n"
    )
}

fn dante(ground: &Ground) -> String {
    let (host, port) = (ground.listen.ip(), ground.listen.port());
    format!(
        "logoutput: stderr\n\
         errorlog: stderr\n\
         internal: {host} port = {port}\n\
         external: {host}\n\
         clientmethod: none\n\
         socksmethod: none\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::contenders::{BULK, SOCKS5, TCP};

    fn plan(contender: Contender, module: Option<&str>) -> (String, String) {
        let installed = Installed {
            program: contender.program,
            path: PathBuf::from("/bin/proxy"),
            version: String::new(),
            module: module.map(PathBuf::from),
        };
        let ground = Ground {
            listen: "127.0.0.1:1111".parse().unwrap(),
            backend: "127.0.0.1:2222".parse().unwrap(),
            connections: 100,
            directory: PathBuf::from("/tmp/x"),
        };
        let plan = Plan::new(contender, &installed, &ground);
        (
            plan.arguments.join(" "),
            plan.file.map(|(_, text)| text).unwrap_or_default(),
        )
    }

    #[test]
    fn every_contender_listens_and_those_that_need_it_know_the_backend() {
        for contender in [TCP, BULK, SOCKS5].concat() {
            let (arguments, text) = plan(contender, None);
            let told = format!("{arguments}\n{text}");
            assert!(told.contains("1111"), "{told}");
            if contender.door == Door::Tcp {
                assert!(text.contains("127.0.0.1:2222"), "{text}");
            }
            for brace in ['{', '}'] {
                assert_eq!(text.matches('{').count(), text.matches(brace).count(), "{text}");
            }
        }
    }

    #[test]
    fn only_one_haproxy_splices() {
        let splicing = |list: &[Contender]| {
            list.iter()
                .filter(|contender| plan(**contender, None).1.contains("splice"))
                .count()
        };
        assert_eq!((splicing(TCP), splicing(BULK)), (0, 1));
    }

    #[test]
    fn nginx_loads_its_module_where_that_is_one() {
        let nginx = TCP
            .iter()
            .find(|contender| contender.program == Program::Rival(Rival::Nginx))
            .unwrap();
        assert!(
            plan(*nginx, Some("/m/stream.so"))
                .1
                .starts_with("load_module /m/stream.so;\ndaemon off;\n")
        );
        assert!(plan(*nginx, None).1.starts_with("daemon off;\n"));
    }
}
