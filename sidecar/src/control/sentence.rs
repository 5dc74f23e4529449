//! The syntax of a command, without its meaning.
//!
//! ```text
//! ACTION RESOURCE [NAME] [in RESOURCE NAME]... [to|from RESOURCE NAME] [KEY VALUE]... [FLAG]...
//! ```

use std::{fmt, iter};

use super::error::CommandError;
use super::resources::{Continues, Key, Parent, Resource, is_about_threads, no_threads};
use super::suggestion::did_you_mean;

/// The flag of `remove` with which the users of a resource are removed, too.
pub(super) const CASCADE: &str = "cascade";

/// Maximum number of words of one command.
const MAX_WORDS: usize = 64;

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Makes a resource, or attaches one to another.
    Add,
    /// Reads the names of resources, or their number.
    List,
    /// Reads a line about each.
    ListDetail,
    /// Changes a resource.
    Update,
    /// Removes a resource, or detaches one from another.
    Remove,
    /// Removes a resource, as the original's word does unless it is used; aborts sessions.
    ForceRemove,
}

impl Action {
    /// Every action.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::List,
        Self::ListDetail,
        Self::Update,
        Self::Remove,
        Self::ForceRemove,
    ];

    /// Its word in full, its short one, what it does, and its HTTP method.
    pub(super) fn spec(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Self::Add => (
                "add",
                "a",
                "make a resource; with `to`, attach it to another",
                "`POST`",
            ),
            Self::List => ("list", "l", "list the names, or their number", "`GET`"),
            Self::ListDetail => ("list-detail", "L", "list a line about each", "`GET`"),
            Self::Update => (
                "update",
                "u",
                "change a resource; keys that are not given stay as they are",
                "`PUT`",
            ),
            Self::Remove => (
                "remove",
                "r",
                "remove a resource; with `from`, detach it from another; with `cascade`, remove its users, too",
                "`DELETE`, `DELETE ...?cascade=true`",
            ),
            Self::ForceRemove => (
                "force-remove",
                "R",
                "remove a resource that is not used, or abort sessions",
                "`DELETE`",
            ),
        }
    }

    /// Its word in full.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.spec().0
    }

    /// The words that precede a parent; if there are two, they are synonyms.
    pub(super) fn prepositions(self) -> &'static [&'static str] {
        match self {
            Self::Add => &["to"],
            Self::Remove | Self::ForceRemove => &["from", "in"],
            Self::List | Self::ListDetail | Self::Update => &["in"],
        }
    }

    pub(super) fn parse(word: &str) -> Result<Self, CommandError> {
        let named = |a: &&Self| matches!(a.spec(), (long, short, ..) if long == word || short == word);
        Self::ALL.iter().find(named).copied().ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|action| action.word()).collect();
            not_valid(word, "action", &all)
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A command, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) action: Action,
    pub(super) resource: Resource,
    /// Empty if the action is to list, which takes no name.
    pub(super) name: String,
    /// The parents after `in`, `to` or `from`, from the nearest to the outermost.
    pub(super) parents: Vec<Parent>,
    /// Keys, by their words in full, and their values.
    pub(super) keys: Vec<(&'static str, String)>,
    pub(super) flags: Vec<&'static str>,
}

impl Sentence {
    /// Splits the words after a command's action into parts.
    ///
    /// # Errors
    /// Names the first word that does not fit.
    pub(super) fn parse(action: Action, words: &[&str]) -> Result<Self, CommandError> {
        let count = words.len() + 1;
        if count > MAX_WORDS {
            return Err(CommandError::invalid(
                "",
                format!("a command has at most {MAX_WORDS} words, this one has {count}"),
            ));
        }
        let mut words = words.iter().copied().peekable();
        let resource = parse_resource(words.next(), action.word())?;
        let name = match action {
            Action::List | Action::ListDetail => String::new(),
            _ => name_after(resource.word(), words.next())?,
        };
        let (parents, keys, flags) = Default::default();
        let mut sentence = Self {
            action,
            resource,
            name,
            parents,
            keys,
            flags,
        };
        while let Some(word) = words.next() {
            if action.prepositions().contains(&word) {
                let resource = parse_resource(words.next(), word)?;
                let name = name_after(resource.word(), words.next())?;
                sentence.parents.push(Parent { resource, name });
            } else if let Some(flag) = sentence.flags_allowed().find(|flag| *flag == word) {
                sentence.flags.push(flag);
            } else if let Some(key) = key_named(word) {
                let value = words
                    .next()
                    .ok_or_else(|| CommandError::invalid(word, format!("{key} needs a value")))?;
                if sentence.keys.iter().any(|(k, _)| *k == key) {
                    return Err(CommandError::invalid(word, format!("{key} may be given once")));
                }
                let further = further_words(key, value, words.peek().copied());
                let value: Vec<&str> = iter::once(value).chain(words.by_ref().take(further)).collect();
                sentence.keys.push((key, value.join(" ")));
            } else {
                return Err(sentence.unknown(word));
            }
        }
        Ok(sentence)
    }

