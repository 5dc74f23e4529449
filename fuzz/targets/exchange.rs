#![no_main]

#[allow(dead_code, reason = "each target uses one parser")]
#[path = "../../sidecar/tests/parsers/parse.rs"]
mod parse;

use sidecar::mesh::wire::ExchangeKind;

// The first byte numbers the kind.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((number, bytes)) = bytes.split_first()
        && let Some(kind) = ExchangeKind::ALL.get(usize::from(*number))
    {
        parse::exchange(*kind, bytes);
    }
});
