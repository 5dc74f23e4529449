//! The mesh that a command is about and that runs already.

use harness::checkout::Checkout;
use harness::error::Error;
use harness::mesh::Mesh;
use harness::runtime::{Choice, label};

/// The mesh `project`, wherever it runs.
pub(super) async fn attach(project: &str, choice: Choice) -> Result<Mesh, Error> {
    let topology = Checkout::find()?.topology(project)?;
    let chosen = choice.connect_to(project).await?;
    let filter = format!("{}={project}", label::PROJECT);
    if chosen.runtime.containers(&filter).await?.is_empty() {
        return Err(chosen.nothing_of(project));
    }
    Mesh::attach(&chosen.runtime, topology).await
}
