//! Variables in values, by the rules of `docker compose`: the Compose specification, "Interpolation".

use std::cell::RefCell;

use super::fault::Fault;

/// The source of variables: returns the value of a name, if it is set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Levels of variables within each other's defaults. A deeper value is refused.
const MAX_DEPTH: usize = 32;
/// Size of an interpolated value, in bytes. A longer value is refused.
const MAX_LENGTH: usize = 128 * 1024;

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

/// A value with its variables replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub(super) value: String,
    /// Variables that are not set and have no default. Each is replaced by an empty string.
    pub(super) unset: Vec<String>,
}

/// Replaces the variables in `text`; `$$` is a dollar sign. `default`, `value` and `message` may have variables too.
///
/// ```text
/// $NAME, ${NAME}       its value, or an empty string
/// ${NAME:-default}     the default if it is unset or empty; ${NAME-default} only if it is unset
/// ${NAME:+value}       the value if it is set and not empty; ${NAME+value} also if it is empty
/// ${NAME:?message}     refused if it is unset or empty; ${NAME?message} only if it is unset
/// ```
///
/// # Errors
/// A required variable is missing, or a form is unknown. The message names it.
pub(super) fn interpolate(text: &str, lookup: Lookup<'_>) -> Result<Interpolated, String> {
    let mut result = Interpolated::default();
    let mut unset = Vec::new();
    result.value = expand(text, lookup, &mut unset, 0)?;
    result.unset = unset;
    Ok(result)
}

fn expand(text: &str, lookup: Lookup<'_>, unset: &mut Vec<String>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!(
            "expected at most {MAX_DEPTH} variables within each other"
        ));
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('{') {
            let end =
                closing_brace(tail).ok_or_else(|| format!("`${{{tail}`: the closing brace is missing"))?;
            out.push_str(&braced(&tail[..end], lookup, unset, depth)?);
            rest = &tail[end + 1..];
        } else {
            match name_length(after) {
                // Not the start of a variable.
                0 => out.push('$'),
                length => out.push_str(&plain(&after[..length], lookup, unset)),
            }
            rest = &after[name_length(after)..];
        }
        if out.len() > MAX_LENGTH {
            return Err(format!(
                "expected a value of at most {MAX_LENGTH} bytes with its variables replaced"
            ));
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The position of the brace that ends a variable; `text` starts after its opening brace.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let mut previous = '{';
    for (at, c) in text.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some(at);
        }
        previous = c;
    }
    None
}

fn braced(inside: &str, lookup: Lookup<'_>, unset: &mut Vec<String>, depth: usize) -> Result<String, String> {
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(format!(
            "`${{{inside}}}`: expected a variable's name after the brace"
        ));
    }
    if rest.is_empty() {
        return Ok(plain(name, lookup, unset));
    }
    // With a colon, an empty value counts as unset.
    let (rest, value) = match rest.strip_prefix(':') {
        Some(rest) => (rest, lookup(name).filter(|value| !value.is_empty())),
        None => (rest, lookup(name)),
    };
    let operator = rest.chars().next().filter(|c| ['-', '+', '?'].contains(c));
    let operator = operator.ok_or_else(|| {
        format!(
            "`${{{inside}}}`: expected ${{NAME}}, or after the name one of :-default, -default, :+value, +value, \
             :?message and ?message"
        )
    })?;
    // Also if it is not used: Compose reports its errors too.
    let mut unset_within = Vec::new();
    let word = expand(&rest[1..], lookup, &mut unset_within, depth + 1)?;
    let (word_is_used, result) = match (operator, value) {
        ('-', Some(value)) => (false, value),
        ('-', None) | ('+', Some(_)) => (true, word),
        ('+', None) => (false, String::new()),
        (_, Some(value)) => (false, value),
        (_, None) => {
            let message = if word.is_empty() { "it is required" } else { &word };
            return Err(format!("the variable {name} has no value: {message}"));
        }
    };
    if word_is_used {
        unset.append(&mut unset_within);
    }
    Ok(result)
}

fn plain(name: &str, lookup: Lookup<'_>, unset: &mut Vec<String>) -> String {
    lookup(name).unwrap_or_else(|| {
        unset.push(name.to_owned());
        String::new()
    })
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

    fn value(text: &str) -> Result<String, String> {
        interpolate(text, &environment).map(|interpolated| interpolated.value)
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
            ("${UNSET:-${REG:-service-mesh}-example}", "service-mesh-example"),
            ("${UNSET:-a${SET}b}c${UNSET:-$SET}", "avaluebcvalue"),
            ("${UNSET:-${EMPTY:-${SET}}}}", "value}"),
            ("${SET:+x}${EMPTY:+x}${UNSET:+x}", "x"),
            ("${SET+x}${EMPTY+y}${UNSET+x}", "xy"),
            ("${SET:?no}${EMPTY?no}", "value"),
            ("${UNSET:-a:?b}${UNSET-a-b?c}", "a:?ba-b?c"),
            ("${UNSET:-$$x}", "$x"),
            ("a $ 5 costs 5$", "a $ 5 costs 5$"),
            ("[$UNSET${UNSET}]", "[]"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn variables_without_a_value_are_named_if_they_are_used() {
        let unset = |text: &str| interpolate(text, &environment).unwrap().unset;
        assert_eq!(unset("$ONE ${TWO} ${THREE:-$FOUR}"), ["ONE", "TWO", "FOUR"]);
        assert_eq!(unset("${SET:-$ONE} ${ONE-} $EMPTY"), Vec::<String>::new());
    }

    #[test]
    fn an_error_names_the_variable_or_the_expected_form() {
        for (text, part) in [
            (
                "${UNSET:?set it to ${SET}}",
                "UNSET has no value: set it to value",
            ),
            ("${EMPTY:?}", "EMPTY has no value: it is required"),
            ("${UNSET?}", "UNSET has no value"),
            ("${SET:-${UNSET:?no}}", "UNSET has no value"),
            ("${SET", "closing brace"),
            ("${SET:-${SET}", "closing brace"),
            ("${SET:=x}", "`${SET:=x}`: expected ${NAME}"),
            ("${SET!}", "expected ${NAME}"),
            ("${}", "variable's name"),
            ("${1}", "variable's name"),
        ] {
            let message = value(text).unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{}x{}", "${UNSET:-".repeat(50_000), "}".repeat(50_000));
        assert!(value(&deep).unwrap_err().contains("at most 32 variables"));
        let long = |name: &str| (name == "LONG").then(|| "x".repeat(MAX_LENGTH));
        assert!(
            interpolate("$LONG$LONG", &long)
                .unwrap_err()
                .contains("at most 131072 bytes")
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_text_without_dollars_is_kept(text in "[a-z${}:?+-]{0,40}|.{0,40}") {
            let result = value(&text);
            if !text.contains('$') {
                prop_assert_eq!(result, Ok(text));
            }
        }
    }
}
