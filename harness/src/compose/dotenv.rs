//! The syntax of `.env` files, by the rules of `docker compose`: `NAME=value` lines with quotes, comments, `export`
//! and variables.
//!
//! `docker-compose` 1.29 reads the same lines, with these differences: it replaces `${NAME}` between single quotes too,
//! never `$NAME`, and prefers a value of the file to the shell's when it replaces variables.

use std::collections::BTreeMap;

use super::interpolate::{Interpolated, Lookup, interpolate};

/// The variables of a file, and the names of those that it uses and that are not set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Dotenv {
    pub(super) values: BTreeMap<String, String>,
    pub(super) unset: Vec<String>,
}

/// An error, with its line from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DotenvError {
    pub(super) line: u64,
    pub(super) message: String,
}

/// Parses a file. Variables in values are replaced by those of `lookup`, otherwise by those of earlier lines.
pub(super) fn parse(text: &str, lookup: Lookup<'_>) -> Result<Dotenv, DotenvError> {
    let mut dotenv = Dotenv::default();
    // A byte order mark is no part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(dotenv);
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() as u64 + 1;
        rest = statement(rest, lookup, &mut dotenv).map_err(|message| DotenvError { line, message })?;
    }
}

/// Parses the comment or the variable at the start of `text`. Returns what follows it.
fn statement<'a>(text: &'a str, lookup: Lookup<'_>, dotenv: &mut Dotenv) -> Result<&'a str, String> {
    let (line, after) = text.split_once('\n').unwrap_or((text, ""));
    if line.starts_with('#') {
        return Ok(after);
    }
    let unexported = line.strip_prefix("export").filter(|rest| rest.starts_with(blank));
    let assignment = unexported.unwrap_or(line).trim_start();
    let (name, value) = match assignment.split_once(['=', ':']) {
        Some((name, value)) => (name.trim_end(), Some(value.trim_start_matches(blank))),
        None => (assignment.trim_end(), None),
    };
    let word = |c: char| c.is_alphanumeric() || "_.-[]".contains(c);
    if name.is_empty() || !name.chars().all(word) {
        return Err(format!("`{}`: expected NAME=value", line.trim_end()));
    }
    let Some(value) = value else {
        // A name alone stands for the shell's variable.
        dotenv
            .values
            .extend(lookup(name).map(|value| (name.to_owned(), value)));
        return Ok(after);
    };
    let known = |wanted: &str| lookup(wanted).or_else(|| dotenv.values.get(wanted).cloned());
    let expanded = |text: &str| interpolate(text, &known).map_err(|message| format!("{name}: {message}"));
    let (interpolated, rest) = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (quoted, rest) = quoted(&text[line.len() - value.len() + 1..], quote)
                .ok_or_else(|| format!("{name}: the closing {quote} is missing"))?;
            let (trailing, rest) = rest.split_once('\n').unwrap_or((rest, ""));
            if !trailing.trim().is_empty() && !trailing.trim_start().starts_with('#') {
                return Err(format!(
                    "{name}: `{}` after the closing {quote}: expected the end of the line or a comment",
                    trailing.trim()
                ));
            }
            let interpolated = if quote == '"' {
                expanded(&unescaped(&quoted).map_err(|message| format!("{name}: {message}"))?)?
            } else {
                Interpolated {
                    value: quoted,
                    unset: Vec::new(),
                }
            };
            (interpolated, rest)
        }
        _ => {
            let uncommented = value.split(" #").next().unwrap_or_default();
            (expanded(uncommented.trim_end())?, after)
        }
    };
    // Compose leaves these out.
    if !name.starts_with(|c: char| c.is_ascii_digit()) {
        dotenv.values.insert(name.to_owned(), interpolated.value);
    }
    dotenv.unset.extend(interpolated.unset);
    Ok(rest)
}

/// White space within a line.
fn blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

/// Splits `text` at its first `quote` that has no backslash before it. Only the backslashes before quotes are removed.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            if c != quote {
                value.push('\\');
            }
            value.push(c);
        } else if c == quote {
            return Some((value, &text[at + c.len_utf8()..]));
        } else if c == '\\' {
            escaped = true;
        } else {
            value.push(c);
        }
    }
    None
}

