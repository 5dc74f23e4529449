//! Names on the wire: which are accepted, and how they are shown in messages.

use super::MAX_NAME;
use crate::invisible::is_invisible;

/// Checks that a text can be a name on the wire: at most [`MAX_NAME`] bytes, no control or invisible characters,
/// and no commas, because the hashed texts are names with commas between.
pub(in crate::mesh) fn check_name(name: &str) -> Result<(), String> {
    if name.contains(',') {
        return Err(format!("expected no commas, found {}", shown(name)));
    }
    check_short(name)
}

/// As [`check_name`], but commas are allowed.
pub(super) fn check_short(text: &str) -> Result<(), String> {
    if text.len() > MAX_NAME {
        let (length, text) = (text.len(), shown(text));
        return Err(format!(
            "expected at most {MAX_NAME} bytes, found {length}: {text}"
        ));
    }
    if text.contains(is_invisible) {
        return Err(format!(
            "expected no control or invisible characters, found {}",
            shown(text)
        ));
    }
    Ok(())
}

/// The start of a text, quoted and escaped for a message.
pub(super) fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("{start:?}{more}")
}

/// Limit of a peer's text in a message, in characters.
const SHOWN: usize = 40;
