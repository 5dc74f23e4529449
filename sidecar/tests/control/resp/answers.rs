//! The client side of the redis protocol: parses answers.

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
    /// Alternating keys and values.
    Map(Vec<Value>),
    Null,
}

/// The first answer and its length; `None` if it is incomplete.
///
/// # Panics
/// If the bytes are not an answer.
pub(crate) fn parse(bytes: &[u8]) -> Option<(Value, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let text = std::str::from_utf8(&bytes[1..end]).expect("a line in UTF-8");
    let after = end + 2;
    let number = || text.parse::<i64>().expect("a number");
    let several = |count: i64| {
        let (mut items, mut at) = (Vec::new(), after);
        for _ in 0..count {
            let (item, used) = parse(&bytes[at..])?;
            items.push(item);
            at += used;
        }
        Some((items, at))
    };
    Some(match bytes[0] {
        b'+' => (Value::Simple(text.to_owned()), after),
        b'-' => (Value::Error(text.to_owned()), after),
        b':' => (Value::Integer(number()), after),
        b'_' => (Value::Null, after),
        b'$' if text == "-1" => (Value::Null, after),
        b'$' => {
            let end = after + usize::try_from(number()).expect("a length");
            let bulk = bytes.get(after..end)?;
            assert_eq!(bytes.get(end..end + 2)?, b"\r\n");
            (Value::Bulk(bulk.to_vec()), end + 2)
        }
        b'*' => several(number()).map(|(items, at)| (Value::Array(items), at))?,
        b'%' => several(2 * number()).map(|(items, at)| (Value::Map(items), at))?,
        other => panic!("no answer begins with {:?}", char::from(other)),
    })
}
