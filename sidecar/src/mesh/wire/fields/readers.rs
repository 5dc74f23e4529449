//! Reads objects and arrays of objects.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::name::shown;
use super::super::shape::{Location, Read, Shape};
use super::{ARRAY, Missing, OBJECT, Object, Sink, Value};

/// Reads an object.
pub(super) struct ObjectReader<'s, O> {
    what: &'static str,
    dropped: Sink<'s>,
    object: PhantomData<O>,
}

impl<'s, O> ObjectReader<'s, O> {
    pub(super) fn new(what: &'static str, dropped: Sink<'s>) -> Self {
        let object = PhantomData;
        Self {
            what,
            dropped,
            object,
        }
    }
}

impl<'de, O: Object> Read<'de> for ObjectReader<'_, O> {
    /// The object, or why it is unusable.
    type Out = Result<O, String>;

    fn location(&self) -> Location {
        Location::of(self.what)
    }

    fn expected(&self) -> &'static str {
        OBJECT
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Out, A::Error> {
        let Self { what, dropped, .. } = self;
        let mut parts = O::Parts::default();
        let mut unusable = None;
        while let Some(key) = map.next_key_seed(OneOf(O::KEYS))? {
            match key {
                Some(key) => {
                    let value = Value {
                        location: Location { what, key },
                        map: &mut map,
                        unusable: &mut unusable,
                        dropped,
                    };
                    O::take(&mut parts, value)?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if let Some(why) = unusable {
            return Ok(Err(match O::label(&parts) {
                Some(label) => format!("{why}, of {}", shown(label)),
                None => why,
            }));
        }
        let object = O::build(parts).map_err(|Missing(key, expected)| {
            let location = Location { what, key };
            A::Error::custom(format_args!("{location}: expected {expected}, found nothing"))
        });
        object.map(Ok)
    }
}

/// Reads an array of objects, without those that are unusable or beyond the first `most`.
pub(super) struct ListReader<'s, O> {
    what: &'static str,
    element: &'static str,
    most: usize,
    dropped: Sink<'s>,
    object: PhantomData<O>,
}

impl<'s, O> ListReader<'s, O> {
    pub(super) fn new(what: &'static str, element: &'static str, most: usize, dropped: Sink<'s>) -> Self {
        Self {
            what,
            element,
            most,
            dropped,
            object: PhantomData,
        }
    }
}

impl<'de, O: Object> Read<'de> for ListReader<'_, O> {
    type Out = Vec<O>;

    fn location(&self) -> Location {
        Location::of(self.what)
    }

    fn expected(&self) -> &'static str {
        ARRAY
    }

    fn seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<O>, A::Error> {
        let Self {
            what,
            element,
            most,
            dropped,
            ..
        } = self;
        let mut list = Vec::new();
        while list.len() < most {
            match seq.next_element_seed(Shape(ObjectReader::new(element, dropped)))? {
                Some(Ok(object)) => list.push(object),
                Some(Err(why)) => dropped.borrow_mut().note(why),
                None => return Ok(list),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            dropped
                .borrow_mut()
                .note(format!("{what}: expected at most {most} elements, found more"));
        }
        Ok(list)
    }
}

/// The key's position among these, if it is one of them.
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
