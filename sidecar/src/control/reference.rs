//! The reference of the command language, generated from the specifications: the lines of `--help`, and the tables of
//! docs/commands.md.

#[cfg(test)]
mod tests;

use super::resources::{Key, Presence, Resource};
use super::sentence::Action;
use super::values::{Json, Value};

/// The resources and their commands, for `--help`.
#[must_use]
pub fn help() -> String {
    let mut text = "Commands (--load, --resp-controller), explained in docs/commands.md:\n".to_owned();
    for resource in Resource::ALL.iter().filter(|resource| resource.is_configured()) {
        text.push_str(&format!("  {}\n", resource.spec().help));
        for (_, action) in syntaxes().filter(|(of, _)| of == resource) {
            text.push_str(&format!("    {}\n", syntax(*resource, action)));
        }
    }
    text.push_str("Values:\n");
    for key in keys().into_iter().filter(|key| key.off.is_none()) {
        text.push_str(&format!("    {}: {}\n", key.word, values(key)));
    }
    text.push_str("Actions:\n");
    for (word, short, meaning, _) in Action::ALL.iter().map(|action| action.spec()) {
        text.push_str(&format!("    {word}, {short}: {meaning}\n"));
    }
    text
}

/// What `help` says about an action, a resource, a resource's action or a key; all of it without words. `None` if there
/// is no such thing.
pub(super) fn manual(words: &[&str]) -> Option<String> {
    let (word, action) = match words {
        [] => return Some(help()),
        ["add-to"] => ("add", None),
        ["remove-from"] => ("remove", None),
        [word] => (*word, None),
        [word, action] => (*word, Some(Action::parse(action).ok()?)),
        _ => return None,
    };
    if let Some(resource) = Resource::from_word(word) {
        return Some(manual_of(resource, action));
    }
    if action.is_some() {
        return None;
    }
    if let Ok(action) = Action::parse(word) {
        let (word, short, meaning, _) = action.spec();
        return Some(format!("{word}, {short}: {meaning}\n"));
    }
    let key = keys()
        .into_iter()
        .find(|key| key.word == word || key.off == Some(word) || key.short == Some(word))?;
    Some(format!("{}: {}\n", key.word, values(key)))
}

/// A resource's description, its commands and its keys.
fn manual_of(resource: Resource, action: Option<Action>) -> String {
    let mut text = format!("{resource}: {}\n", resource.spec().help);
    let same_word = |other: &Resource| other.word() == resource.word();
    for (of, possible) in syntaxes().filter(|(of, _)| same_word(of)) {
        if action.is_none_or(|action| action == possible) {
            text.push_str(&format!("  {}\n", syntax(of, possible)));
        }
    }
    for key in resource.spec().keys {
        let about: Vec<&str> = key.json().map(|field| field.help).collect();
        let about = about.join("; ").replace("RESOURCE", resource.word());
        text.push_str(&format!("  {}: {about}\n    {}\n", key.word, value(key)));
    }
    text
}

/// Every key, once.
fn keys() -> Vec<&'static Key> {
    let mut keys: Vec<&Key> = Vec::new();
    for key in Resource::ALL.iter().flat_map(|resource| resource.spec().keys) {
        if !keys.iter().any(|known| known.word == key.word) {
            keys.push(key);
        }
    }
    keys
}

/// The actions that have keys, for each resource.
fn syntaxes() -> impl Iterator<Item = (Resource, Action)> {
    let configured = Resource::ALL
        .iter()
        .copied()
        .filter(|resource| resource.is_configured());
    configured.flat_map(|resource| {
        let updatable = resource.spec().updatable().next().is_some();
        let update = updatable.then_some((resource, Action::Update));
        std::iter::once((resource, Action::Add)).chain(update)
    })
}

/// A command's syntax, with its optional parts in brackets.
fn syntax(resource: Resource, action: Action) -> String {
    let mut text = format!("{action} {resource} NAME");
    if let Some(parent) = resource.parent() {
        text.push_str(&format!(" {} {parent} NAME", action.prepositions()[0]));
    }
    let spec = resource.spec();
    let keys: Vec<&Key> = match action {
        Action::Update => spec.updatable().collect(),
        _ => spec.keys.iter().collect(),
    };
    let alone = keys.len() == 1;
    for key in keys {
        let written = match (key.off, action) {
            (None, _) => format!("{} {}", key.word, placeholder(key)),
            (Some(off), Action::Update) => format!("{}|{off}", key.word),
            (Some(_), _) => key.word.to_owned(),
        };
        let required = match action {
            Action::Update => alone,
            _ => key.presence == Presence::Required,
        };
        text.push_str(&if required {
            format!(" {written}")
        } else {
            format!(" [{written}]")
        });
    }
    text
}

/// The values of a key.
fn value(key: &Key) -> &'static str {
    match key.expected {
        String::EXPECTED => "a name",
        expected => expected,
    }
}

/// The values of a key in all resources that have it.
fn values(key: &Key) -> String {
    let mut text = value(key).to_owned();
    for resource in Resource::ALL {
        let same = resource.spec().keys.iter().filter(|other| other.word == key.word);
        for other in same.map(value) {
            if !text.contains(other) {
                text.push_str(&format!("; of a {resource} {other}"));
            }
        }
    }
    text
}

/// The placeholder for a key's value.
fn placeholder(key: &Key) -> String {
    match key.json().next().map(|field| field.json) {
        Some(Json::OneOf(words)) => words.join("|"),
        _ => key.word.to_ascii_uppercase(),
    }
}
