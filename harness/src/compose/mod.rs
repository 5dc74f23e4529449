//! The subset of the Compose file format that describes a mesh. Any other key is an error with its line, so that
//! nothing in the file is ignored silently.

pub mod cli;
mod fault;
mod interpolate;
mod published;
mod raw;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use fault::ComposeError;
use fault::Fault;
pub use interpolate::Lookup;
use published::Published;
use raw::Text;

/// Compose's own default for `stop_grace_period`.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// A Compose file with its variables replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeFile {
    /// Its path.
    pub path: PathBuf,
    /// Its services, sorted by name.
    pub services: Vec<Service>,
    /// The networks that it declares, sorted by name.
    pub networks: Vec<String>,
}

/// One service of the file: one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its key under `services`.
    pub name: String,
    /// Name of its container.
    pub container_name: String,
    /// The image to run.
    pub image: String,
    /// Arguments to the image's entry point.
    pub command: Vec<String>,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Ports published on the host.
    pub ports: Vec<PublishedPort>,
    /// The networks that it is attached to.
    pub networks: Vec<String>,
    /// The engine's health check.
    pub healthcheck: Option<HealthCheck>,
    /// Time between SIGTERM and SIGKILL when it is stopped.
    pub stop_grace_period: Duration,
    /// Whether its file system is read-only.
    pub read_only: bool,
    /// Capabilities that are dropped.
    pub cap_drop: Vec<String>,
    /// Security options, in the engine's syntax.
    pub security_opt: Vec<String>,
}

/// A TCP port of a container that is published on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublishedPort {
    /// The host's address that it is bound to.
    pub host_ip: Ipv4Addr,
    /// The host's port; `None` if the engine chooses a free one (an empty field, or 0).
    pub host_port: Option<u16>,
    /// The container's port.
    pub container_port: u16,
}

/// A container's health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The command, with Compose's leading `CMD`.
    pub test: Vec<String>,
    /// Time between checks.
    pub interval: Duration,
    /// Timeout for a check.
    pub timeout: Duration,
    /// Consecutive failures before it is unhealthy.
    pub retries: u32,
}

impl ComposeFile {
    /// Reads the file at `path`, with variables from `lookup`.
    ///
    /// # Errors
    /// The file cannot be read, or has unsupported keys or values, each reported with its line.
    pub fn read(path: &Path, lookup: Lookup<'_>) -> Result<Self, ComposeError> {
        let text = std::fs::read_to_string(path).map_err(|error| ComposeError {
            path: path.to_owned(),
            faults: vec![Fault::text(0, format!("it cannot be read: {error}"))],
        })?;
        Self::parse(path, &text, lookup)
    }

    /// Parses `text` as the content of `path`.
    ///
    /// # Errors
    /// As [`ComposeFile::read`].
    pub fn parse(path: &Path, text: &str, lookup: Lookup<'_>) -> Result<Self, ComposeError> {
        let failed = |faults| ComposeError {
            path: path.to_owned(),
            faults,
        };
        let options = serde_saphyr::options! { with_snippet: false };
        let file: raw::File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            failed(vec![Fault::text(line, error.without_snippet().to_string())])
        })?;
        let mut reader = Reader {
            lookup,
            faults: Vec::new(),
            published: Published::default(),
        };
        let services = file
            .services
            .into_iter()
            .map(|(name, service)| reader.service(name, service))
            .collect();
        reader.faults.extend(reader.published.clashes());
        let networks = file.networks.into_keys().collect();
        if reader.faults.is_empty() {
            Ok(Self {
                path: path.to_owned(),
                services,
                networks,
            })
        } else {
            Err(failed(reader.faults))
        }
    }
}

/// Interpolates and parses all values, and collects all faults.
struct Reader<'a> {
    lookup: Lookup<'a>,
    faults: Vec<Fault>,
    published: Published,
}

impl Reader<'_> {
    fn service(&mut self, name: String, service: serde_saphyr::Spanned<raw::Service>) -> Service {
        let line = service.referenced.line();
        let service = service.value;
        let image = match service.image {
            Some(image) => self.text(image),
            None => {
                self.faults.push(Fault::text(
                    line,
                    format!("service `{name}`: expected an `image`"),
                ));
                String::new()
            }
        };
        let container_name = match service.container_name {
            Some(text) => self.text(text),
            None => {
                let message = format!("service `{name}`: expected a `container_name`");
                self.faults.push(Fault::text(line, message));
                String::new()
            }
        };
        Service {
            container_name,
            image,
            command: self.texts(service.command),
            environment: service
                .environment
                .into_iter()
                .map(|(key, value)| (key, self.text(value)))
                .collect(),
            ports: service
                .ports
                .into_iter()
                .filter_map(|port| self.port(port))
                .collect(),
            networks: self.texts(service.networks),
            healthcheck: service.healthcheck.map(|check| self.healthcheck(check)),
            stop_grace_period: self.duration(service.stop_grace_period, DEFAULT_GRACE),
            read_only: service.read_only,
            cap_drop: self.texts(service.cap_drop),
            security_opt: self.texts(service.security_opt),
            name,
        }
    }

    fn healthcheck(&mut self, check: raw::HealthCheck) -> HealthCheck {
        // The engine's defaults.
        let default = Duration::from_secs(30);
        HealthCheck {
            test: self.texts(check.test),
            interval: self.duration(check.interval, default),
            timeout: self.duration(check.timeout, default),
            retries: check.retries.unwrap_or(3),
        }
    }

    fn duration(&mut self, text: Option<Text>, default: Duration) -> Duration {
        text.and_then(|text| self.value(text, value::duration))
            .unwrap_or(default)
    }

    fn texts(&mut self, texts: Vec<Text>) -> Vec<String> {
        texts.into_iter().map(|text| self.text(text)).collect()
    }

    fn text(&mut self, text: Text) -> String {
        self.value(text, |text| Ok(text.to_owned())).unwrap_or_default()
    }

    fn value<T>(&mut self, text: Text, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let result = interpolate::interpolate(&text.value, self.lookup).and_then(|value| read(&value));
        result
            .map_err(|message| self.faults.push(Fault::text(text.defined.line(), message)))
            .ok()
    }

    /// Parses a port. If a variable's value makes it invalid, the fault names the variable instead of the file.
    fn port(&mut self, text: Text) -> Option<PublishedPort> {
        let variables = interpolate::variables(&text.value, self.lookup);
        let bad: Vec<Fault> = variables
            .iter()
            .filter_map(|variable| {
                let only = |name: &str| variable.value.clone().filter(|_| name == variable.name);
                let with = interpolate::interpolate(&text.value, &only).ok()?;
                let without = interpolate::interpolate(&text.value, &|_| None).ok()?;
                (value::port(&with).is_err() && value::port(&without).is_ok()).then(|| variable.refused())?
            })
            .collect();
        if !bad.is_empty() {
            self.faults.extend(bad);
            return None;
        }
        let port = self.value(text, value::port)?;
        self.published.add(port.host_port, variables);
        Some(port)
    }
}
