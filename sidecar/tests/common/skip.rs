//! Tests that need more than every machine has.

use std::io::Write;

/// Says on standard error that a test is skipped, or fails it if `MESH_REQUIRE` names what it needs.
pub(crate) fn skip(needs: &str, advice: &str) {
    let required = std::env::var("MESH_REQUIRE").is_ok_and(|all| all.split(',').any(|one| one == needs));
    assert!(!required, "MESH_REQUIRE names {needs}: {advice}");
    // Directly, because libtest hides the output of a test that passes.
    let _ = writeln!(std::io::stderr(), "skipped: it needs {needs}: {advice}");
}
