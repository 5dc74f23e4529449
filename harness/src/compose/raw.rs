//! The file's structure for serde. Keys that are not listed here are errors.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::Spanned;

/// A string with its line.
pub(super) type Text = Spanned<String>;

/// A string, a whole number or a boolean, with its line.
pub(super) type Scalar = Spanned<Plain>;

/// The text of a [`Scalar`].
#[derive(Debug)]
pub(super) struct Plain(String);

impl AsRef<str> for Plain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PlainVisitor;

        impl Visitor<'_> for PlainVisitor {
            type Value = Plain;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number or a boolean")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Plain, E> {
                Ok(Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(value.to_owned()))
            }
        }

        deserializer.deserialize_any(PlainVisitor)
    }
}

#[derive(Debug)]
pub(super) struct File {
    pub(super) services: BTreeMap<String, Spanned<Service>>,
    pub(super) networks: BTreeMap<String, Option<Network>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    pub(super) image: Option<Text>,
    /// Used by Compose only; the harness builds the image itself.
    #[serde(rename = "build")]
    pub(super) _build: Option<IgnoredAny>,
    pub(super) container_name: Option<Text>,
    #[serde(default)]
    pub(super) command: Vec<Text>,
    #[serde(default)]
    pub(super) environment: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) ports: Vec<Scalar>,
    #[serde(default)]
    pub(super) networks: Vec<Text>,
    pub(super) healthcheck: Option<HealthCheck>,
    pub(super) stop_grace_period: Option<Text>,
    pub(super) read_only: Option<Scalar>,
    #[serde(default)]
    pub(super) cap_drop: Vec<Text>,
    #[serde(default)]
    pub(super) security_opt: Vec<Text>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthCheck {
    pub(super) test: Vec<Text>,
    pub(super) interval: Option<Text>,
    pub(super) timeout: Option<Text>,
    pub(super) retries: Option<Scalar>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {}

/// Implemented by hand, because `deny_unknown_fields` has no exception for the extension keys `x-*`.
impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FileVisitor;

        impl<'de> Visitor<'de> for FileVisitor {
            type Value = File;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with `services`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
                let mut services = None;
                let mut networks = None;
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "services" => services = Some(map.next_value()?),
                        "networks" => networks = Some(map.next_value()?),
                        // Required by older versions of Compose, ignored by newer ones.
                        "version" => drop(map.next_value::<IgnoredAny>()?),
                        extension if extension.starts_with("x-") => drop(map.next_value::<IgnoredAny>()?),
                        _ => {
                            return Err(A::Error::unknown_field(
                                &key,
                                &["services", "networks", "version", "x-*"],
                            ));
                        }
                    }
                }
                Ok(File {
                    services: services.ok_or_else(|| A::Error::missing_field("services"))?,
                    networks: networks.unwrap_or_default(),
                })
            }
        }

        deserializer.deserialize_map(FileVisitor)
    }
}
