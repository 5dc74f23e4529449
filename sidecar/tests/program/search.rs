//! The warning that nodes may take long to meet.

use crate::Sidecar;

#[test]
fn a_start_warns_of_a_sweep_that_takes_over_30_s() {
    for (mask, expected) in [
        (20, Some("a sweep of 4096 addresses takes 189 s")),
        (23, None),
        (24, None),
    ] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = format!(
            "discovery.nic = lo\ndiscovery.address = 127.61.{mask}.2\ndiscovery.search.mask = {mask}\n"
        );
        std::fs::write(file.path(), text).expect("written");
        let mut sidecar = Sidecar::start(&["--discovery-config", &file.path().display().to_string()]);
        sidecar.logged("ready");
        match expected {
            Some(text) => assert!(sidecar.seen.contains(text), "{}", sidecar.seen),
            None => assert!(!sidecar.seen.contains("WARN"), "{}", sidecar.seen),
        }
    }
}
