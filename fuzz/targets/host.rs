#![no_main]

#[allow(dead_code, reason = "each target uses one parser")]
#[path = "../../sidecar/tests/parsers/parse.rs"]
mod parse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parse::host(bytes));
