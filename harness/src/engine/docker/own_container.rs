//! The container of the engine that this process runs in, if it does. There, ports that are published on the engine's
//! machine are out of reach, so this process joins a mesh's network and uses the containers' own addresses.

use bollard::errors::Error as ApiError;
use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};

use super::super::EngineError;
use super::{Docker, failed};

/// The container's file of its host name, which the engine mounts from a directory that is named after the container.
const HOST_NAME: &str = "/etc/hostname";
/// Digits of a container's id.
const ID_LENGTH: usize = 64;

/// The id of the container; `None` if this process runs in none of the engine's, or in one with the machine's network.
pub(super) async fn find(api: &bollard::Docker) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let id = mounted_from(&mounts)?;
    let container = api.inspect_container(id, None).await.ok()?;
    let mode = container.host_config?.network_mode?;
    (mode != "host").then(|| id.to_owned())
}

/// The container's id by its mounts, in the format of proc_pid_mountinfo(5).
fn mounted_from(mounts: &str) -> Option<&str> {
    let roots = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        (target == HOST_NAME).then_some(root)
    });
    let is_id = |part: &&str| part.len() == ID_LENGTH && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    roots.flat_map(|root| root.split('/')).find(is_id)
}

impl Docker {
    /// Makes the containers of a network reachable for this process.
    pub(crate) async fn join(&self, network: &str) -> Result<(), EngineError> {
        let Some(own) = &self.own else {
            return Ok(());
        };
        let request = NetworkConnectRequest {
            container: own.to_string(),
            ..Default::default()
        };
        match self.api.connect_network(network, request).await {
            // 403: it is connected already.
            Ok(()) | Err(ApiError::DockerResponseServerError { status_code: 403, .. }) => Ok(()),
            Err(error) => Err(failed(format!("joining network {network}"))(error)),
        }
    }

    /// Leaves a network that is to be removed.
    pub(super) async fn leave(&self, network: &str) {
        if let Some(own) = &self.own {
            let request = NetworkDisconnectRequest {
                container: own.to_string(),
                force: Some(true),
            };
            // What fails here is told by the removal.
            let _ = self.api.disconnect_network(network, request).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_container_is_known_by_the_file_of_its_host_name() {
        let id = "6e809c34621a".repeat(6)[..ID_LENGTH].to_owned();
        let line = |root: &str, target: &str| {
            format!("659 649 254:0 {root} {target} rw,relatime - ext4 /dev/vda rw\n")
        };
        let of = |name: &str| format!("/var/lib/docker/containers/{id}/{name}");
        let mounts = line("/", "/") + &line(&of("hostname"), HOST_NAME);
        assert_eq!(mounted_from(&mounts), Some(id.as_str()));
        // On the engine's machine, containers' files are mounted elsewhere.
        let elsewhere = line(&of("mounts/shm"), &of("mounts/shm")) + &line("/hostname", HOST_NAME);
        assert_eq!(mounted_from(&elsewhere), None);
        assert_eq!(mounted_from("1 2\n\n"), None);
    }
}
