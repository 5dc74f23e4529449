//! The specification of a resource as data: its words, keys, flags, defaults and help text. Parsing, JSON bodies, the
//! API document, `--help` and the reference in docs/commands.md go by it.

use super::Resource;
use crate::control::error::CommandError;
use crate::control::values::{Json, Value, shortened};

/// The specification of a resource.
#[derive(Debug)]
pub struct Spec {
    pub(in crate::control) word: &'static str,
    pub(in crate::control) short: Option<&'static str>,
    /// Its description, as a phrase.
    pub(in crate::control) help: &'static str,
    /// The parents that it can be in, each given from the nearest to the outermost.
    pub(super) within: &'static [&'static [Resource]],
    pub(in crate::control) keys: &'static [Key],
    pub(in crate::control) foreign: &'static [ForeignKey],
}

/// For [`Spec::within`]: the resource is in no other.
pub(super) const TOP: &[&[Resource]] = &[&[]];

/// A key with its value, or a flag with its opposite.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Key {
    pub(in crate::control) word: &'static str,
    pub(in crate::control) short: Option<&'static str>,
    /// The word that switches it off, if it is a flag.
    pub(in crate::control) off: Option<&'static str>,
    pub(in crate::control) expected: &'static str,
    pub(in crate::control) presence: Presence,
    pub(in crate::control) updatable: bool,
    /// Which values have more than one word.
    pub(in crate::control) continues: Option<Continues>,
    /// Whether the original does not have it.
    pub(in crate::control) added: bool,
    pub(in crate::control) fields: [Option<Field>; 2],
}

/// Values of more than one word.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) enum Continues {
    /// This word and the next one.
    After(&'static str),
    /// A word, this one, and the next one.
    Joined(&'static str),
}

/// Whether a key must be given to `add`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) enum Presence {
    Required,
    /// If it is left out, this word applies.
    Default(&'static str),
    /// If it is left out, no value applies.
    Optional,
}

/// A field of a JSON body.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct Field {
    pub(in crate::control) name: &'static str,
    pub(in crate::control) help: &'static str,
    pub(in crate::control) json: Json,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the API document, which tests write")
    )]
    pub(in crate::control) expected: &'static str,
    /// An example, shown in the error for a body without the field.
    pub(in crate::control) sample: Option<u32>,
}

/// A key of the original that sets nothing here.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct ForeignKey {
    /// Its word in commands, if they have it.
    pub(in crate::control) word: Option<&'static str>,
    pub(in crate::control) short: Option<&'static str>,
    /// Its name in JSON bodies, if they have it.
    pub(in crate::control) field: Option<&'static str>,
    pub(in crate::control) help: &'static str,
    pub(in crate::control) accepted: Accepted,
    /// Whether updates of the resource may name it, too.
    pub(in crate::control) in_update: bool,
}

/// The values with which a [`ForeignKey`] is accepted.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) enum Accepted {
    /// All: it has no effect here, which its caller is told.
    Any,
    /// This one, which says what is done here; others are refused with the reason.
    Only(&'static str, &'static str),
}

impl ForeignKey {
    /// Checks a value that was given under this name. Returns whether its caller is to be told that it has no effect.
    ///
    /// # Errors
    /// When the value asks for what is not done here.
    pub(in crate::control) fn check(&self, name: &str, value: &str) -> Result<bool, CommandError> {
        match self.accepted {
            Accepted::Any => Ok(true),
            Accepted::Only(accepted, _) if value == accepted => Ok(false),
            Accepted::Only(_, reason) => {
                let found = shortened(value);
                let message = format!("{name} {found} is not possible here: {reason}");
                Err(CommandError::invalid(value, message))
            }
        }
    }
}

impl Field {
    pub(super) const fn new<T: Value>(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            json: T::JSON,
            expected: T::EXPECTED,
            sample: None,
        }
    }

    pub(super) const fn sample(self, sample: u32) -> Self {
        Self {
            sample: Some(sample),
            ..self
        }
    }
}

impl Key {
    const fn new<T: Value>(word: &'static str, presence: Presence, help: &'static str) -> Self {
        Self {
            word,
            short: None,
            off: None,
            expected: T::EXPECTED,
            presence,
            updatable: false,
            continues: None,
            added: false,
            fields: [Some(Field::new::<T>(word, help)), None],
        }
    }

    pub(super) const fn required<T: Value>(word: &'static str, help: &'static str) -> Self {
        Self::new::<T>(word, Presence::Required, help)
    }

