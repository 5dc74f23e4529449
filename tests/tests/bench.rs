//! `harness bench data-plane` with short measurements: checks that its tables are complete, not the values.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test, as an assertion does"
)]

use serde_json::Value;

/// Checks that every part has a row for the sidecar with a value for each metric and no failures.
#[tokio::test]
async fn the_tables_of_the_data_plane_are_complete() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("bench.json");
    // Uses the dev profile: a release build takes longer than a command's timeout.
    let sidecar = tests::compiled("sidecar").await.unwrap();
    let http_worker = tests::compiled("http-worker").await.unwrap();
    let arguments = [
        "bench",
        "data-plane",
        "--alone",
        "--rounds",
        "1",
        "--concurrency",
        "4",
        "--duration",
        "200ms",
        "--bulk",
        "20MB",
        "--idle",
        "50",
        "--sidecar",
        sidecar.to_str().unwrap(),
        "--http-worker",
        http_worker.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ];
    let finished = tests::harness_on_no_runtime(&arguments).await.unwrap();
    assert_eq!(finished.code, Some(0), "{finished:#?}");
    let text = std::fs::read_to_string(&json).unwrap();
    let results: Value = serde_json::from_str(&text).unwrap();
    let expected = [
        ("tcp-lb", "sidecar"),
        ("socks5", "sidecar"),
        ("socks5", "sidecar-name"),
        ("bulk-1", "sidecar"),
        ("bulk-8", "sidecar"),
        ("memory-tcp-lb", "sidecar"),
        ("memory-socks5", "sidecar"),
        ("http-1kB-32", "sidecar"),
        ("http-100kB-512", "sidecar"),
        ("h2-1kB-400", "sidecar (h2)"),
        ("memory-http", "sidecar"),
    ];
    for (section, name) in expected {
        let sections = results["sections"].as_array().unwrap();
        let found = sections.iter().find(|one| one["name"] == section).unwrap();
        let rows = found["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        let values = row["values"].as_object().unwrap();
        assert!(values.values().all(Value::is_number), "{section} {row:#}");
        assert_eq!(values["failed"], 0.0, "{section} {row:#}");
        assert!(
            finished.output.contains(found["title"].as_str().unwrap()),
            "{finished:#?}"
        );
    }
}
