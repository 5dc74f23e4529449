//! `update`.

use super::rest::Rest;
use crate::control::command::{CheckUpdate, ListenerUpdate, Update};
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Flag, Key, Resource};
use crate::control::values;

pub(super) fn update(name: String, rest: &mut Rest) -> Result<Update, CommandError> {
    Ok(match rest.resource {
        Resource::ServerGroup => match rest.take_place(Resource::ServerGroups) {
            Some(groups) => Update::ServerGroupIn {
                name,
                groups,
                weight: rest.required(Key::Weight, &values::WEIGHT)?,
            },
            None => server_group(name, rest)?,
        },
        Resource::Server => Update::Server {
            name,
            group: rest.required_place(Resource::ServerGroup, "in")?,
            weight: rest.required(Key::Weight, &values::WEIGHT)?,
        },
        Resource::TcpLb => {
            let listener = listener(rest)?;
            if listener == ListenerUpdate::default() {
                return Err(nothing(rest, &[Key::ServerGroups, Key::SecurityGroup], &[]));
            }
            Update::TcpLb { name, listener }
        }
        Resource::Socks5Server => {
            let (listener, allow_non_backend) = (listener(rest)?, rest.allow_non_backend()?);
            if listener == ListenerUpdate::default() && allow_non_backend.is_none() {
                return Err(nothing(rest, &[Key::ServerGroups, Key::SecurityGroup], Flag::ALL));
            }
            Update::Socks5Server {
                name,
                listener,
                allow_non_backend,
            }
        }
        Resource::SecurityGroup => Update::SecurityGroup {
            name,
            default: rest.required(Key::Default, &values::VERDICT)?,
        },
        _ => return Err(rest.cannot(Action::Update, "remove it and add it anew")),
    })
}

fn server_group(name: String, rest: &mut Rest) -> Result<Update, CommandError> {
    let check = CheckUpdate {
        timeout: rest.optional(Key::Timeout, &values::MILLIS)?,
        period: rest.optional(Key::Period, &values::MILLIS)?,
        up: rest.optional(Key::Up, &values::TIMES)?,
        down: rest.optional(Key::Down, &values::TIMES)?,
    };
    let method = rest.optional(Key::Method, &values::METHOD)?;
    if check == CheckUpdate::default() && method.is_none() {
        let keys = [Key::Timeout, Key::Period, Key::Up, Key::Down, Key::Method];
        return Err(nothing(rest, &keys, &[]));
    }
    Ok(Update::ServerGroup { name, check, method })
}

fn listener(rest: &mut Rest) -> Result<ListenerUpdate, CommandError> {
    Ok(ListenerUpdate {
        backend: rest.optional(Key::ServerGroups, &values::NAME)?,
        security_group: rest.optional(Key::SecurityGroup, &values::SECURITY_GROUP)?,
    })
}

/// The error for an update that says nothing: what it could say.
fn nothing(rest: &Rest, keys: &[Key], flags: &[Flag]) -> CommandError {
    let words = keys
        .iter()
        .map(|k| k.word())
        .chain(flags.iter().map(|f| f.word()));
    let words: Vec<&str> = words.collect();
    CommandError::invalid(
        rest.resource.word(),
        format!(
            "the update changes nothing; expected at least one of {}",
            words.join(", ")
        ),
    )
}
