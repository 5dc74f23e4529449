//! The codec of the redis protocol: arbitrary input, arbitrarily split.

use super::answers::{Value, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use sidecar::control::resp::answer::{Answer, Version};
use sidecar::control::resp::request::{Decoded, MAX_REQUEST, MAX_WORD, MAX_WORDS, ProtocolError, decode};

type Words = Vec<Vec<u8>>;

/// Encodes a request as client libraries do.
fn array(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// Encodes a request as a typed line: every word in quotes, every byte other than a letter or digit escaped.
fn line(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in words {
        bytes.push(b'"');
        for byte in word {
            match byte {
                b if b.is_ascii_alphanumeric() => bytes.push(*b),
                b => bytes.extend(format!("\\x{b:02x}").bytes()),
            }
        }
        bytes.extend(b"\" ");
    }
    bytes.extend(b"\r\n");
    bytes
}

fn words() -> impl Strategy<Value = Words> {
    vec(vec(any::<u8>(), 0..40), 1..MAX_WORDS)
}

/// Bytes that resemble a request more often than random bytes do.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..20),
        words().prop_map(|w| array(&w)),
        "[*$]-?[0-9]{0,25}\r?\n?".prop_map(String::into_bytes),
        "[ \"'\\\\xnrtab0-9]{0,30}\r?\n".prop_map(String::into_bytes),
        Just(b"\r\n".to_vec()),
        (0..70_000usize).prop_map(|n| vec![b'a'; n]),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// All requests of a stream, up to its first error.
fn decode_all(stream: &[u8]) -> (Vec<Words>, Option<ProtocolError>) {
    decode_pieces(&[stream])
}

fn decode_pieces(pieces: &[&[u8]]) -> (Vec<Words>, Option<ProtocolError>) {
    let (mut requests, mut buffer) = (Vec::new(), Vec::new());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decode(&buffer) {
                Ok(None) => break,
                Ok(Some(Decoded { words, used })) => {
                    assert!(used > 0 && used <= buffer.len());
                    buffer.drain(..used);
                    requests.push(words);
                }
                Err(error) => return (requests, Some(error)),
            }
        }
        assert!(
            buffer.len() <= MAX_REQUEST,
            "{} bytes are waited on",
            buffer.len()
        );
    }
    (requests, None)
}

proptest! {
    #[test]
    fn an_encoded_request_is_decoded(requests in vec((words(), any::<bool>()), 0..5)) {
        let stream: Vec<u8> = requests
            .iter()
            .flat_map(|(words, typed)| if *typed { line(words) } else { array(words) })
            .collect();
        let expected = requests.into_iter().map(|(words, _)| words).collect();
        prop_assert_eq!(decode_all(&stream), (expected, None));
    }

    #[test]
    fn a_split_stream_decodes_as_the_whole(stream in mangled(), cuts in vec(any::<prop::sample::Index>(), 0..8)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode_pieces(&pieces), decode_all(&stream));
    }

    #[test]
    fn a_stream_can_be_decoded_byte_by_byte(words in words(), garbage in vec(any::<u8>(), 0..60)) {
        let stream = [array(&words), garbage].concat();
        let pieces: Vec<&[u8]> = stream.chunks(1).collect();
        prop_assert_eq!(decode_pieces(&pieces), decode_all(&stream));
    }

    #[test]
    fn answers_are_parsed_by_a_client(answer in answer(), three in any::<bool>()) {
        let version = if three { Version::Three } else { Version::Two };
        let mut bytes = Vec::new();
        answer.encode(version, &mut bytes);
        let (value, used) = parse(&bytes).expect("a whole answer");
        prop_assert_eq!(used, bytes.len());
        prop_assert_eq!(value, expected(&answer, version));
        for end in 0..bytes.len() {
            prop_assert!(parse(&bytes[..end]).is_none(), "an answer within the answer");
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let leaf = prop_oneof![
        Just(Answer::OK),
        any::<String>().prop_map(Answer::error),
        any::<String>().prop_map(Answer::Refused),
        any::<i64>().prop_map(Answer::Integer),
        vec(any::<u8>(), 0..50).prop_map(Answer::Bulk),
        Just(Answer::Null),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Answer::Array),
            vec((inner.clone(), inner), 0..3).prop_map(Answer::Map),
        ]
    })
}

fn expected(answer: &Answer, version: Version) -> Value {
    let each = |answers: &[Answer]| answers.iter().map(|a| expected(a, version)).collect();
    match answer {
        Answer::Simple(text) => Value::Simple((*text).to_owned()),
        Answer::Refused(text) => Value::Error(text.replace(['\r', '\n'], " ")),
        Answer::Error(code, text) => Value::Error(format!("{code} {}", text.replace(['\r', '\n'], " "))),
        Answer::Integer(number) => Value::Integer(*number),
        Answer::Bulk(bytes) => Value::Bulk(bytes.clone()),
        Answer::Array(items) => Value::Array(each(items)),
        Answer::Map(pairs) => {
            let flat: Vec<Answer> = pairs.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect();
            match version {
                Version::Two => Value::Array(each(&flat)),
                Version::Three => Value::Map(each(&flat)),
            }
        }
        Answer::Null => Value::Null,
    }
}

