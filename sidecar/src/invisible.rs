//! Characters that a reader does not see, or that change the order in which the others are shown.
//!
//! Names are compared, and shown in logs, pages, metrics and terminals. Two names that look the same but differ, or a name
//! that turns the rest of its line around, mislead their reader, so no name contains such a character.

/// Whether a character has no glyph of its own: control characters, white space other than the space, and the default
/// ignorable code points of Unicode 16 (DerivedCoreProperties.txt), which include all bidirectional controls (UAX #9,
/// section 2).
pub(crate) fn is_invisible(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || c.is_whitespace()
        || matches!(
            c,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                // Empty, but not ignorable: the blank Braille pattern.
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFFB}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bidirectional_and_invisible_characters_are_recognised() {
        let bidirectional =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        let ignorable = "\u{ad}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{fe0f}\u{e0041}\u{3164}";
        let others = "\0\u{7}\n\u{1b}\u{7f}\u{9b}\u{85}\u{a0}\u{2028}\u{2029}\u{3000}";
        for c in [bidirectional, ignorable, others]
            .into_iter()
            .flat_map(str::chars)
        {
            assert!(is_invisible(c), "{c:?}");
        }
    }

    #[test]
    fn what_is_written_is_visible() {
        let words =
            "my-service_a.80 ~{}\u{e4}\u{df}\u{3b1}\u{416}\u{5d0}\u{628}\u{939}\u{93f}\u{4e2d}\u{1f980}";
        for c in words.chars() {
            assert!(!is_invisible(c), "{c:?}");
        }
    }
}
