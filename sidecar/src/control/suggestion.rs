//! The word that a user may have meant.

use strsim::osa_distance;

/// A longer word than any of the language is no slip of a letter.
const LONGEST: usize = 32;

/// The word that differs least from what was written, where that is a slip: a letter in three at most.
fn closest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST {
        return None;
    }
    let near = words.into_iter().filter_map(|word| {
        let distance = osa_distance(written, word);
        (distance <= word.len() / 3).then_some((distance, word))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// The question for the user, or nothing.
pub(super) fn did_you_mean<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    closest(written, words).map_or_else(String::new, |word| format!("did you mean {word}? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["address", "server-group", "server-groups", "up", "zone"];

    #[test]
    fn a_slip_leads_to_the_word_that_was_meant() {
        for (written, meant) in [
            ("adress", "address"),
            ("adderss", "address"),
            ("server-grop", "server-group"),
            ("servergroups", "server-groups"),
            ("zon", "zone"),
        ] {
            assert_eq!(closest(written, WORDS), Some(meant), "{written}");
        }
    }

    #[test]
    fn another_word_leads_nowhere() {
        for written in ["", "u", "down", "port", "banana", &"address".repeat(10_000)] {
            assert_eq!(closest(written, WORDS), None, "{written}");
        }
    }
}
