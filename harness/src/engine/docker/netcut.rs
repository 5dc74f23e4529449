//! Cuts the network from one container to others with a helper container in the first one's network namespace. Only
//! packets to the given addresses are lost, so ports published on the host still work.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use futures_util::StreamExt;

use super::super::{END_WITH_STDIN, EngineError, Image, LogOptions, NetworkCut, logs};
use super::Docker;

/// Timeout for the helper to report that the cut is active.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// Timeout for a helper to heal the network; it is killed afterwards.
const HEAL_LIMIT: Duration = Duration::from_secs(5);
/// The line that the helper writes when the cut is active.
const READY: &str = "ready";

impl Docker {
    /// Starts a helper container of `image` ([`crate::cluster::image::Kind::Netcut`]) in the target's network
    /// namespace. The helper heals the network and exits when it is stopped or when this process ends. The cut also
    /// ends when the target stops, because its network namespace is removed.
    pub(crate) async fn cut_network(
        &self,
        image: &Image,
        target: &str,
        cut: &NetworkCut,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let name = format!("service-mesh-netcut-{:016x}", rand::random::<u64>());
        let id = self
            .create_from(name.clone(), body(image, target, cut, labels))
            .await?;
        let starting = async {
            self.start(&id, &name).await?;
            self.wait_for_ready(&id, target).await
        };
        match starting.await {
            Ok(()) => Ok(id),
            Err(error) => {
                // The helper may have applied part of the cut before it failed.
                let _ = self.heal_network(&id).await;
                Err(error)
            }
        }
    }

    async fn wait_for_ready(&self, id: &str, target: &str) -> Result<(), EngineError> {
        let mut said = Vec::new();
        let read = async {
            let mut lines = self.logs(
                id,
                LogOptions {
                    follow: true,
                    ..LogOptions::default()
                },
            );
            while let Some(line) = lines.next().await {
                let text = line?.text;
                if text == READY {
                    return Ok(true);
                }
                said.push(text);
            }
            Ok(false)
        };
        let reason = match tokio::time::timeout(READY_LIMIT, read).await {
            Ok(Ok(true)) => return Ok(()),
            Ok(Ok(false)) => said.join("; "),
            Ok(Err(error)) => return Err(error),
            Err(_) => format!("no confirmation within {} s", READY_LIMIT.as_secs()),
        };
        Err(EngineError::Other {
            what: format!("cutting the network of container {target}"),
            reason,
        })
    }

    pub(crate) async fn heal_network(&self, id: &str) -> Result<(), EngineError> {
        // A helper that is removed before it has stopped heals nothing.
        let code = self.stop(id, HEAL_LIMIT).await?;
        let said = match code {
            0 => String::new(),
            _ => logs::collect(self.logs(id, LogOptions::last(5))).await.join("; "),
        };
        self.remove(id).await?;
        match code {
            0 => Ok(()),
            code => Err(EngineError::Other {
                what: "healing the network".to_owned(),
                reason: format!("exit code {code}: {said}"),
            }),
        }
    }
}

fn body(
    image: &Image,
    target: &str,
    cut: &NetworkCut,
    labels: &BTreeMap<String, String>,
) -> ContainerCreateBody {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (mut command, addresses) = match cut {
        NetworkCut::Block(addresses) => (text(&[END_WITH_STDIN, "block"]), addresses),
        NetworkCut::Lose { percent, addresses } => {
            (text(&[END_WITH_STDIN, "lose", &percent.to_string()]), addresses)
        }
    };
    command.extend(addresses.iter().map(ToString::to_string));
    ContainerCreateBody {
        image: Some(image.id.clone()),
        cmd: Some(command),
        labels: Some(labels.clone().into_iter().collect()),
        open_stdin: Some(true),
        stdin_once: Some(true),
        attach_stdin: Some(true),
        host_config: Some(HostConfig {
            network_mode: Some(format!("container:{target}")),
            cap_drop: Some(text(&["ALL"])),
            cap_add: Some(text(&["NET_ADMIN"])),
            security_opt: Some(text(&["no-new-privileges:true"])),
            readonly_rootfs: Some(true),
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_gets_one_capability_and_the_addresses() {
        let image = Image {
            id: "sha256:1".to_owned(),
            labels: BTreeMap::new(),
            size: 0,
        };
        let cut = NetworkCut::Lose {
            percent: 30,
            addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
        };
        let body = body(&image, "abc", &cut, &BTreeMap::new());
        let words = |list: Option<Vec<String>>| list.unwrap().join(" ");
        assert_eq!(words(body.cmd), "--end-with-stdin lose 30 10.0.0.2 10.0.0.3");
        let host = body.host_config.unwrap();
        assert_eq!(words(host.cap_add), "NET_ADMIN");
        assert_eq!(words(host.cap_drop), "ALL");
        assert_eq!(host.network_mode.as_deref(), Some("container:abc"));
        assert_eq!(host.privileged, None);
    }
}
