//! Variables in a Compose file's values, as in the Compose specification, "Interpolation".

use std::cell::RefCell;

use super::fault::Fault;

/// The source of variables: returns the value of a name, if it is set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable in a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    /// Its value; `None` if it is unset or empty.
    pub(super) value: Option<String>,
}

impl Variable {
    /// Its name, followed by `(by default)` if the file's default is used.
    pub(super) fn named(&self) -> String {
        let default = if self.value.is_some() { "" } else { " (by default)" };
        format!("{}{default}", self.name)
    }

    /// The fault that the value is not a port; `None` if the variable is not set.
    pub(super) fn refused(&self) -> Option<Fault> {
        let value = self.value.as_ref()?;
        Some(Fault::Variable(format!(
            "{} is `{value}`: expected a port number from 1 to 65535, or 0 for any free port",
            self.name
        )))
    }
}

/// The variables in `text`, in order.
pub(super) fn variables(text: &str, lookup: Lookup<'_>) -> Vec<Variable> {
    let found = RefCell::new(Vec::new());
    let recorded = |name: &str| {
        let value = lookup(name);
        found.borrow_mut().push(Variable {
            name: name.to_owned(),
            value: value.clone().filter(|value| !value.is_empty()),
        });
        value
    };
    // Errors are ignored: the caller interpolates the text again and reports them.
    let _ = interpolate(text, &recorded);
    found.into_inner()
}

/// Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME-default}`; `$$` is a dollar sign.
///
/// # Errors
/// A variable has neither a value nor a default, or a form is not supported. The message names it.
pub(super) fn interpolate(text: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end = tail
                .find('}')
                .ok_or_else(|| format!("`${{{tail}`: the closing brace is missing"))?;
            out.push_str(&braced(&tail[..end], lookup)?);
            rest = &tail[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                return Err("`$` without a name: write `$$` for a dollar sign".to_owned());
            }
            out.push_str(&required(&after[..length], lookup)?);
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn braced(inside: &str, lookup: Lookup<'_>) -> Result<String, String> {
    let length = name_length(inside);
    let (name, rest) = inside.split_at(length);
    if name.is_empty() {
        return Err(format!(
            "`${{{inside}}}`: expected a variable's name after the brace"
        ));
    }
    if rest.is_empty() {
        return required(name, lookup);
    }
    if let Some(default) = rest.strip_prefix(":-") {
        return Ok(lookup(name)
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| default.to_owned()));
    }
    if let Some(default) = rest.strip_prefix('-') {
        return Ok(lookup(name).unwrap_or_else(|| default.to_owned()));
    }
    Err(format!(
        "`${{{inside}}}`: expected ${{NAME}}, ${{NAME:-default}} or ${{NAME-default}}"
    ))
}

fn required(name: &str, lookup: Lookup<'_>) -> Result<String, String> {
    lookup(name).ok_or_else(|| format!("the variable {name} is not set and has no default"))
}

fn name_length(text: &str) -> usize {
    let first = text.chars().next();
    if !first.is_some_and(|c| c == '_' || c.is_ascii_alphabetic()) {
        return 0;
    }
    text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn every_form_has_the_same_value_as_in_compose() {
        for (text, expected) in [
            ("plain", "plain"),
            ("${SET}", "value"),
            ("$SET/x", "value/x"),
            ("${UNSET:-x}-frontend", "x-frontend"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY-x}", ""),
            ("${UNSET-}", ""),
            ("127.0.0.1:${PORT:-8080}:8080", "127.0.0.1:8080:8080"),
            ("$$SET costs $$1", "$SET costs $1"),
            ("${SET}${UNSET:-y}", "valuey"),
        ] {
            assert_eq!(interpolate(text, &environment).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn an_error_names_the_expected_form() {
        for (text, part) in [
            ("${UNSET}", "UNSET is not set"),
            ("${SET", "closing brace"),
            ("$ 5", "`$$`"),
            ("${SET:?no}", "expected ${NAME}"),
            ("${}", "variable's name"),
        ] {
            let message = interpolate(text, &environment).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_text_without_dollars_is_kept(text in ".{0,40}") {
            let result = interpolate(&text, &environment);
            if !text.contains('$') {
                prop_assert_eq!(result, Ok(text));
            }
        }
    }
}
