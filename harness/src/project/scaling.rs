//! Which services may have several containers.

use super::model::Config;
use super::ports::Published;

/// Checks that `service` can have `count` containers.
///
/// # Errors
/// Why it cannot.
pub fn check(config: &Config, service: &str, count: u64) -> Result<(), String> {
    let Some(found) = config.services.get(service) else {
        let known: Vec<&str> = config.services.keys().map(String::as_str).collect();
        return Err(format!(
            "there is no active service {service}; there are {}",
            known.join(", ")
        ));
    };
    if count <= 1 {
        return Ok(());
    }
    if let Some(mount) = found.mounts.iter().find(|mount| mount.shared()) {
        return Err(format!(
            "{service} writes to {} at {}, and its containers would share it: two databases on one directory lose data",
            mount.source, mount.target
        ));
    }
    if let Some(name) = &found.container_name {
        return Err(format!(
            "{service} has the container_name {name}, which only one container can have"
        ));
    }
    let addresses = found
        .networks
        .values()
        .flat_map(|attachment| &attachment.addresses);
    if let Some(address) = addresses.into_iter().next() {
        return Err(format!(
            "{service} has the static address {address}, which only one container can have"
        ));
    }
    let joined = config
        .services
        .iter()
        .find(|(other, _)| *other != service && config.namespace_owner(other) == Some(service));
    match joined {
        Some((other, _)) => Err(format!(
            "{other} is in the network namespace of {service}, which must be one"
        )),
        None => Ok(()),
    }
}

/// Whether a service has a port of the host that only one of these containers could have.
pub fn takes_host_port(config: &Config, service: &str, count: u64) -> bool {
    let found = config.services.get(service);
    count > 1 && found.is_some_and(|found| found.published.iter().any(Published::fixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_one_container_can_have_prevents_scaling() {
        let config = "
services:
  ok: {ports: ['80', '8080-8089:80'], volumes: ['c:/c:ro', /anon, '/var/run/docker.sock:/var/run/docker.sock']}
  db: {volumes: ['pg:/data']}
  named: {container_name: the-one}
  port: {ports: ['8080:80']}
  fixed: {networks: {n: {ipv4_address: 10.0.0.2}}}
  vpn: {}
  app: {network_mode: 'service:vpn'}
";
        let config = Config::read(&serde_saphyr::from_str(config).unwrap()).unwrap();
        assert_eq!(check(&config, "ok", 3), Ok(()));
        assert_eq!(check(&config, "port", 3), Ok(()));
        let takes = |service, count| takes_host_port(&config, service, count);
        assert!(takes("port", 2) && !takes("port", 1) && !takes("ok", 2) && !takes("none", 2));
        for (service, reason) in [
            ("db", "writes to pg at /data"),
            ("named", "container_name the-one"),
            ("fixed", "static address 10.0.0.2"),
            ("vpn", "app is in the network namespace of vpn"),
            ("none", "there is no active service none"),
        ] {
            let error = check(&config, service, 2).unwrap_err();
            assert!(error.contains(reason), "{error}");
            assert_eq!(check(&config, service, 1).is_ok(), service != "none");
        }
    }
}
