//! Suggestions for misspelt words.

use strsim::osa_distance;

/// Maximum length of a word to suggest another for, in bytes: longer than any word of the language.
const MAX_LENGTH: usize = 32;

/// The most similar word, if at most a third of its letters differ.
pub(super) fn closest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > MAX_LENGTH {
        return None;
    }
    let near = words.into_iter().filter_map(|word| {
        let distance = osa_distance(written, word);
        (distance <= word.len() / 3).then_some((distance, word))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// A question that suggests the most similar word, or nothing.
pub(super) fn did_you_mean<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    closest(written, words).map_or_else(String::new, |word| format!("did you mean {word}? "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&str; 5] = ["address", "server-group", "server-groups", "up", "zone"];

    #[test]
    fn a_misspelt_word_yields_the_most_similar_one() {
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
    fn a_dissimilar_word_yields_no_suggestion() {
        for written in ["", "u", "down", "port", "banana", &"address".repeat(10_000)] {
            assert_eq!(closest(written, WORDS), None, "{written}");
        }
    }
}
