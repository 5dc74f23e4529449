//! What was measured, beside what is promised and what the reference implementation does.

use std::time::Duration;

/// One measured figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What was measured, and how.
    pub what: String,
    /// The value with its unit.
    pub measured: String,
    /// The promise with its unit.
    pub promised: &'static str,
    /// The reference's value on the same kind of machine, where it is known.
    pub reference: &'static str,
    /// Whether the promise is kept.
    pub kept: bool,
}

/// The figures of a run, in the order in which they were measured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures(pub Vec<Figure>);

impl Figures {
    /// Notes how long it took from the last container's start until every path had answered.
    pub fn ready(&mut self, took: Duration) {
        self.add(
            "last container started -> all instances answer on every path",
            seconds(took),
            "at most 2 s",
            "11.6 s",
            took <= Duration::from_secs(2),
        );
    }

    /// Notes how long it took from this program's start until the mesh was ready.
    pub fn up(&mut self, took: Duration, image_cached: bool) {
        let (what, kept) = if image_cached {
            (
                "program started -> ready, image cached",
                took <= Duration::from_secs(6),
            )
        } else {
            (
                "program started -> ready, image built on the way (run again for the cached figure)",
                true,
            )
        };
        self.add(what, seconds(took), "at most 6 s", "", kept);
    }

    /// Notes the resident memory of one idle sidecar.
    pub fn memory(&mut self, member: &str, kib: u64) {
        let mib = format!("{}.{} MiB", kib / 1024, (kib % 1024) * 10 / 1024);
        let what = format!("resident memory (ps, by the engine) of the idle sidecar of {member}");
        self.add(&what, mib, "at most 8 MiB", "66 to 76 MiB", kib <= 8 * 1024);
    }

    /// Notes the requests that failed while a service instance was stopped under traffic.
    pub fn failed_on_stop(&mut self, failed: usize, sent: usize) {
        let what = "requests failed during a graceful stop of one service a under traffic";
        self.add(what, format!("{failed} of {sent}"), "0", "", failed == 0);
    }

    fn add(
        &mut self,
        what: &str,
        measured: String,
        promised: &'static str,
        reference: &'static str,
        kept: bool,
    ) {
        self.0.push(Figure {
            what: what.to_owned(),
            measured,
            promised,
            reference,
            kept,
        });
    }
}

/// A time in seconds with as many digits as are of interest.
pub fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{:.2} s", time.as_secs_f64())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
