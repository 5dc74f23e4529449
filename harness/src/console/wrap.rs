//! Wraps lines of text at a width. Pure.

/// Wraps each line of `text` between words, so that no line has more than `width` characters; a longer word, and what
/// stands between backquotes, stays whole. Continuation lines are indented by `indent` more spaces than their first line.
pub fn wrapped(text: &str, width: usize, indent: usize) -> String {
    let lines: Vec<String> = text.lines().flat_map(|line| wrap(line, width, indent)).collect();
    lines.join("\n")
}

fn wrap(line: &str, width: usize, indent: usize) -> Vec<String> {
    if line.chars().count() <= width {
        return vec![line.to_owned()];
    }
    let own: String = line.chars().take_while(|c| *c == ' ').collect();
    let rest = format!("{own}{}", " ".repeat(indent));
    let mut lines = Vec::new();
    let mut current = own;
    let mut empty = true;
    for word in words(line.trim_start()) {
        if !empty && current.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut current, rest.clone()));
            empty = true;
        }
        if !empty {
            current.push(' ');
        }
        current.push_str(&word);
        empty = false;
    }
    lines.push(current);
    lines
}

/// The parts of a line between spaces. A command between backquotes is one part, so that it can be copied.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    for part in line.split(' ') {
        match words.last_mut() {
            Some(last) if quoted => {
                last.push(' ');
                last.push_str(part);
            }
            _ => words.push(part.to_owned()),
        }
        quoted ^= part.matches('`').count() % 2 == 1;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 20, 2), "one two three");
        assert_eq!(wrapped("one two three", 7, 2), "one two\n  three");
        assert_eq!(
            wrapped("  one two three four\nfive", 9, 2),
            "  one two\n    three\n    four\nfive"
        );
        assert_eq!(
            wrapped("short a-word-that-is-longer end", 8, 0),
            "short\na-word-that-is-longer\nend"
        );
        assert_eq!(wrapped("a   b", 80, 0), "a   b", "columns stay aligned");
        assert_eq!(
            wrapped("remove it (`down -p x`), or", 12, 0),
            "remove it\n(`down -p x`),\nor"
        );
    }
}
