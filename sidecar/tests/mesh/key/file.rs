//! The key file.

use proptest::prelude::*;
use sidecar::mesh::key::Keys;

use super::{keys, line};

#[track_caller]
fn refused(text: &str, at: usize, message: &str) {
    let error = Keys::parse(text).unwrap_err();
    assert_eq!(error.line, at, "{error}");
    assert!(error.message.contains(message), "{error}");
}

#[test]
fn up_to_four_keys_are_read_between_comments_and_empty_lines() {
    let text = format!("# made on Monday\n\n  {}  \n{}\n", line(1), line(2));
    assert_eq!(Keys::parse(&text).unwrap(), keys(&[1, 2]));
    assert_ne!(keys(&[2, 1]), keys(&[1, 2]));
    assert_eq!(keys(&[1, 2, 3, 4]).fingerprints().split(' ').count(), 4);
}

#[test]
fn an_error_names_its_line_and_contains_nothing_of_a_key() {
    refused("", 1, "expected 1 to 4 keys, one a line, found none");
    refused("# none\n\n", 2, "found none");
    refused(
        &format!("{}\nnot a key\n", line(1)),
        2,
        "found 9 characters that are not that",
    );
    refused("AAAA", 1, "found base64 of 3 bytes");
    refused(&line(1)[1..], 1, "expected a key of 32 bytes in base64");
    refused(
        &format!("{}\n\n{}", line(7), line(7)),
        3,
        "the same key as on line 1",
    );
    let five: String = (1..=5).map(|number| line(number) + "\n").collect();
    refused(&five, 5, "expected at most 4 keys");
    let nearly = line(9).replace('=', "!");
    let error = Keys::parse(&nearly).unwrap_err().to_string();
    assert!(!error.contains(&nearly[..8]), "{error}");
}

#[test]
fn keys_do_not_show_themselves() {
    let text = format!("{:?}", keys(&[1]));
    assert!(!text.contains(&line(1)[..8]) && text.len() < 20, "{text}");
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,200}") {
        let _ = Keys::parse(&text);
    }
}
