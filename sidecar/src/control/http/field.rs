//! What is known of a field that a body may have.

use crate::control::grammar::{Flag, Key};
use crate::control::values::Kind;

/// A field that a body may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// What it means; `RESOURCE` stands for what the body is about.
    pub(super) about: &'static str,
    pub(super) to: To,
    pub(super) holds: Holds,
    /// A number that makes sense, shown to a caller who left the field out.
    pub(super) sample: Option<u32>,
}

/// What a field becomes.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    /// The name of the resource that the body is about.
    Name,
    /// A key's value.
    Key(Key),
    /// The part of a key's value in front of the comma.
    First(Key),
    /// The rest of the value of the field before it, behind a comma.
    Last,
    /// One flag or the other.
    Flag { yes: Flag, no: Flag },
    /// Nothing: the field is known and refused.
    Nothing { why: &'static str },
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Holds {
    Text(Fit),
    /// One of these words.
    Word(&'static [&'static str], Fit),
    /// An integer from one to the other.
    Number(u32, u32, Fit),
    Bool,
    Anything,
}

/// A kind of value without its type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    /// What is expected, in words.
    pub(super) expected: &'static str,
    pub(super) accepts: fn(&str) -> bool,
}

/// Whether a field is to be there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given {
    /// Without it the body is refused.
    Must(Field),
    /// Without it this is meant, written as JSON.
    Else(Field, &'static str),
    /// Without it nothing is meant.
    May(Field),
}

impl Given {
    pub(super) fn field(&self) -> &Field {
        match self {
            Self::Must(field) | Self::Else(field, _) | Self::May(field) => field,
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::Must(_))
    }
}

impl Field {
    /// Whether a body can say anything with it.
    pub(super) fn is_real(&self) -> bool {
        !matches!(self.to, To::Nothing { .. })
    }

    pub(super) const fn new(name: &'static str, to: To, holds: Holds, about: &'static str) -> Self {
        Self {
            name,
            about,
            to,
            holds,
            sample: None,
        }
    }

    pub(super) const fn like(self, sample: u32) -> Self {
        Self {
            sample: Some(sample),
            ..self
        }
    }
}

/// Whether a word is one of the kind.
pub(super) fn reads<T>(word: &str, kind: &Kind<T>) -> bool {
    (kind.parse)(word).is_some()
}
