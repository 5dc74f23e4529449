//! What moves from a service to its waypoint where the project asks for it: published ports, and what proxies that read
//! the engine look for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::model::Service;

/// Beginnings of the labels that Traefik and caddy-docker-proxy read.
const LABELS: [&str; 2] = ["traefik.", "caddy"];
/// Beginnings of the variables that nginx-proxy and its companions read.
const VARIABLES: [&str; 6] = [
    "ACME_",
    "CERT_NAME",
    "HTTPS_METHOD",
    "LETSENCRYPT_",
    "NETWORK_ACCESS",
    "VIRTUAL_",
];
/// The label by which Traefik leaves out a container.
const TRAEFIK: &str = "traefik.enable";

/// What moves, and what stays. Texts are as Compose prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The entries of `ports`; empty if they stay.
    pub ports: Vec<Value>,
    /// What proxies read; `None` if it stays, or if there is nothing.
    pub proxied: Option<Proxied>,
}

/// Labels and variables for proxies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxied {
    /// Labels of the waypoint.
    pub labels: BTreeMap<String, String>,
    /// Variables of the waypoint.
    pub environment: BTreeMap<String, Value>,
    /// All labels that the service has then.
    pub own_labels: BTreeMap<String, String>,
    /// All variables that the service has then.
    pub own_environment: BTreeMap<String, Value>,
}

impl Proxied {
    /// What the proxies read of `service`; `None` if that is nothing.
    pub(super) fn of(service: &Service) -> Option<Self> {
        let label = |name: &String| LABELS.iter().any(|read| name.starts_with(read));
        let variable = |name: &String| VARIABLES.iter().any(|read| name.starts_with(read));
        let (labels, mut own_labels): (BTreeMap<_, _>, BTreeMap<_, _>) = service
            .labels
            .clone()
            .into_iter()
            .partition(|(name, _)| label(name));
        let (environment, own_environment): (BTreeMap<_, _>, BTreeMap<_, _>) = service
            .environment
            .clone()
            .into_iter()
            .partition(|(name, _)| variable(name));
        // Without labels, Traefik by default takes each container.
        if labels.keys().any(|name| name.starts_with("traefik.")) {
            own_labels.insert(TRAEFIK.to_owned(), "false".to_owned());
        }
        (!labels.is_empty() || !environment.is_empty()).then_some(Self {
            labels,
            environment,
            own_labels,
            own_environment,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_proxies_read_moves_and_all_else_stays() {
        let labels = [
            ("traefik.http.routers.api.rule", "Host(`a`)"),
            ("caddy_0.reverse_proxy", "{{upstreams 80}}"),
            ("keep", "1"),
        ];
        let mut service = Service {
            labels: labels
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            environment: BTreeMap::from([
                ("VIRTUAL_HOST".to_owned(), json!("a.example")),
                ("DEBUG".to_owned(), json!("1")),
            ]),
            ..Service::default()
        };
        let moved = Proxied::of(&service).unwrap();
        assert_eq!(moved.labels.len(), 2);
        assert!(moved.environment.keys().eq(["VIRTUAL_HOST"]));
        assert!(moved.own_environment.keys().eq(["DEBUG"]));
        let own = [("keep", "1"), ("traefik.enable", "false")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(moved.own_labels, own.into());
        service.environment.remove("VIRTUAL_HOST");
        service.labels.retain(|name, _| name == "keep");
        assert_eq!(Proxied::of(&service), None);
    }
}
