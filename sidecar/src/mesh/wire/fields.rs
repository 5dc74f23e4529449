//! Decodes JSON straight into types, with errors that name the key. Decoding stops at the first violation, so that a
//! body costs little more memory than its bytes.
//!
//! Serde's derive is not used for what peers send: it accepts an array in place of an object, which the protocol does
//! not, and rejects repeated keys, of which the protocol takes the last. Its errors do not name the place within a
//! body, and it checks an array's length only once all of it is read.

use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::shape::{Place, Read, Scalar, Shape, UNFIT_NUMBER, Wrong};
use super::{MAX_NAME, Malformed};

/// A type that is decoded from a JSON object. Unknown keys are skipped; of equal keys the last counts.
pub(super) trait Object: Sized {
    /// Its keys.
    const KEYS: &'static [&'static str];
    /// The values decoded so far.
    type Parts: Default;

    /// Decodes the value of one of the keys.
    fn take<'de, A: MapAccess<'de>>(parts: &mut Self::Parts, value: Value<'_, A>) -> Result<(), A::Error>;

    /// The result, once the object has ended.
    fn build(parts: Self::Parts) -> Result<Self, Missing>;
}

/// A key that is missing, and the value expected for it.
pub(super) struct Missing(pub(super) &'static str, pub(super) &'static str);

/// Decodes an object.
pub(super) fn read_object<O: Object>(what: &'static str, json: &[u8]) -> Result<O, Malformed> {
    read(what, json, Shape(ObjectReader::new(what)))
}

/// Decodes an array of at most `most` objects.
pub(super) fn read_list<O: Object>(
    what: &'static str,
    element: &'static str,
    most: usize,
    json: &[u8],
) -> Result<Vec<O>, Malformed> {
    read(what, json, Shape(ListReader::new(what, element, most)))
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

/// The value of one key of an object, not yet decoded.
pub(super) struct Value<'a, A> {
    place: Place,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Value<'_, A> {
    pub(super) fn key(&self) -> &'static str {
        self.place.key
    }

    fn scalar<T>(
        self,
        expected: &'static str,
        read: impl FnOnce(Scalar<'_>) -> Result<T, Wrong>,
    ) -> Result<T, A::Error> {
        self.map.next_value_seed(Shape(ScalarReader {
            place: self.place,
            expected,
            read,
        }))
    }

    /// A string of any length.
    pub(super) fn text(self) -> Result<String, A::Error> {
        self.string(TEXT, |text| Ok(text.to_owned()))
    }

    /// A string that passes a check.
    pub(super) fn checked(self, check: fn(&str) -> Result<(), String>) -> Result<String, A::Error> {
        self.string(TEXT, |text| {
            check(text).map_err(Wrong::Because)?;
            Ok(text.to_owned())
        })
    }

    /// A name, see [`check_name`].
    pub(super) fn name(self) -> Result<String, A::Error> {
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
            other => Err(Wrong::Kind(other.kind())),
        })
    }

    /// An IP address as text; IPv6 also in brackets.
    pub(super) fn address(self) -> Result<IpAddr, A::Error> {
        self.string(ADDRESS, |text| {
            parse_address(text).ok_or(Wrong::Kind("a string that does not fit"))
        })
    }

    pub(super) fn port(self) -> Result<u16, A::Error> {
        self.scalar(PORT, |scalar| {
            let port = scalar.whole()?.try_into().ok().filter(|port| *port != 0);
            port.ok_or(Wrong::Kind(UNFIT_NUMBER))
        })
    }

    pub(super) fn number(self) -> Result<i64, A::Error> {
        self.scalar(NUMBER, |scalar| {
            scalar.whole()?.try_into().map_err(|_| Wrong::Kind(UNFIT_NUMBER))
        })
    }

    pub(super) fn flag(self) -> Result<bool, A::Error> {
        self.scalar(FLAG, |scalar| match scalar {
            Scalar::Flag(flag) => Ok(flag),
            other => Err(Wrong::Kind(other.kind())),
        })
    }

    /// An object; errors name it by its key.
    pub(super) fn object<O: Object>(self) -> Result<O, A::Error> {
        self.map.next_value_seed(Shape(ObjectReader::new(self.place.key)))
    }

    /// An array of at most `most` objects.
    pub(super) fn list<O: Object>(self, element: &'static str, most: usize) -> Result<Vec<O>, A::Error> {
        self.map
            .next_value_seed(Shape(ListReader::new(self.place.key, element, most)))
    }

    /// Any value as its raw text, converted by a function that may fail.
    pub(super) fn raw<T>(self, read: impl FnOnce(&'de RawValue) -> Result<T, String>) -> Result<T, A::Error> {
        let place = self.place;
        let raw = self.map.next_value()?;
        read(raw).map_err(|why| A::Error::custom(format_args!("{place}: {why}")))
    }
}

