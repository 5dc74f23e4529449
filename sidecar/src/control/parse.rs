//! From words to a typed [`Command`]: every key is taken once, checked, and none may be left over.

use std::str::FromStr;

use super::command::{
    Add, Command, DEFAULT_WEIGHT, ListenerSpec, Remove, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec,
};
use super::error::CommandError;
use super::grammar::{Action, Dialect, Flag, Key, Resource, Sentence};
use super::values::{self, Kind};
use crate::balance::CheckConfig;

impl FromStr for Command {
    type Err = CommandError;

    /// Parses one command as a person writes it, words apart by white space.
    fn from_str(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Self::from_words(&words)
    }
}

impl Command {
    /// Parses one command from its words.
    ///
    /// # Errors
    /// [`CommandError::Invalid`] with the word at fault and what was expected.
    pub fn from_words(words: &[&str]) -> Result<Self, CommandError> {
        Self::from_sentence(Sentence::parse(words)?)
    }

    /// Gives a sentence its meaning.
    pub(super) fn from_sentence(sentence: Sentence) -> Result<Self, CommandError> {
        values::check_name(sentence.resource.word(), &sentence.name)?;
        let mut rest = Rest {
            dialect: sentence.dialect,
            keys: sentence.keys,
            flags: sentence.flags,
            target: sentence.target,
        };
        let command = match sentence.action {
            Action::Add => Self::Add(add(sentence.resource, sentence.name, &mut rest)?),
            Action::Remove => Self::Remove(remove(sentence.resource, sentence.name)?),
        };
        rest.nothing_left(sentence.action, sentence.resource)?;
        Ok(command)
    }
}

fn add(resource: Resource, name: String, rest: &mut Rest) -> Result<Add, CommandError> {
    Ok(match resource {
        Resource::ServerGroups => Add::ServerGroups { name },
        Resource::ServerGroup => match rest.take_target(Resource::ServerGroups) {
            Some(groups) => Add::ServerGroupTo {
                name,
                groups,
                weight: rest.weight()?,
            },
            None => Add::ServerGroup {
                name,
                spec: rest.server_group()?,
            },
        },
        Resource::Server => Add::Server {
            name,
            group: rest.take_target(Resource::ServerGroup).ok_or_else(|| {
                CommandError::invalid(
                    "server",
                    "a server is added `to server-group NAME`, which is missing",
                )
            })?,
            address: rest.required(Key::Address, &values::ADDRESS)?,
            weight: rest.weight()?,
        },
        Resource::TcpLb => Add::TcpLb {
            name,
            spec: rest.listener()?,
        },
        Resource::Socks5Server => Add::Socks5Server {
            name,
            spec: rest.listener()?,
            allow_non_backend: rest.allow_non_backend()?.unwrap_or(false),
        },
        Resource::SmartGroupDelegate => Add::SmartGroupDelegate {
            name,
            spec: SmartGroupSpec {
                service: rest.required(Key::Service, &values::NAME)?,
                zone: rest.required(Key::Zone, &values::NAME)?,
                group: rest.required(Key::ServerGroup, &values::NAME)?,
            },
        },
        Resource::SmartNodeDelegate => Add::SmartNodeDelegate {
            name,
            spec: SmartNodeSpec {
                service: rest.required(Key::Service, &values::NAME)?,
                zone: rest.required(Key::Zone, &values::NAME)?,
                nic: rest.required(Key::Nic, &values::NAME)?,
                ip_type: rest.optional(Key::IpType, &values::IP_TYPE)?.unwrap_or_default(),
                port: rest.optional(Key::Port, &values::PORT)?,
                weight: rest.weight()?,
            },
        },
    })
}

fn remove(resource: Resource, name: String) -> Result<Remove, CommandError> {
    match resource {
        Resource::SmartNodeDelegate => Ok(Remove::SmartNodeDelegate { name }),
        other => Err(CommandError::invalid(
            other.word(),
            format!("{other} cannot be removed"),
        )),
    }
}

/// What is left of a sentence while its parts are taken.
struct Rest {
    dialect: Dialect,
    keys: Vec<(Key, String)>,
    flags: Vec<Flag>,
    target: Option<(Resource, String)>,
}

impl Rest {
    fn take_target(&mut self, resource: Resource) -> Option<String> {
        match &self.target {
            Some((of, _)) if *of == resource => self.target.take().map(|(_, name)| name),
            _ => None,
        }
    }

    fn optional<T>(&mut self, key: Key, kind: &Kind<T>) -> Result<Option<T>, CommandError> {
        let Some(at) = self.keys.iter().position(|(k, _)| *k == key) else {
            return Ok(None);
        };
        let (_, text) = self.keys.remove(at);
        let key = self.dialect.key(key);
        match (kind.parse)(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(CommandError::invalid(
                &text,
                format!("{key} {text} is not valid; expected {}", kind.expected),
            )),
        }
    }

    fn required<T>(&mut self, key: Key, kind: &Kind<T>) -> Result<T, CommandError> {
        let value = self.optional(key, kind)?;
        let key = self.dialect.key(key);
        value.ok_or_else(|| {
            CommandError::invalid(
                key,
                format!(
                    "{key} is missing; expected `{key}` with {} behind it",
                    kind.expected
                ),
            )
        })
    }

    fn weight(&mut self) -> Result<u32, CommandError> {
        Ok(self
            .optional(Key::Weight, &values::WEIGHT)?
            .unwrap_or(DEFAULT_WEIGHT))
    }

    fn server_group(&mut self) -> Result<ServerGroupSpec, CommandError> {
        let check = CheckConfig {
            timeout: self.required(Key::Timeout, &values::MILLIS)?,
            period: self.required(Key::Period, &values::MILLIS)?,
            up: self.required(Key::Up, &values::TIMES)?,
            down: self.required(Key::Down, &values::TIMES)?,
        };
        let method = self.optional(Key::Method, &values::METHOD)?.unwrap_or_default();
        Ok(ServerGroupSpec { check, method })
    }

    fn listener(&mut self) -> Result<ListenerSpec, CommandError> {
        Ok(ListenerSpec {
            address: self.required(Key::Address, &values::ADDRESS)?,
            backend: self.required(Key::ServerGroups, &values::NAME)?,
        })
    }

    fn allow_non_backend(&mut self) -> Result<Option<bool>, CommandError> {
        let allow = self.take_flag(Flag::AllowNonBackend);
        let deny = self.take_flag(Flag::DenyNonBackend);
        match (allow, deny) {
            (true, true) => Err(CommandError::invalid(
                Flag::DenyNonBackend.word(),
                "allow-non-backend and deny-non-backend exclude each other",
            )),
            (false, false) => Ok(None),
            (allow, _) => Ok(Some(allow)),
        }
    }

    fn take_flag(&mut self, flag: Flag) -> bool {
        let before = self.flags.len();
        self.flags.retain(|f| *f != flag);
        self.flags.len() < before
    }

    fn nothing_left(&self, action: Action, resource: Resource) -> Result<(), CommandError> {
        let word = match (self.target.as_ref(), self.keys.first(), self.flags.first()) {
            (Some((of, _)), ..) => of.word(),
            (_, Some((key, _)), _) => key.word(),
            (.., Some(flag)) => flag.word(),
            _ => return Ok(()),
        };
        Err(CommandError::invalid(
            word,
            format!("{word} does not go with `{action} {resource}`"),
        ))
    }
}