    pub(super) const fn default<T: Value>(
        word: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new::<T>(word, Presence::Default(default), help)
    }

    pub(super) const fn optional<T: Value>(word: &'static str, help: &'static str) -> Self {
        Self::new::<T>(word, Presence::Optional, help)
    }

    /// A flag that is off by default.
    pub(super) const fn flag(on: &'static str, off: &'static str, help: &'static str) -> Self {
        Self {
            off: Some(off),
            ..Self::default::<bool>(on, "false", help)
        }
    }

    pub(super) const fn short(self, short: &'static str) -> Self {
        Self {
            short: Some(short),
            ..self
        }
    }

    /// It can be changed later.
    pub(super) const fn updatable(self) -> Self {
        Self {
            updatable: true,
            ..self
        }
    }

    pub(super) const fn continues(self, continues: Continues) -> Self {
        Self {
            continues: Some(continues),
            ..self
        }
    }

    /// The original does not have it: examples in error messages, which are the original's, leave it out.
    pub(super) const fn added(self) -> Self {
        Self { added: true, ..self }
    }

    /// Its JSON field has another name.
    pub(super) const fn field(self, name: &'static str) -> Self {
        let [Some(field), second] = self.fields else {
            return self;
        };
        Self {
            fields: [Some(Field { name, ..field }), second],
            ..self
        }
    }

    /// An example, shown in the error for a body without the field.
    pub(super) const fn sample(self, sample: u32) -> Self {
        let [Some(field), second] = self.fields else {
            return self;
        };
        Self {
            fields: [Some(field.sample(sample)), second],
            ..self
        }
    }

    /// Maps the key to two fields in JSON.
    pub(super) const fn fields(self, first: Field, second: Field) -> Self {
        Self {
            fields: [Some(first), Some(second)],
            ..self
        }
    }

    /// Its fields in JSON.
    pub(in crate::control) fn json(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().flatten()
    }
}

/// A share of a parent's connections: the same key in several resources.
pub(super) const WEIGHT: Key = Key::default::<crate::control::values::Weight>(
    "weight",
    "10",
    "its share of the connections, relative to the others; 0 takes none",
)
.short("w")
.sample(10)
.updatable();

/// A field that a body may have, and whether it is required.
#[derive(Debug, Clone, Copy)]
pub(in crate::control) struct BodyField {
    pub(in crate::control) field: Field,
    pub(in crate::control) presence: Presence,
    /// Whether the original does not have it.
    pub(in crate::control) added: bool,
    /// The key of the original that it belongs to, if it sets nothing here.
    pub(in crate::control) foreign: Option<&'static ForeignKey>,
}

impl Spec {
    /// The fields of a body that adds such a resource.
    pub(in crate::control) fn add_fields(&self) -> Vec<BodyField> {
        let name = supported(
            Field::new::<String>("name", "alias of the RESOURCE"),
            Presence::Required,
            false,
        );
        let keys = self
            .keys
            .iter()
            .flat_map(|key| key.json().map(|field| supported(*field, key.presence, key.added)));
        let foreign = self.foreign.iter().filter_map(foreign_field);
        std::iter::once(name).chain(keys).chain(foreign).collect()
    }

    /// The fields of a body that updates such a resource; none if it cannot be updated. A single field is required.
    pub(in crate::control) fn update_fields(&self) -> Vec<BodyField> {
        let keys: Vec<&Key> = self.updatable().collect();
        let presence = match keys.len() {
            0 => return Vec::new(),
            1 => Presence::Required,
            _ => Presence::Optional,
        };
        let keys = keys
            .into_iter()
            .flat_map(|key| key.json().map(|field| supported(*field, presence, key.added)));
        let foreign = self.foreign.iter().filter(|foreign| foreign.in_update);
        keys.chain(foreign.filter_map(foreign_field)).collect()
    }

    /// The keys that can be updated.
    pub(in crate::control) fn updatable(&self) -> impl Iterator<Item = &'static Key> + Clone + use<> {
        self.keys.iter().filter(|key| key.updatable)
    }
}

fn supported(field: Field, presence: Presence, added: bool) -> BodyField {
    BodyField {
        field,
        presence,
        added,
        foreign: None,
    }
}

fn foreign_field(foreign: &'static ForeignKey) -> Option<BodyField> {
    Some(BodyField {
        field: Field::new::<String>(foreign.field?, foreign.help),
        presence: Presence::Optional,
        added: false,
        foreign: Some(foreign),
    })
}