pub(super) const PORT: &str = "a port number 1..65535";
pub(super) const TEXT: &str = "a string";
pub(super) const ADDRESS: &str = "an IP address";
pub(super) const OBJECT: &str = "an object";
pub(super) const ARRAY: &str = "an array";
pub(super) const NUMBER: &str = "a whole number";
pub(super) const FLAG: &str = "true or false";

struct ScalarReader<F> {
    place: Place,
    expected: &'static str,
    read: F,
}

impl<'de, T, F: FnOnce(Scalar<'_>) -> Result<T, Wrong>> Read<'de> for ScalarReader<F> {
    type Out = T;

    fn place(&self) -> Place {
        self.place
    }

    fn expected(&self) -> &'static str {
        self.expected
    }

    fn scalar(self, scalar: Scalar<'_>) -> Result<T, Wrong> {
        (self.read)(scalar)
    }
}

struct ObjectReader<O> {
    what: &'static str,
    object: PhantomData<O>,
}

impl<O> ObjectReader<O> {
    fn new(what: &'static str) -> Self {
        let object = PhantomData;
        Self { what, object }
    }
}

impl<'de, O: Object> Read<'de> for ObjectReader<O> {
    type Out = O;

    fn place(&self) -> Place {
        Place::of(self.what)
    }

    fn expected(&self) -> &'static str {
        OBJECT
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<O, A::Error> {
        let Self { what, .. } = self;
        let mut parts = O::Parts::default();
        while let Some(key) = map.next_key_seed(OneOf(O::KEYS))? {
            match key {
                Some(key) => {
                    let place = Place { what, key };
                    O::take(&mut parts, Value { place, map: &mut map })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        O::build(parts).map_err(|Missing(key, expected)| {
            let place = Place { what, key };
            A::Error::custom(format_args!("{place}: expected {expected}, found nothing"))
        })
    }
}

struct ListReader<O> {
    what: &'static str,
    element: &'static str,
    most: usize,
    object: PhantomData<O>,
}

impl<O> ListReader<O> {
    fn new(what: &'static str, element: &'static str, most: usize) -> Self {
        Self {
            what,
            element,
            most,
            object: PhantomData,
        }
    }
}

impl<'de, O: Object> Read<'de> for ListReader<O> {
    type Out = Vec<O>;

    fn place(&self) -> Place {
        Place::of(self.what)
    }

    fn expected(&self) -> &'static str {
        ARRAY
    }

    fn seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<O>, A::Error> {
        let Self {
            what, element, most, ..
        } = self;
        let mut list = Vec::new();
        while list.len() < most {
            match seq.next_element_seed(Shape(ObjectReader::new(element)))? {
                Some(object) => list.push(object),
                None => return Ok(list),
            }
        }
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(list),
            Some(_) => Err(A::Error::custom(format_args!(
                "{what}: expected at most {most} elements, found more"
            ))),
        }
    }
}

/// The key's place among these, if it is one of them.
struct OneOf(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|key| **key == found).copied())
    }
}

/// An IP address as text; IPv6 also in brackets.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok()
}

/// Checks that a text can be a name on the wire: at most [`MAX_NAME`] bytes, no control characters, and no commas,
/// because the hashed texts are names with commas between.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.contains(',') {
        return Err("expected no commas".to_owned());
    }
    check_short(name)
}

/// As [`check_name`], but commas are allowed.
pub(super) fn check_short(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME {
        return Err(format!("expected at most {MAX_NAME} bytes, found {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("expected no control characters".to_owned());
    }
    Ok(())
}
