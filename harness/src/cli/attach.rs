//! Attaches to a running mesh.

use harness::cluster::checkout::Checkout;
use harness::cluster::mesh::Mesh;
use harness::cluster::project::not_found;
use harness::engine::{EngineChoice, label};
use harness::error::Error;

/// The mesh `project`, on the runtime where it is running.
pub(super) async fn attach(project: &str, choice: EngineChoice) -> Result<Mesh, Error> {
    let topology = Checkout::find()?.topology(project)?;
    let chosen = choice.connect_to(project).await?;
    let filter = format!("{}={project}", label::PROJECT);
    if chosen.engine.containers(&filter).await?.is_empty() {
        return Err(not_found(chosen, project));
    }
    Mesh::attach(&chosen.engine, topology).await
}