/// Replaces the escape sequences of a value in double quotes. `\$` becomes `$$`, which is no variable.
fn unescaped(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        let replaced = match after.next() {
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\u{b}",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('$') => "$$",
            Some('0') => return Err("`\\0`: octal escape sequences are not supported".to_owned()),
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push_str(replaced);
        rest = after.as_str();
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str) -> Option<String> {
        (name == "SHELL_VALUE").then(|| "shell".to_owned())
    }

    /// The value of A.
    fn a(text: &str) -> Option<String> {
        let parsed = parse(text, &shell).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        parsed.values.get("A").cloned()
    }

    #[test]
    fn a_value_is_read_as_compose_reads_it() {
        for (text, expected) in [
            ("A=x", "x"),
            ("\u{feff}A=x\r\nB=y\r\n", "x"),
            ("# c\r\n\r\n \tA = x y \r\n", "x y"),
            ("A: x", "x"),
            ("A=", ""),
            ("A=\nB=y", ""),
            ("A=x # c", "x"),
            ("A=x#c", "x#c"),
            ("A=#c", "#c"),
            ("export A=x", "x"),
            ("export \tA=x", "x"),
            ("A=1\nA=2", "2"),
            ("A=a\"b\"", "a\"b\""),
            ("A=\"x # y\" # c", "x # y"),
            ("A='x # $B ${B}' # c", "x # $B ${B}"),
            ("A=\"x\\ty\\\\ \\\"q\\\" \\x\\$B\"", "x\ty\\ \"q\" \\x$B"),
            ("A='it\\'s\\n'", "it's\\n"),
            ("A=\"x\ny\"\nB=1", "x\ny"),
            ("B=1\nA=$B-${B}-${C:-d${B}}-${C:+no}", "1-1-d1-"),
            ("SHELL_VALUE=file\nA=$SHELL_VALUE", "shell"),
            ("A=a$$b", "a$b"),
            ("A=a$1", "a$1"),
            ("A=[$C]", "[]"),
        ] {
            assert_eq!(a(text).as_deref(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn a_name_alone_stands_for_the_shells_variable() {
        let values = |text: &str| parse(text, &shell).unwrap().values;
        assert_eq!(
            values("SHELL_VALUE\nOTHER\n"),
            BTreeMap::from([("SHELL_VALUE".into(), "shell".into())])
        );
        assert_eq!(values("exportA=x").keys().collect::<Vec<_>>(), ["exportA"]);
        assert_eq!(values("1A=x"), BTreeMap::new());
    }

    #[test]
    fn unset_variables_are_named() {
        assert_eq!(parse("A=$B\nC=\"${A}${D}\"", &shell).unwrap().unset, ["B", "D"]);
    }

    #[test]
    fn an_error_names_the_line_and_what_is_expected() {
        for (text, line, part) in [
            ("A=1\nB C=2", 2, "`B C=2`: expected NAME=value"),
            ("A=1\r\n\r\n=2\r\n", 3, "`=2`: expected NAME=value"),
            ("A!=1", 1, "expected NAME=value"),
            ("A=\"x\ny\"\nB='x\n", 3, "B: the closing ' is missing"),
            ("A=\"x\" B=2", 1, "A: `B=2` after the closing \""),
            ("A=1\nB=${C:?set C}", 2, "B: the variable C has no value: set C"),
            ("A=\"\\0101\"", 1, "A: `\\0`: octal"),
            ("A=${B", 1, "A: `${B`: the closing brace is missing"),
        ] {
            let error = parse(text, &shell).unwrap_err();
            assert_eq!(error.line, line, "{text:?}: {error:?}");
            assert!(error.message.contains(part), "{text:?}: {error:?}");
        }
    }

    #[test]
    fn values_that_double_with_each_line_are_refused() {
        let line = |i: usize| format!("V{}=$V{i}$V{i}\n", i + 1);
        let text: String = std::iter::once("V0=x\n".to_owned())
            .chain((0..40).map(line))
            .collect();
        let error = parse(&text, &shell).unwrap_err();
        assert!(error.message.contains("at most 131072 bytes"), "{error:?}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[A-C=:'\"\\\\$# {}\n\r-]{0,40}|.{0,40}") {
            let _ = parse(&text, &shell);
        }
    }
}
