//! The schemas of answers in the API document, which is checked in: only the test that compares it needs them.

use serde::Serialize;

/// An item of an answer.
#[cfg(not(test))]
pub(in crate::control) trait Item: Serialize {}
#[cfg(not(test))]
impl<T: Serialize> Item for T {}

/// An item of an answer, with its schema.
#[cfg(test)]
pub(in crate::control) trait Item: Serialize + utoipa::ToSchema {}
#[cfg(test)]
impl<T: Serialize + utoipa::ToSchema> Item for T {}

/// The schema of an answer.
#[cfg(test)]
#[derive(Clone)]
pub(in crate::control) struct AnswerSchema {
    /// The schema of one item.
    pub(in crate::control) item: utoipa::openapi::Ref,
    /// The schemas that it refers to, by name.
    pub(in crate::control) components: Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>,
    /// Whether the answer is a list of items.
    pub(in crate::control) is_list: bool,
}

#[cfg(test)]
impl AnswerSchema {
    pub(super) fn new<T: Item>(is_list: bool) -> Self {
        let mut components = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut components);
        Self {
            item: utoipa::openapi::Ref::from_schema_name(T::name()),
            components,
            is_list,
        }
    }
}
