//! The syntax of a command, without its meaning.
//!
//! ```text
//! ACTION RESOURCE [NAME] [in RESOURCE NAME]... [to|from RESOURCE NAME] [KEY VALUE]... [FLAG]...
//! ```

use std::fmt;

use super::error::CommandError;
use super::resources::{Key, Parent, Resource};
use super::suggestion::did_you_mean;

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
    /// Removes a resource and everything that uses it.
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
                "remove a resource; with `from`, detach it from another",
                "`DELETE`",
            ),
            Self::ForceRemove => (
                "force-remove",
                "R",
                "remove a resource and everything that uses it",
                "`DELETE ...?force=true`",
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

    fn parse(word: &str) -> Result<Self, CommandError> {
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

/// The words of the original that this sidecar does not have: its threads.
const THREAD_WORDS: &[&str] = &[
    "event-loop-group",
    "elg",
    "event-loop",
    "el",
    "acceptor-elg",
    "aelg",
    "event-loop-group-list",
];

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
    /// Splits a command into its parts.
    ///
    /// # Errors
    /// Names the first word that does not fit.
    pub(super) fn parse(words: &[&str]) -> Result<Self, CommandError> {
        if words.len() > MAX_WORDS {
            let count = words.len();
            return Err(CommandError::invalid(
                "",
                format!("a command has at most {MAX_WORDS} words, this one has {count}"),
            ));
        }
        let mut words = words.iter().copied();
        let action = Action::parse(words.next().unwrap_or_default())?;
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
            } else if let Some(flag) = flags_of_all().find(|flag| *flag == word) {
                sentence.flags.push(flag);
            } else if let Some(Key { word: key, .. }) = key_named(word) {
                let value = words
                    .next()
                    .ok_or_else(|| CommandError::invalid(word, format!("{key} needs a value")))?;
                if sentence.keys.iter().any(|(k, _)| k == key) {
                    return Err(CommandError::invalid(word, format!("{key} may be given once")));
                }
                sentence.keys.push((key, value.to_owned()));
            } else {
                return Err(sentence.unknown(word));
            }
        }
        Ok(sentence)
    }

    fn unknown(&self, word: &str) -> CommandError {
        if THREAD_WORDS.contains(&word) {
            return threads_refused(word);
        }
        let mut keys: Vec<&str> = Vec::new();
        for key in keys_of_all().map(|key| key.word) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let flags: Vec<&str> = flags_of_all().collect();
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

fn key_named(word: &str) -> Option<&'static Key> {
    keys_of_all().find(|key| key.word == word || key.short == Some(word))
}

fn flags_of_all() -> impl Iterator<Item = &'static str> {
    let all = Resource::ALL.iter().flat_map(|resource| resource.spec().keys);
    all.filter_map(|key| Some([key.word, key.off?])).flatten()
}

fn parse_resource(word: Option<&str>, before: &str) -> Result<Resource, CommandError> {
    match word {
        Some(word) if THREAD_WORDS.contains(&word) => Err(threads_refused(word)),
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

fn threads_refused(word: &str) -> CommandError {
    CommandError::invalid(
        word,
        format!("{word} does not exist here: the number of threads is set by --workers at start"),
    )
}
