//! The words of a line as people type it, quoted as redis has it: within double quotes `\n`, `\r`, `\t`, `\b`, `\a`
//! and `\xHH` stand for a byte and `\` before anything else for that itself; within single quotes only `\'` does.

use super::request::{MAX_WORD, MAX_WORDS, ProtocolError};

/// Splits a line into its words.
pub(super) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, ProtocolError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        if words.len() == MAX_WORDS {
            return Err(ProtocolError::TooManyWords);
        }
        let (word, behind) = word(rest)?;
        words.push(word);
        rest = behind.trim_ascii_start();
    }
    Ok(words)
}

/// The word that a text begins with, and the text behind it.
fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), ProtocolError> {
    let mut word = Vec::new();
    loop {
        match rest {
            [] => break,
            [space, ..] if space.is_ascii_whitespace() => break,
            [quote @ (b'"' | b'\''), behind @ ..] => {
                rest = quoted(*quote, behind, &mut word)?;
                // What stands right behind a closing quote was hardly meant so.
                if rest.first().is_some_and(|b| !b.is_ascii_whitespace()) {
                    return Err(ProtocolError::Quotes);
                }
                break;
            }
            [byte, behind @ ..] => {
                word.push(*byte);
                rest = behind;
            }
        }
    }
    if word.len() > MAX_WORD {
        return Err(ProtocolError::WordTooLong);
    }
    Ok((word, rest))
}

/// Takes what stands up to the closing quote; returns the text behind that.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ProtocolError> {
    loop {
        let (byte, behind) = match rest {
            [] => return Err(ProtocolError::Quotes),
            [end, behind @ ..] if *end == quote => return Ok(behind),
            [b'\\', b'\'', behind @ ..] if quote == b'\'' => (b'\'', behind),
            [b'\\', escaped @ ..] if quote == b'"' => escape(escaped)?,
            [byte, behind @ ..] => (*byte, behind),
        };
        word.push(byte);
        rest = behind;
    }
}

/// The byte that an escape stands for, from behind its backslash, and the text behind it.
fn escape(text: &[u8]) -> Result<(u8, &[u8]), ProtocolError> {
    Ok(match text {
        [] => return Err(ProtocolError::Quotes),
        [b'x', high, low, behind @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            (hex(*high) << 4 | hex(*low), behind)
        }
        [letter, behind @ ..] => {
            let byte = match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 0x08,
                b'a' => 0x07,
                other => *other,
            };
            (byte, behind)
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
