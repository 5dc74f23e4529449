//! Splits a line into words, with the quoting of redis: within double quotes, `\n`, `\r`, `\t`, `\b`, `\a` and `\xHH`
//! represent a byte, and `\` escapes any other character; within single quotes, only `\'` is an escape.

use super::{MAX_WORD, MAX_WORDS, ProtocolError};

/// Splits a line into its words.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        if words.len() == MAX_WORDS {
            return Err(ProtocolError::TooManyWords);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Ok(words)
}

/// The first word of a text, and the text after it.
fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => break,
            [space, ..] if space.is_ascii_whitespace() => break,
            [quote @ (b'"' | b'\''), after @ ..] => {
                rest = quoted(*quote, after, &mut word)?;
                // A closing quote must be followed by a space.
                if rest.first().is_some_and(|b| !b.is_ascii_whitespace()) {
                    return Err(ProtocolError::Quotes);
                }
                break;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
    if word.len() > MAX_WORD {
        return Err(ProtocolError::WordTooLong);
    }
    Ok((word, rest))
}

/// Reads up to the closing quote; returns the text after it.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, after) = match rest {
            [] => return Err(ProtocolError::Quotes),
            [end, after @ ..] if *end == quote => return Ok(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => (b'\'', after),
            [b'\\', escaped @ ..] if quote == b'"' => escape(escaped)?,
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
        rest = after;
    }
}

/// The byte that an escape represents, given the text after its backslash, and the text after the escape.
fn escape(text: &[u8]) -> Result<(u8, &[u8]), ProtocolError> {
    Ok(match text {
        [] => return Err(ProtocolError::Quotes),
        [b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex(*high) << 4 | hex(*low), after)
        }
        [letter, after @ ..] => {
            let byte = match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => *other,
            };
            (byte, after)
        }
    })
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => digit - b'0',
    }
}