fn one(bytes: &[u8]) -> Result<Option<Words>, ProtocolError> {
    decode(bytes).map(|decoded| decoded.map(|d| d.words))
}

#[test]
fn lines_are_quoted_as_in_redis() {
    for (line, expected) in [
        ("list tcp-lb", &["list", "tcp-lb"][..]),
        ("  list\ttcp-lb  ", &["list", "tcp-lb"]),
        ("", &[]),
        ("   ", &[]),
        (r#"echo "a b""#, &["echo", "a b"]),
        (r#"echo "\x41\x7a\n\"\\\q""#, &["echo", "Az\n\"\\q"]),
        (r#"echo "\xZZ""#, &["echo", "xZZ"]),
        ("echo 'a \"b\" \\'c\\' \\n'", &["echo", "a \"b\" 'c' \\n"]),
        (r#"echo """#, &["echo", ""]),
        ("echo ''", &["echo", ""]),
        (r#"echo pre"fix" x"#, &["echo", "prefix", "x"]),
    ] {
        for end in ["\n", "\r\n"] {
            let words = one(format!("{line}{end}").as_bytes())
                .expect(line)
                .expect("a line");
            let expected: Words = expected.iter().map(|w| w.as_bytes().to_vec()).collect();
            assert_eq!(words, expected, "{line}");
        }
    }
    for line in [
        "echo \"a",
        "echo 'a",
        "echo \"a\"b",
        "echo 'a'b",
        "echo \"a\\",
        "echo 'a\\'",
    ] {
        assert_eq!(
            one(format!("{line}\r\n").as_bytes()),
            Err(ProtocolError::Quotes),
            "{line}"
        );
    }
}

#[test]
fn anything_but_a_flat_array_is_refused_at_once() {
    for (bytes, expected) in [
        ("*1\r\n*1\r\n", ProtocolError::NotBulk(b'*')),
        ("*1\r\n:1\r\n", ProtocolError::NotBulk(b':')),
        ("*65\r\n", ProtocolError::Count),
        ("*999999999999999999999", ProtocolError::Count),
        ("*9223372036854775808\r\n", ProtocolError::Count),
        ("*-9223372036854775809\r\n", ProtocolError::Count),
        ("*000000000000000000001\r\n", ProtocolError::Count),
        ("*+1\r\n", ProtocolError::Count),
        ("* 1\r\n", ProtocolError::Count),
        ("*\r\n", ProtocolError::Count),
        ("*-\r\n", ProtocolError::Count),
        ("*1\rx", ProtocolError::Count),
        ("*1\r\n$4097\r\n", ProtocolError::Length),
        ("*1\r\n$-1\r\n", ProtocolError::Length),
        ("*1\r\n$x\r\n", ProtocolError::Length),
        ("*1\r\n$18446744073709551615\r\n", ProtocolError::Length),
        ("*1\r\n$1\r\nab\r\n", ProtocolError::NoLineEnd),
    ] {
        assert_eq!(one(bytes.as_bytes()), Err(expected), "{bytes:?}");
    }
    for nothing in ["*0\r\n", "*-1\r\n", "\r\n", "\n"] {
        assert_eq!(one(nothing.as_bytes()), Ok(Some(Vec::new())), "{nothing:?}");
    }
    let error = decode(b"*1\r\n\r\n")
        .expect_err("a line end is not a bulk string")
        .to_string();
    assert_eq!(error, "expected '$', got '\\r'", "errors are one line");
}

#[test]
fn sizes_are_limited() {
    let largest = vec![vec![b'x'; MAX_WORD]; 15];
    assert_eq!(one(&array(&largest)), Ok(Some(largest)));
    assert_eq!(
        one(&array(&vec![vec![b'x'; MAX_WORD]; 16])),
        Err(ProtocolError::TooBig)
    );
    let most = vec![b"x".to_vec(); MAX_WORDS];
    assert_eq!(one(&array(&most)), Ok(Some(most.clone())));
    assert_eq!(one(&line(&most)), Ok(Some(most)));
    assert_eq!(
        one(&line(&vec![b"x".to_vec(); MAX_WORDS + 1])),
        Err(ProtocolError::TooManyWords)
    );
    assert_eq!(
        one(&line(&[vec![b'x'; MAX_WORD]])),
        Ok(Some(vec![vec![b'x'; MAX_WORD]]))
    );
    assert_eq!(
        one(&line(&[vec![b'x'; MAX_WORD + 1]])),
        Err(ProtocolError::WordTooLong)
    );
    assert_eq!(one(&vec![b' '; MAX_REQUEST - 1]), Ok(None));
    assert_eq!(one(&vec![b' '; MAX_REQUEST]), Err(ProtocolError::TooBig));
}
