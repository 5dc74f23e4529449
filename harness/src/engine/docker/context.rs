//! Finds the engine as the docker program finds it: `DOCKER_HOST`, else `DOCKER_CONTEXT`, else the current context of
//! its `config.json`, else the default socket.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::super::EngineError;
use super::address::{Address, DEFAULT_SOCKET, Endpoint, Tls};

/// The context that stands for the default socket.
const DEFAULT: &str = "default";
/// Limit of the files that are read, in bytes.
const SIZE_LIMIT: u64 = 1 << 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Config {
    #[serde(rename = "currentContext")]
    current_context: String,
}

/// A context's `meta.json`.
#[derive(Debug, Deserialize)]
struct Meta {
    #[serde(default, rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Debug, Default, Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DockerEndpoint {
    host: String,
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// The engine's endpoint by the environment, whose `variable`s are not empty.
///
/// # Errors
/// [`EngineError::Settings`], or [`EngineError::NoSocket`] if nothing is set and no default socket exists.
pub(super) fn endpoint(variable: impl Fn(&str) -> Option<String>) -> Result<Endpoint, EngineError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(host) = variable("DOCKER_HOST") {
        let address =
            address(&host).map_err(|reason| settings(format!("DOCKER_HOST: `{host}`: {reason}")))?;
        let verify = variable("DOCKER_TLS_VERIFY").is_some();
        let tls = (verify || variable("DOCKER_TLS").is_some()) && matches!(address, Address::Tcp { .. });
        let certificates = variable("DOCKER_CERT_PATH").map(PathBuf::from);
        return Ok(Endpoint {
            address,
            tls: tls.then_some(Tls { verify, certificates }),
        });
    }
    let directory = variable("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".docker")));
    let chosen = match (variable("DOCKER_CONTEXT"), &directory) {
        (Some(name), _) => Some((name, "DOCKER_CONTEXT".to_owned())),
        (None, Some(directory)) => {
            let path = directory.join("config.json");
            let config: Config = read(&path)?.unwrap_or_default();
            Some((config.current_context, path.display().to_string()))
        }
        (None, None) => None,
    };
    match chosen.filter(|(name, _)| !name.is_empty() && name != DEFAULT) {
        Some((name, origin)) => of_context(&name, &origin, &directory.unwrap_or_default()),
        None => default_socket(variable),
    }
}

fn address(text: &str) -> Result<Address, String> {
    text.parse()
}

/// The endpoint of a context, which `origin` chooses.
fn of_context(name: &str, origin: &str, directory: &Path) -> Result<Endpoint, EngineError> {
    let contexts = directory.join("contexts");
    let id: String = Sha256::digest(name)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = contexts.join("meta").join(&id).join("meta.json");
    let meta: Option<Meta> = read(&path)?;
    let missing = || settings(format!("{origin}: there is no docker context `{name}`"));
    let docker = meta.ok_or_else(missing)?.endpoints.docker;
    let docker = docker.filter(|docker| !docker.host.is_empty()).ok_or_else(|| {
        settings(format!(
            "{origin}: the docker context `{name}` is of no Docker engine"
        ))
    })?;
    let unusable = |reason| {
        settings(format!(
            "the docker context `{name}`: `{}`: {reason}",
            docker.host
        ))
    };
    let address = address(&docker.host).map_err(unusable)?;
    let certificates = Some(contexts.join("tls").join(&id).join("docker")).filter(|path| path.is_dir());
    let tls = (certificates.is_some() || docker.skip_tls_verify) && matches!(address, Address::Tcp { .. });
    Ok(Endpoint {
        address,
        tls: tls.then_some(Tls {
            verify: !docker.skip_tls_verify,
            certificates,
        }),
    })
}

/// The first default socket that exists: the machine's, a rootless engine's, Docker Desktop's.
fn default_socket(variable: impl Fn(&str) -> Option<String>) -> Result<Endpoint, EngineError> {
    let beside = |name: &str, path: &str| variable(name).map(|directory| format!("{directory}/{path}"));
    let candidates = [
        Some(DEFAULT_SOCKET.to_owned()),
        beside("XDG_RUNTIME_DIR", "docker.sock"),
        beside("HOME", ".docker/run/docker.sock"),
    ];
    let mut candidates = candidates.into_iter().flatten();
    match candidates.find(|path| Path::new(path).exists()) {
        Some(path) => Ok(Endpoint::plain(Address::Unix(path))),
        None => Err(EngineError::NoSocket {
            socket: DEFAULT_SOCKET.to_owned(),
        }),
    }
}

/// A file's content; `None` if there is no such file.
fn read<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, EngineError> {
    let failed = |reason: String| settings(format!("{}: {reason}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut text = Vec::new();
    file.take(SIZE_LIMIT)
        .read_to_end(&mut text)
        .map_err(|error| failed(error.to_string()))?;
    serde_json::from_slice(&text)
        .map_err(|error| failed(error.to_string()))
        .map(Some)
}

fn settings(what: String) -> EngineError {
    EngineError::Settings { what }
}

#[cfg(test)]
mod tests;
