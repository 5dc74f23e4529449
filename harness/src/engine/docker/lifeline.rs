//! Containers that stop when this process ends, even by SIGKILL: the attached connection ends with the process, and the
//! engine then closes the container's standard input.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::container::AttachContainerResults;
use bollard::errors::Error as ApiError;
use bollard::query_parameters::AttachContainerOptions;
use tokio::io::AsyncWrite;

/// The connections to the containers' standard inputs, by container id.
#[derive(Debug, Clone, Default)]
pub(super) struct Lifelines(Arc<Mutex<HashMap<String, Vec<Lifeline>>>>);

impl Lifelines {
    /// Attaches to the standard input of a container before its start. The connection of an earlier start that failed
    /// stays open, because the engine closes the standard input as soon as one connection ends.
    pub(super) async fn attach(&self, api: &bollard::Docker, id: &str) -> Result<(), ApiError> {
        let options = AttachContainerOptions {
            stream: true,
            stdin: true,
            ..Default::default()
        };
        let AttachContainerResults { input, .. } = api.attach_container(id, Some(options)).await?;
        self.all().entry(id.to_owned()).or_default().push(Lifeline(input));
        Ok(())
    }

    /// Ends the connections to a container's standard input.
    pub(super) fn drop(&self, id: &str) {
        self.all().remove(id);
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<String, Vec<Lifeline>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Lifeline(
    #[expect(dead_code, reason = "the connection only has to stay open")] Pin<Box<dyn AsyncWrite + Send>>,
);

impl fmt::Debug for Lifeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lifeline")
    }
}
