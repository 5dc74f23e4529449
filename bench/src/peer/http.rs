//! Arguments and configuration of each peer as an HTTP proxy. All keep their connections to the backend.

use std::path::Path;

use crate::http::HttpVersion;
use crate::proxy::{LaunchPlan, ProxySpec, WORKERS};

/// Requests after which a peer may close a connection: more than a measurement sends.
const REQUESTS: u32 = 1_000_000_000;

/// nginx speaks HTTP/1.1 to its backend, whatever its clients speak: this version knows nothing else.
pub(super) fn nginx(version: HttpVersion, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let directory = spec.directory.display();
    let sockets = 2 * spec.connections + 64;
    let kept = spec.connections;
    let http2 = match version {
        HttpVersion::Http1 => "",
        HttpVersion::Http2 => " http2",
    };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {directory}/{kind};\n"))
        .concat();
    // A response that is larger than nginx's buffers goes to a file otherwise.
    let config = format!(
        "daemon off;\n\
         worker_processes {WORKERS};\n\
         pid {directory}/pid;\n\
         error_log stderr crit;\n\
         events {{ worker_connections {sockets}; }}\n\
         http {{\n\
         {temporary}\
         \x20 access_log off;\n\
         \x20 keepalive_requests {REQUESTS};\n\
         \x20 proxy_max_temp_file_size 0;\n\
         \x20 upstream backend {{ server {backend}; keepalive {kept}; keepalive_requests {REQUESTS}; }}\n\
         \x20 server {{\n\
         \x20   listen {listen} backlog=4096{http2};\n\
         \x20   location / {{ proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection \"\"; }}\n\
         \x20 }}\n\
         }}\n"
    );
    LaunchPlan::with_config(spec, &["-e", "stderr", "-c", &config_file(spec)], config)
}

pub(super) fn haproxy(version: HttpVersion, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let maxconn = spec.connections + 32;
    let http2 = match version {
        HttpVersion::Http1 => "",
        HttpVersion::Http2 => " proto h2",
    };
    let config = format!(
        "global\n  nbthread {WORKERS}\n  maxconn {maxconn}\n  no strict-limits\n\
         defaults\n  mode http\n  timeout connect 5s\n  timeout client 10m\n  timeout server 10m\n  http-reuse always\n\
         listen lb\n  bind {listen} backlog 4096{http2}\n  server s0 {backend}{http2}\n"
    );
    LaunchPlan::with_config(spec, &["-db", "-f", &config_file(spec)], config)
}

/// Caddy uses all processors; it has no such setting.
pub(super) fn caddy(version: HttpVersion, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let scheme = match version {
        HttpVersion::Http1 => "",
        HttpVersion::Http2 => "h2c://",
    };
    let config = format!(
        "{{\n\
         \x20 admin off\n  auto_https off\n  persist_config off\n\
         \x20 log {{\n    output stderr\n    level ERROR\n  }}\n\
         \x20 servers {{\n    protocols h1 h2c\n  }}\n\
         }}\n\
         http://{listen} {{\n  reverse_proxy {scheme}{backend}\n}}\n"
    );
    let file = config_file(spec);
    LaunchPlan::with_config(
        spec,
        &["run", "--adapter", "caddyfile", "--config", &file],
        config,
    )
}

/// A program of ours that gets the addresses as arguments: the relay of `http-worker`, or that made with pingora.
pub(super) fn relay(first: Option<&str>, version: HttpVersion, spec: &ProxySpec) -> LaunchPlan {
    let (listen, backend) = (spec.listen.to_string(), spec.backend.to_string());
    let threads = WORKERS.to_string();
    let http2 = (version == HttpVersion::Http2).then_some("--http2");
    let arguments = [first, Some(&listen), Some(&backend), Some(&threads), http2];
    LaunchPlan {
        arguments: arguments.into_iter().flatten().map(str::to_owned).collect(),
        config: None,
        keep_log: true,
    }
}

fn config_file(spec: &ProxySpec) -> String {
    Path::display(&spec.config_file()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Forwarding, InstalledPeer, PeerProxy};
    use super::*;
    use crate::program::InstalledProgram;

    #[test]
    fn each_peer_listens_at_its_address_and_has_the_backend() {
        for peer in PeerProxy::ALL.into_iter().filter(|peer| peer.forwards_http()) {
            for version in [HttpVersion::Http1, HttpVersion::Http2] {
                let installed = InstalledPeer {
                    peer,
                    program: InstalledProgram {
                        path: PathBuf::from("/bin/proxy"),
                        version: String::new(),
                    },
                    stream_module: None,
                };
                let backend = "127.0.0.1:2222".parse().unwrap();
                let spec = ProxySpec::new(backend, 100, PathBuf::from("/tmp/x")).unwrap();
                let plan = installed.plan(&spec, Forwarding::Http(version));
                let text = plan.config.map(|(_, text)| text).unwrap_or_default();
                let all = format!("{}\n{text}", plan.arguments.join(" "));
                assert!(all.contains(&spec.listen.to_string()), "{all}");
                assert!(all.contains("127.0.0.1:2222"), "{all}");
                assert_eq!(text.matches('{').count(), text.matches('}').count(), "{text}");
            }
        }
    }
}
