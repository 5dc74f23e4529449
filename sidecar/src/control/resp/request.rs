//! Decodes requests: an array of bulk strings, as programs send them, or a line of words, as people type them.

mod inline;

/// Maximum number of words of a request, the same as of a command.
pub const MAX_WORDS: usize = 64;
/// Maximum length of a word, in bytes.
pub const MAX_WORD: usize = 4 * 1024;
/// Maximum length of an encoded request, in bytes.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Maximum length of a 64-bit number, including its sign.
const MAX_DIGITS: usize = 20;

/// A decoded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Its words; if there are none, it is not answered.
    pub words: Vec<Vec<u8>>,
    /// Its encoded length, in bytes.
    pub used: usize,
}

/// Why bytes are not a request. The beginning of the next request is then unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of words is invalid or too large.
    #[error("invalid multibulk length; expected a number up to {MAX_WORDS}")]
    Count,
    /// The length of a word is invalid or too large.
    #[error("invalid bulk length; expected a number up to {MAX_WORD}")]
    Length,
    /// An element is not a bulk string, but for instance another array.
    #[error("expected '$', got '{}'", .0.escape_ascii())]
    NotBulk(u8),
    /// A bulk string is not followed by a line end.
    #[error("expected a line end after a bulk string")]
    NoLineEnd,
    /// The request is too long.
    #[error("too big request; the limit is {MAX_REQUEST} bytes")]
    TooBig,
    /// A quote is not closed, or its end is not followed by a space.
    #[error("unbalanced quotes in request")]
    Quotes,
    /// A line has too many words.
    #[error("too many words in request; the limit is {MAX_WORDS}")]
    TooManyWords,
    /// A word on a line is too long.
    #[error("too long a word in request; the limit is {MAX_WORD} bytes")]
    WordTooLong,
}

/// Decodes the first request; `None` if it is incomplete.
///
/// # Errors
/// When the bytes are not the beginning of a request.
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
    // Empty and null arrays are ignored, as by redis.
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

/// The bulk string at a position, and the position after it.
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

/// The number at a position up to its line end, and the position after that.
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
