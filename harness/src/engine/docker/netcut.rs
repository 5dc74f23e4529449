//! Cutting the way from one container to others: a container of its own does it inside the first one's network
//! namespace. What is published on the host goes on, as only the neighbours named are misled about.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::models::{ContainerCreateBody, HostConfig};
use futures_util::StreamExt;

use super::super::logs::Logs;
use super::super::{END_WITH_STDIN, EngineError, Image, NetworkCut};
use super::Docker;

/// Time from the start of the container to its word that the way is cut.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// Time that it has to mend what it cut.
const MEND_LIMIT: Duration = Duration::from_secs(5);
/// What it says once the way is cut.
const READY: &str = "ready";

impl Docker {
    /// Does `action` to packets that the running container `target` sends; it is in force when this returns. Answers
    /// with the id of the container that does it, made from `image` ([`crate::cluster::image::Kind::Netcut`]) with these labels.
    /// That one mends what it cut and ends when it is stopped, and with this process. The `target` loses the cut
    /// when it stops, as its network namespace goes then.
    ///
    /// # Errors
    /// The target does not run, an address is not on its network, or the engine's. Nothing is cut then.
    pub async fn cut_network(
        &self,
        image: &Image,
        target: &str,
        action: &NetworkCut,
        labels: &BTreeMap<String, String>,
    ) -> Result<String, EngineError> {
        let name = format!("service-mesh-netcut-{:016x}", rand::random::<u64>());
        let id = self
            .create_from(name.clone(), body(image, target, action, labels))
            .await?;
        let cut = async {
            self.start(&id, &name).await?;
            self.wait_for_ready(&id, target).await
        };
        match cut.await {
            Ok(()) => Ok(id),
            Err(error) => {
                // It may have cut something before it failed.
                let _ = self.heal_network(&id).await;
                Err(error)
            }
        }
    }

    async fn wait_for_ready(&self, id: &str, target: &str) -> Result<(), EngineError> {
        let mut said = Vec::new();
        let read = async {
            let mut lines = self.logs(id, None, true);
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
            Err(_) => format!("it was not done within {} s", READY_LIMIT.as_secs()),
        };
        Err(EngineError::Engine {
            what: format!("cutting the way from container {target}"),
            reason,
        })
    }

    /// Takes back what [`Docker::cut_network`] did, and removes its container.
    ///
    /// # Errors
    /// It was not mended, or the engine's. The container is removed all the same.
    pub async fn heal_network(&self, id: &str) -> Result<(), EngineError> {
        let stopped = self.stop(id, MEND_LIMIT).await;
        let said = match stopped {
            Ok(code) if code != 0 => self.last_lines(id, 5).await.join("; "),
            _ => String::new(),
        };
        self.remove(id).await?;
        match stopped? {
            0 => Ok(()),
            code => Err(EngineError::Engine {
                what: "mending the way that was cut".to_owned(),
                reason: format!("exit code {code}: {said}"),
            }),
        }
    }
}

fn body(
    image: &Image,
    target: &str,
    action: &NetworkCut,
    labels: &BTreeMap<String, String>,
) -> ContainerCreateBody {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let (mut command, addresses) = match action {
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
    fn it_gets_one_capability_and_the_addresses() {
        let image = Image {
            id: "sha256:1".to_owned(),
            labels: BTreeMap::new(),
            size: 0,
        };
        let action = NetworkCut::Lose {
            percent: 30,
            addresses: vec!["10.0.0.2".parse().unwrap(), "10.0.0.3".parse().unwrap()],
        };
        let body = body(&image, "abc", &action, &BTreeMap::new());
        let words = |list: Option<Vec<String>>| list.unwrap().join(" ");
        assert_eq!(words(body.cmd), "--end-with-stdin lose 30 10.0.0.2 10.0.0.3");
        let host = body.host_config.unwrap();
        assert_eq!(words(host.cap_add), "NET_ADMIN");
        assert_eq!(words(host.cap_drop), "ALL");
        assert_eq!(host.network_mode.as_deref(), Some("container:abc"));
        assert_eq!(host.privileged, None);
    }
}
