//! Arguments and configuration of the sidecar in this bench.

use std::fmt::Write as _;

use bench::http::HttpVersion;
use bench::load::Socks5Destination;
use bench::proxy::{LaunchPlan, ProxySpec, WORKERS};

use super::proxy_setup::ClientProtocol;

/// Host and port by which clients of [`ClientProtocol::Socks5Name`] request the backend.
const GROUP: (&str, u16) = ("backend.bench", 80);

/// The arguments and configuration of the sidecar for `spec`.
pub(super) fn plan(protocol: ClientProtocol, spec: &ProxySpec) -> LaunchPlan {
    let ProxySpec { listen, backend, .. } = spec;
    let (host, port) = GROUP;
    let group = format!("{host}:{port}");
    let mut config = format!(
        "add server-groups sgs0\n\
         add server-group {group} timeout 1000 period 5000 up 1 down 3\n\
         add server-group {group} to server-groups sgs0\n\
         add server s0 to server-group {group} address {backend}\n"
    );
    // Writing to a String does not fail.
    let _ = match protocol {
        ClientProtocol::Tcp => writeln!(config, "add tcp-lb lb0 address {listen} server-groups sgs0"),
        ClientProtocol::Http(version) => {
            let protocol = match version {
                HttpVersion::Http1 => "http/1.x",
                HttpVersion::Http2 => "h2",
            };
            writeln!(
                config,
                "add tcp-lb lb0 address {listen} server-groups sgs0 protocol {protocol}"
            )
        }
        ClientProtocol::Socks5 => writeln!(
            config,
            "add socks5-server socks0 address {listen} server-groups sgs0 allow-non-backend"
        ),
        ClientProtocol::Socks5Name => writeln!(
            config,
            "add socks5-server socks0 address {listen} server-groups sgs0"
        ),
    };
    let (workers, path) = (WORKERS.to_string(), spec.config_file().display().to_string());
    LaunchPlan::with_config(spec, &["--workers", &workers, "--load", &path], config)
}

/// The SOCKS5 destination that clients request with `protocol`; `None` if that is not SOCKS5.
pub(super) fn destination(protocol: ClientProtocol, spec: &ProxySpec) -> Option<Socks5Destination> {
    match protocol {
        ClientProtocol::Tcp | ClientProtocol::Http(_) => None,
        ClientProtocol::Socks5 => Some(Socks5Destination::Address(spec.backend)),
        ClientProtocol::Socks5Name => Some(Socks5Destination::Name(GROUP.0.to_owned(), GROUP.1)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_sidecar_listens_at_its_address_and_has_the_backend() {
        for protocol in [
            ClientProtocol::Tcp,
            ClientProtocol::Socks5,
            ClientProtocol::Socks5Name,
            ClientProtocol::Http(HttpVersion::Http2),
        ] {
            let backend = "127.0.0.1:2222".parse().unwrap();
            let spec = ProxySpec::new(backend, 100, PathBuf::from("/tmp/x")).unwrap();
            let (_, config) = plan(protocol, &spec).config.unwrap();
            assert!(
                config.contains(&format!("address {} server-groups", spec.listen)),
                "{config}"
            );
            assert!(config.contains("address 127.0.0.1:2222\n"), "{config}");
        }
    }
}
