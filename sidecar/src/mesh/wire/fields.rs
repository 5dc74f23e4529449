//! Decodes JSON straight into types, with errors that name the key. Decoding stops at the first violation, so that a
//! body costs little more memory than its bytes.
//!
//! Serde's derive is not used for what peers send: it accepts an array in place of an object, which the protocol does
//! not, and rejects repeated keys, of which the protocol takes the last. Its errors do not name the location within a
//! body, and it checks an array's length only once all of it is read.
//!
//! Two kinds of faults are distinguished. A *malformed* value (a key that is missing, a value of a wrong type) ends
//! decoding. An *unusable* value is well-formed, but exceeds what this node keeps, such as a name with a comma: a list
//! drops the element that contains it, and keeps the others.

mod readers;

use std::cell::RefCell;
use std::net::IpAddr;

use serde::de::{DeserializeSeed, MapAccess};
use serde_json::error::Category;
use serde_json::value::RawValue;

use self::readers::{ListReader, ObjectReader};
use super::Malformed;
use super::dropped::Dropped;
use super::name::{check_name, shown};
use super::shape::{Location, Read, Scalar, Shape, UNFIT_NUMBER, Wrong};

/// A type that is decoded from a JSON object. Unknown keys are skipped; of equal keys the last counts.
pub(super) trait Object: Sized {
    /// Its keys.
    const KEYS: &'static [&'static str];
    /// The values decoded so far; `None` for one that is missing or unusable.
    type Parts: Default;

    /// Decodes the value of one of the keys.
    fn take<'de, A: MapAccess<'de>>(parts: &mut Self::Parts, value: Value<'_, A>) -> Result<(), A::Error>;

    /// The result, once the object has ended. Not called if a value was unusable.
    fn build(parts: Self::Parts) -> Result<Self, Missing>;

    /// What it is called in reports of unusable values, if that is known.
    fn label(_: &Self::Parts) -> Option<&str> {
        None
    }
}

/// A key that is missing, and the value expected for it.
pub(super) struct Missing(pub(super) &'static str, pub(super) &'static str);

/// Decodes an object. Elements of lists within it that are unusable are noted in `dropped`.
pub(super) fn read_object<O: Object>(
    what: &'static str,
    json: &[u8],
    dropped: &mut Dropped,
) -> Result<O, Malformed> {
    let sink = RefCell::new(std::mem::take(dropped));
    let object = read(what, json, Shape(ObjectReader::new(what, &sink)));
    *dropped = sink.into_inner();
    object?.map_err(Malformed::new)
}

/// Decodes an array of objects. Elements that are unusable, or beyond the first `most`, are noted in `dropped`.
pub(super) fn read_list<O: Object>(
    what: &'static str,
    element: &'static str,
    most: usize,
    json: &[u8],
    dropped: &mut Dropped,
) -> Result<Vec<O>, Malformed> {
    let sink = RefCell::new(std::mem::take(dropped));
    let list = read(what, json, Shape(ListReader::new(what, element, most, &sink)));
    *dropped = sink.into_inner();
    list
}

fn read<'de, R: Read<'de>>(what: &str, json: &'de [u8], shape: Shape<R>) -> Result<R::Out, Malformed> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let value = shape.deserialize(&mut json);
    let value = value.and_then(|value| json.end().map(|()| value));
    value.map_err(|error| {
        let message = error.to_string();
        if error.classify() != Category::Data {
            return Malformed::new(format!("{what}: not JSON: {message}"));
        }
        let at = format!(" at line {} column {}", error.line(), error.column());
        Malformed::new(message.strip_suffix(&at).unwrap_or(&message))
    })
}

/// Where the readers of one text note the elements that they drop.
type Sink<'s> = &'s RefCell<Dropped>;

/// The value of one key of an object, not yet decoded.
pub(super) struct Value<'a, A> {
    location: Location,
    map: &'a mut A,
    /// Why a value of the object is unusable, if one is.
    unusable: &'a mut Option<String>,
    dropped: Sink<'a>,
}