    /// The flags of all resources, and those of the action.
    fn flags_allowed(&self) -> impl Iterator<Item = &'static str> + use<> {
        let all = Resource::ALL.iter().flat_map(|resource| resource.spec().keys);
        let flags = all.filter_map(|key| Some([key.word, key.off?])).flatten();
        flags.chain((self.action == Action::Remove).then_some(CASCADE))
    }

    fn unknown(&self, word: &str) -> CommandError {
        if is_about_threads(word) {
            return no_threads(word);
        }
        let mut keys: Vec<&str> = Vec::new();
        for key in keys_of_all().map(|key| key.word) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let flags: Vec<&str> = self.flags_allowed().collect();
        let meant = did_you_mean(word, keys.iter().chain(&flags).copied());
        let prepositions = self.action.prepositions().join("` or `");
        let (keys, flags) = (keys.join(", "), flags.join(", "));
        CommandError::invalid(
            word,
            format!(
                "{word} is not a valid word here; {meant}expected `{prepositions}`, a key ({keys}) or a flag ({flags})"
            ),
        )
    }
}

/// The keys of all resources, without flags; a key of several resources appears several times.
fn keys_of_all() -> impl Iterator<Item = &'static Key> {
    let all = Resource::ALL.iter().flat_map(|resource| resource.spec().keys);
    all.filter(|key| key.off.is_none())
}

/// The key with this word, in full: one of a resource, or one of the original that sets nothing here.
fn key_named(word: &str) -> Option<&'static str> {
    let own = keys_of_all().map(|key| (key.word, key.short));
    let all = Resource::ALL.iter().flat_map(|resource| resource.spec().foreign);
    let foreign = all.filter_map(|key| Some((key.word?, key.short)));
    let mut named = own
        .chain(foreign)
        .filter(|(full, short)| *full == word || *short == Some(word));
    named.next().map(|(full, _)| full)
}

/// The number of words after the first one of a key's value that belong to it.
fn further_words(key: &str, value: &str, next: Option<&str>) -> usize {
    let continues = keys_of_all()
        .filter(|it| it.word == key)
        .find_map(|it| it.continues);
    match continues {
        Some(Continues::After(first)) if first == value => 1,
        Some(Continues::Joined(join)) if Some(join) == next => 2,
        _ => 0,
    }
}

fn parse_resource(word: Option<&str>, before: &str) -> Result<Resource, CommandError> {
    match word {
        Some(word) if is_about_threads(word) => Err(no_threads(word)),
        Some(word) => Resource::from_word(word).ok_or_else(|| {
            let all: Vec<&str> = Resource::words().collect();
            not_valid(word, "resource", &all)
        }),
        None => Err(CommandError::invalid(
            before,
            format!("a resource is expected after {before}"),
        )),
    }
}

fn not_valid(word: &str, what: &str, all: &[&str]) -> CommandError {
    let meant = did_you_mean(word, all.iter().copied());
    let all = all.join(", ");
    CommandError::invalid(
        word,
        format!("{word} is not a valid {what}; {meant}expected one of {all}"),
    )
}

fn name_after(resource: &str, name: Option<&str>) -> Result<String, CommandError> {
    name.map(str::to_owned)
        .ok_or_else(|| CommandError::invalid(resource, format!("a name is expected after {resource}")))
}
