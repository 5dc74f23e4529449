//! The subset of the Compose file format that describes a mesh. Any other key is an error with its line, so that
//! nothing in the file is ignored silently.

pub mod cli;
mod dotenv;
mod environment;
mod fault;
mod interpolate;
mod published;
mod raw;
mod value;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use environment::Environment;
pub use fault::ComposeError;
use fault::Fault;
pub use interpolate::Lookup;
use published::Published;
use raw::{Scalar, Text};
use serde_saphyr::Spanned;

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
    /// Variables that are not set and have no default, sorted. Compose and this reader use an empty string for them.
    pub unset: BTreeSet<String>,
}

/// One service of the file: one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its key under `services`.
    pub name: String,
    /// Name of its container; empty if the file leaves it to Compose.
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
    /// Files of this machine that are mounted, read-only. The Compose file has none.
    pub files: Vec<MountedFile>,
}

/// A file of this machine in a container, read-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedFile {
    /// Its path on this machine.
    pub source: PathBuf,
    /// Its path in the container.
    pub target: String,
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
        // What Compose's versions read as different types has to be quoted where a text is expected.
        let options = serde_saphyr::options! { with_snippet: false, no_schema: true, strict_booleans: true };
        let file: raw::File = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let line = error.location().map_or(0, |location| location.line());
            let message = error.without_snippet().to_string();
            let written = usize::try_from(line)
                .ok()
                .and_then(|line| text.lines().nth(line.checked_sub(1)?));
            let written = written.map(|written| format!(": `{}`", written.trim()));
            failed(vec![Fault::text(line, message + &written.unwrap_or_default())])
        })?;
        let mut reader = Reader {
            lookup,
            faults: Vec::new(),
            unset: BTreeSet::new(),
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
                unset: reader.unset,
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
    unset: BTreeSet<String>,
    published: Published,
}

impl Reader<'_> {
    fn service(&mut self, name: String, service: Spanned<raw::Service>) -> Service {
        let line = service.referenced.line();
        let service = service.value;
        let image = self.required(
            service.image,
            &format!("service `{name}`: expected an `image`"),
            line,
        );
        Service {
            container_name: service
                .container_name
                .map(|name| self.text(name))
                .unwrap_or_default(),
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
            stop_grace_period: self.optional(service.stop_grace_period, value::duration, DEFAULT_GRACE),
            read_only: self.optional(service.read_only, value::boolean, false),
            cap_drop: self.texts(service.cap_drop),
            security_opt: self.texts(service.security_opt),
            files: Vec::new(),
            name,
        }
    }

    fn healthcheck(&mut self, check: raw::HealthCheck) -> HealthCheck {
        // The engine's defaults.
        let default = Duration::from_secs(30);
        HealthCheck {
            test: self.test(check.test),
            interval: self.optional(check.interval, value::duration, default),
            timeout: self.optional(check.timeout, value::duration, default),
            retries: self.optional(check.retries, value::count, 3),
        }
    }

    /// A health check's command, whose first word says how the engine runs it.
    fn test(&mut self, test: Vec<Text>) -> Vec<String> {
        let line = test.first().map_or(0, |first| first.defined.line());
        let test = self.texts(test);
        if !test
            .first()
            .is_some_and(|first| ["CMD", "CMD-SHELL", "NONE"].contains(&first.as_str()))
        {
            let message = "health check: expected `test` to start with CMD, CMD-SHELL or NONE".to_owned();
            self.faults.push(Fault::text(line, message));
        }
        test
    }

    fn optional<T>(
        &mut self,
        text: Option<Spanned<impl AsRef<str>>>,
        read: impl Fn(&str) -> Result<T, String>,
        default: T,
    ) -> T {
        text.and_then(|text| self.value(text, read)).unwrap_or(default)
    }

    /// A text that is not empty. The fault `expected` is on `line` if the key is missing.
    fn required(&mut self, text: Option<Text>, expected: &str, line: u64) -> String {
        let Some(text) = text else {
            self.faults.push(Fault::text(line, expected.to_owned()));
            return String::new();
        };
        let (at, written) = (text.defined.line(), text.value.clone());
        let faults = self.faults.len();
        let value = self.text(text);
        if value.is_empty() && self.faults.len() == faults {
            let message = format!("{expected}, and `{written}` is empty");
            self.faults.push(Fault::text(at, message));
        }
        value
    }

    fn texts(&mut self, texts: Vec<Text>) -> Vec<String> {
        texts.into_iter().map(|text| self.text(text)).collect()
    }

    fn text(&mut self, text: Text) -> String {
        self.value(text, |text| Ok(text.to_owned())).unwrap_or_default()
    }

    fn value<T>(
        &mut self,
        text: Spanned<impl AsRef<str>>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let interpolated = interpolate::interpolate(text.value.as_ref(), self.lookup);
        let result = interpolated.and_then(|interpolated| {
            self.unset.extend(interpolated.unset);
            read(&interpolated.value)
        });
        result
            .map_err(|message| self.faults.push(Fault::text(text.defined.line(), message)))
            .ok()
    }

    /// Parses a port. If a variable's value makes it invalid, the fault names the variable instead of the file.
    fn port(&mut self, text: Scalar) -> Option<PublishedPort> {
        let variables = interpolate::variables(text.value.as_ref(), self.lookup);
        let bad: Vec<Fault> = variables
            .iter()
            .filter_map(|variable| {
                let only = |name: &str| variable.value.clone().filter(|_| name == variable.name);
                let with = interpolate::interpolate(text.value.as_ref(), &only).ok()?.value;
                let without = interpolate::interpolate(text.value.as_ref(), &|_| None)
                    .ok()?
                    .value;
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
