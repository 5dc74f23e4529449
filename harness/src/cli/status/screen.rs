//! Frames that replace each other on a terminal, by escape sequences of ECMA-48. Pure.

use harness::console::wrapped;

/// Moves the cursor to the first line.
const HOME: &str = "\x1b[H";
/// Erases from the cursor to the end of the line.
const ERASE_LINE: &str = "\x1b[K";
/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\x1b[J";

/// Draws `text` over the last frame, on a terminal with this many columns and rows. What does not fit is counted.
pub(super) fn frame(text: &str, columns: u16, rows: u16) -> String {
    let text = wrapped(text, usize::from(columns.max(20)), 2);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // The cursor stands on the last row.
    let room = usize::from(rows.max(3)) - 1;
    if lines.len() > room {
        let left_out = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(format!("({left_out} more lines)"));
    }
    let lines: String = lines.iter().map(|line| format!("{line}{ERASE_LINE}\n")).collect();
    format!("{HOME}{lines}{ERASE_BELOW}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_the_terminal() {
        assert_eq!(frame("one\ntwo", 80, 24), "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J");
        let long = frame("1\n2\n3\n4\n5\n6", 80, 5);
        assert_eq!(
            long.replace("\x1b[K", ""),
            "\x1b[H1\n2\n3\n(3 more lines)\n\x1b[J"
        );
        let narrow = frame(&"word ".repeat(10), 24, 24);
        assert!(narrow.lines().all(|line| line.len() <= 24 + 8), "{narrow:?}");
    }
}