impl<'de, A: MapAccess<'de>> Value<'_, A> {
    pub(super) fn key(&self) -> &'static str {
        self.location.key
    }

    fn scalar<T>(
        self,
        expected: &'static str,
        read: impl FnOnce(Scalar<'_>) -> Result<T, Wrong>,
    ) -> Result<T, A::Error> {
        self.map.next_value_seed(Shape(ScalarReader {
            location: self.location,
            expected,
            read,
        }))
    }

    /// A string of any length.
    pub(super) fn text(self) -> Result<String, A::Error> {
        self.string(TEXT, |text| Ok(text.to_owned()))
    }

    /// Reads a value that can be unusable: `read` gives the value, or why it is unusable.
    fn usable<T>(
        self,
        expected: &'static str,
        read: impl FnOnce(Scalar<'_>) -> Result<Result<T, String>, Wrong>,
    ) -> Result<Option<T>, A::Error> {
        let Self {
            location,
            map,
            unusable,
            ..
        } = self;
        let read = map.next_value_seed(Shape(ScalarReader {
            location,
            expected,
            read,
        }))?;
        Ok(keep(read, location, unusable))
    }

    /// A string that passes a check; unusable if it does not.
    pub(super) fn checked(self, check: fn(&str) -> Result<(), String>) -> Result<Option<String>, A::Error> {
        self.usable(TEXT, |scalar| match scalar {
            Scalar::Text(text) => Ok(check(text).map(|()| text.to_owned())),
            other => Err(Wrong(other.kind())),
        })
    }

    /// A name, see [`check_name`].
    pub(super) fn name(self) -> Result<Option<String>, A::Error> {
        self.checked(check_name)
    }

    /// A string, converted by a function that may fail.
    pub(super) fn string<T>(
        self,
        expected: &'static str,
        read: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<T, A::Error> {
        self.scalar(expected, |scalar| match scalar {
            Scalar::Text(text) => read(text),
            other => Err(Wrong(other.kind())),
        })
    }

    /// An IP address as text; IPv6 also in brackets. Other text is unusable.
    pub(super) fn address(self) -> Result<Option<IpAddr>, A::Error> {
        self.usable(ADDRESS, |scalar| match scalar {
            Scalar::Text(text) => {
                let unfit = || format!("expected {ADDRESS}, found {}", shown(text));
                Ok(parse_address(text).ok_or_else(unfit))
            }
            other => Err(Wrong(other.kind())),
        })
    }

    /// A port. 0 and numbers above 65,535 are unusable.
    pub(super) fn port(self) -> Result<Option<u16>, A::Error> {
        self.usable(PORT, |scalar| {
            let port = scalar.whole()?.try_into().ok().filter(|port| *port != 0);
            Ok(port.ok_or_else(|| format!("expected {PORT}, found {UNFIT_NUMBER}")))
        })
    }

    pub(super) fn number(self) -> Result<i64, A::Error> {
        self.scalar(NUMBER, |scalar| {
            scalar.whole()?.try_into().map_err(|_| Wrong(UNFIT_NUMBER))
        })
    }

    pub(super) fn flag(self) -> Result<bool, A::Error> {
        self.scalar(FLAG, |scalar| match scalar {
            Scalar::Flag(flag) => Ok(flag),
            other => Err(Wrong(other.kind())),
        })
    }

    /// An object; errors name it by its key. If a value within it is unusable, so is the object around it.
    pub(super) fn object<O: Object>(self) -> Result<Option<O>, A::Error> {
        let Self {
            location,
            map,
            unusable,
            dropped,
        } = self;
        let object = map.next_value_seed(Shape(ObjectReader::new(location.key, dropped)))?;
        Ok(object.map_err(|why| *unusable = Some(why)).ok())
    }

    /// An array of objects, without those that are unusable or beyond the first `most`.
    pub(super) fn list<O: Object>(self, element: &'static str, most: usize) -> Result<Vec<O>, A::Error> {
        let Self {
            location,
            map,
            dropped,
            ..
        } = self;
        map.next_value_seed(Shape(ListReader::new(location.key, element, most, dropped)))
    }

    /// Any value as its raw text. `read` converts it, or tells why it is unusable.
    pub(super) fn raw<T>(
        self,
        read: impl FnOnce(&'de RawValue) -> Result<T, String>,
    ) -> Result<Option<T>, A::Error> {
        let Self {
            location,
            map,
            unusable,
            ..
        } = self;
        Ok(keep(read(map.next_value()?), location, unusable))
    }
}

/// The value, or `None` and a note why it is unusable.
fn keep<T>(read: Result<T, String>, location: Location, unusable: &mut Option<String>) -> Option<T> {
    read.map_err(|why| *unusable = Some(format!("{location}: {why}")))
        .ok()
}

pub(super) const PORT: &str = "a port number 1..65535";
pub(super) const TEXT: &str = "a string";
pub(super) const ADDRESS: &str = "an IP address";
pub(super) const OBJECT: &str = "an object";
pub(super) const ARRAY: &str = "an array";
pub(super) const NUMBER: &str = "a whole number";
pub(super) const FLAG: &str = "true or false";

struct ScalarReader<F> {
    location: Location,
    expected: &'static str,
    read: F,
}

impl<'de, T, F: FnOnce(Scalar<'_>) -> Result<T, Wrong>> Read<'de> for ScalarReader<F> {
    type Out = T;

    fn location(&self) -> Location {
        self.location
    }

    fn expected(&self) -> &'static str {
        self.expected
    }

    fn scalar(self, scalar: Scalar<'_>) -> Result<T, Wrong> {
        (self.read)(scalar)
    }
}

/// An IP address as text; IPv6 also in brackets.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}
