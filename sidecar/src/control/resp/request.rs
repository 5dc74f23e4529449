//! Requests from bytes: an array of bulk strings as programs send it, or a line of words as people type it.

use super::inline;

/// The most words that one request may have: as many as a command.
pub const MAX_WORDS: usize = 64;
/// The longest word, in bytes.
pub const MAX_WORD: usize = 4 * 1024;
/// The longest request as sent, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;

/// The most digits, with their sign, of a number that 64 bits hold.
const MAX_DIGITS: usize = 20;

/// A request and how many bytes it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Its words; none where it says nothing, and is not to be answered.
    pub words: Vec<Vec<u8>>,
    /// How many bytes it took.
    pub used: usize,
}

/// Why bytes are no request. Where the next one would begin is not known then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of words is none, or too large.
    #[error("invalid multibulk length; expected a number up to {MAX_WORDS}")]
    Count,
    /// The length of a word is none, or too large.
    #[error("invalid bulk length; expected a number up to {MAX_WORD}")]
    Length,
    /// Something else than a bulk string, such as another array.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    NotBulk(u8),
    /// A bulk string is not followed by a line end.
    #[error("expected a line end behind a bulk string")]
    NoLineEnd,
    /// It is too large as a whole.
    #[error("too big request; at most {MAX_REQUEST} bytes are taken")]
    TooBig,
    /// A quote is not closed, or something stands right behind the closing one.
    #[error("unbalanced quotes in request")]
    Quotes,
    /// Too many words on a line.
    #[error("too many words in request; at most {MAX_WORDS} are taken")]
    TooManyWords,
    /// A word on a line is too long.
    #[error("too long a word in request; at most {MAX_WORD} bytes are taken")]
    WordTooLong,
}

/// The request at the front; `None` where more bytes are needed to tell.
///
/// # Errors
/// As soon as the bytes cannot become a request.
pub fn decode(bytes: &[u8]) -> Result<Option<Decoded>, ProtocolError> {
    match bytes.first() {
        None => Ok(None),
        Some(b'*') => array(bytes),
        Some(_) => line(bytes),
    }
}

fn array(bytes: &[u8]) -> Result<Option<Decoded>, ProtocolError> {
    let Some((count, mut at)) = number(bytes, 1, ProtocolError::Count)? else {
        return Ok(None);
    };
    // None and null say nothing, as to redis.
    let count = usize::try_from(count).unwrap_or(0);
    if count > MAX_WORDS {
        return Err(ProtocolError::Count);
    }
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let Some((word, next)) = bulk(bytes, at)? else {
            return Ok(None);
        };
        words.push(word.to_vec());
        at = next;
    }
    Ok(Some(Decoded { words, used: at }))
}

/// The bulk string at a place, and the place behind it.
fn bulk(bytes: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    match bytes.get(at) {
        None => return Ok(None),
        Some(b'$') => {}
        Some(&other) => return Err(ProtocolError::NotBulk(other)),
    }
    let Some((length, start)) = number(bytes, at + 1, ProtocolError::Length)? else {
        return Ok(None);
    };
    let length = usize::try_from(length).map_err(|_| ProtocolError::Length)?;
    if length > MAX_WORD {
        return Err(ProtocolError::Length);
    }
    let end = start + length;
    if end + 2 > MAX_REQUEST {
        return Err(ProtocolError::TooBig);
    }
    match bytes.get(end..end + 2) {
        None => Ok(None),
        Some(b"\r\n") => Ok(Some((&bytes[start..end], end + 2))),
        Some(_) => Err(ProtocolError::NoLineEnd),
    }
}

/// The number at a place up to its line end, and the place behind that.
fn number(bytes: &[u8], at: usize, wrong: ProtocolError) -> Result<Option<(i64, usize)>, ProtocolError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let window = &rest[..rest.len().min(MAX_DIGITS + 1)];
    let Some(end) = window.iter().position(|b| *b == b'\r') else {
        return if window.len() > MAX_DIGITS {
            Err(wrong)
        } else {
            Ok(None)
        };
    };
    let digits = &rest[..end];
    let plain = digits.strip_prefix(b"-").unwrap_or(digits);
    if !plain.iter().all(u8::is_ascii_digit) {
        return Err(wrong);
    }
    let number = std::str::from_utf8(digits).ok().and_then(|d| d.parse().ok());
    let number = number.ok_or(wrong.clone())?;
    match rest.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((number, at + end + 2))),
        Some(_) => Err(wrong),
    }
}

fn line(bytes: &[u8]) -> Result<Option<Decoded>, ProtocolError> {
    let window = &bytes[..bytes.len().min(MAX_REQUEST)];
    let Some(end) = window.iter().position(|b| *b == b'\n') else {
        return if window.len() == MAX_REQUEST {
            Err(ProtocolError::TooBig)
        } else {
            Ok(None)
        };
    };
    let line = &bytes[..end];
    Ok(Some(Decoded {
        words: inline::split(line.strip_suffix(b"\r").unwrap_or(line))?,
        used: end + 1,
    }))
}
