//! Arguments and configuration of each peer that forwards connections. All do the same work with the same number of workers.

use std::path::Path;

use crate::proxy::{LaunchPlan, ProxySpec, WORKERS};

pub(super) fn nginx(stream_module: Option<&Path>, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let module = stream_module.map_or_else(String::new, |path| format!("load_module {};\n", path.display()));
    let pid = spec.directory.join("pid");
    let pid = pid.display();
    // Two sockets per connection, in the worst case all in one worker.
    let sockets = 2 * spec.connections + 64;
    let config = format!(
        "{module}daemon off;\n\
         worker_processes {WORKERS};\n\
         pid {pid};\n\
         error_log stderr crit;\n\
         events {{ worker_connections {sockets}; }}\n\
         stream {{\n\
         \x20 upstream backend {{ server {backend}; }}\n\
         \x20 server {{ listen {listen} backlog=4096; proxy_pass backend; }}\n\
         }}\n"
    );
    LaunchPlan::with_config(spec, &["-e", "stderr", "-c", &config_file(spec)], config)
}

pub(super) fn haproxy(splice: bool, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let splice = if splice {
        "  option splice-auto\n  option splice-request\n  option splice-response\n"
    } else {
        ""
    };
    let maxconn = spec.connections + 32;
    // With strict-limits HAProxy refuses to start if it has too few descriptors for features that are not used here.
    let config = format!(
        "global\n  nbthread {WORKERS}\n  maxconn {maxconn}\n  no strict-limits\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n{splice}\
         listen lb\n  bind {listen} backlog 4096\n  server s0 {backend}\n"
    );
    LaunchPlan::with_config(spec, &["-db", "-f", &config_file(spec)], config)
}

pub(super) fn dante(spec: &ProxySpec) -> LaunchPlan {
    let (host, port) = (spec.listen.ip(), spec.listen.port());
    let pid = spec.directory.join("pid").display().to_string();
    let config = format!(
        "logoutput: stderr\n\
         errorlog: stderr\n\
         internal: {host} port = {port}\n\
         external: {host}\n\
         clientmethod: none\n\
         socksmethod: none\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n"
    );
    LaunchPlan::with_config(spec, &["-f", &config_file(spec), "-p", &pid], config)
}

pub(super) fn microsocks(spec: &ProxySpec) -> LaunchPlan {
    let (host, port) = (spec.listen.ip().to_string(), spec.listen.port().to_string());
    LaunchPlan {
        arguments: ["-i", &host, "-p", &port].map(str::to_owned).into(),
        config: None,
        // microsocks logs a line per connection at its only log level.
        keep_log: false,
    }
}

fn config_file(spec: &ProxySpec) -> String {
    spec.config_file().display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Forwarding, InstalledPeer, PeerProxy};
    use super::*;
    use crate::program::InstalledProgram;

    fn plan(peer: PeerProxy, splice: bool, stream_module: Option<&str>) -> (ProxySpec, LaunchPlan) {
        let installed = InstalledPeer {
            peer,
            program: InstalledProgram {
                path: PathBuf::from("/bin/proxy"),
                version: String::new(),
            },
            stream_module: stream_module.map(PathBuf::from),
        };
        let backend = "127.0.0.1:2222".parse().unwrap();
        let spec = ProxySpec::new(backend, 100, PathBuf::from("/tmp/x")).unwrap();
        let plan = installed.plan(&spec, Forwarding::Tcp { splice });
        (spec, plan)
    }

    fn config(peer: PeerProxy, splice: bool, stream_module: Option<&str>) -> String {
        let (_, plan) = plan(peer, splice, stream_module);
        plan.config.map(|(_, text)| text).unwrap_or_default()
    }

    #[test]
    fn each_peer_listens_at_its_address_and_balancers_have_the_backend() {
        for peer in PeerProxy::ALL {
            let (spec, plan) = plan(peer, false, None);
            let text = plan.config.map(|(_, text)| text).unwrap_or_default();
            let all = format!("{}\n{text}", plan.arguments.join(" "));
            assert!(all.contains(&spec.listen.port().to_string()), "{all}");
            if matches!(peer, PeerProxy::Nginx | PeerProxy::Haproxy) {
                assert!(text.contains("127.0.0.1:2222"), "{text}");
            }
            assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
        }
    }

    #[test]
    fn haproxy_splices_only_if_requested() {
        assert!(config(PeerProxy::Haproxy, true, None).contains("splice"));
        assert!(!config(PeerProxy::Haproxy, false, None).contains("splice"));
    }

    #[test]
    fn nginx_loads_the_stream_module_unless_it_is_built_in() {
        let text = config(PeerProxy::Nginx, false, Some("/m/stream.so"));
        assert!(
            text.starts_with("load_module /m/stream.so;\ndaemon off;\n"),
            "{text}"
        );
        let text = config(PeerProxy::Nginx, false, None);
        assert!(text.starts_with("daemon off;\n"), "{text}");
    }
}
