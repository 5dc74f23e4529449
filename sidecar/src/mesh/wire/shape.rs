//! Errors that name the kind of JSON value found in place of the expected one.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The position of a value, for errors.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(super) what: &'static str,
    /// The key within it; empty for the whole text.
    pub(super) key: &'static str,
}

impl Location {
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, key: "" }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { what, key: "" } => f.write_str(what),
            Self { what, key } => write!(f, "{what}: {key}"),
        }
    }
}

/// A JSON value that is neither array nor object.
pub(super) enum Scalar<'a> {
    Null,
    Flag(bool),
    Whole(i128),
    Fraction,
    Text(&'a str),
}

pub(super) const UNFIT_NUMBER: &str = "a number that does not fit";

impl Scalar<'_> {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Flag(_) => "a boolean",
            Self::Whole(_) | Self::Fraction => "a number",
            Self::Text(_) => "a string",
        }
    }

    pub(super) fn whole(&self) -> Result<i128, Wrong> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Fraction => Err(Wrong(UNFIT_NUMBER)),
            other => Err(Wrong(other.kind())),
        }
    }
}

/// The kind of a value that is rejected.
pub(super) struct Wrong(pub(super) &'static str);

/// Decodes one kind of value, and rejects all others without reading them.
pub(super) trait Read<'de>: Sized {
    type Out;

    fn location(&self) -> Location;

    fn expected(&self) -> &'static str;

    fn scalar(self, scalar: Scalar<'_>) -> Result<Self::Out, Wrong> {
        Err(Wrong(scalar.kind()))
    }

    fn seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Out, A::Error> {
        Err(refuse(self.location(), self.expected(), Wrong("an array")))
    }

    fn map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Out, A::Error> {
        Err(refuse(self.location(), self.expected(), Wrong("an object")))
    }
}

fn refuse<E: Error>(location: Location, expected: &str, Wrong(found): Wrong) -> E {
    E::custom(format_args!("{location}: expected {expected}, found {found}"))
}

/// A visitor that passes any value to a [`Read`].
pub(super) struct Shape<R>(pub(super) R);

impl<R> Shape<R> {
    fn found<'de, E: Error>(self, scalar: Scalar<'_>) -> Result<R::Out, E>
    where
        R: Read<'de>,
    {
        let (location, expected) = (self.0.location(), self.0.expected());
        self.0
            .scalar(scalar)
            .map_err(|wrong| refuse(location, expected, wrong))
    }
}

impl<'de, R: Read<'de>> DeserializeSeed<'de> for Shape<R> {
    type Value = R::Out;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<R::Out, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, R: Read<'de>> Visitor<'de> for Shape<R> {
    type Value = R::Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.expected())
    }

    fn visit_unit<E: Error>(self) -> Result<R::Out, E> {
        self.found(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<R::Out, E> {
        self.found(Scalar::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<R::Out, E> {
        self.found(Scalar::Whole(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<R::Out, E> {
        self.found(Scalar::Whole(number.into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<R::Out, E> {
        self.found(Scalar::Fraction)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<R::Out, E> {
        self.found(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<R::Out, A::Error> {
        self.0.seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<R::Out, A::Error> {
        self.0.map(map)
    }
}
