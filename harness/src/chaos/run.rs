//! Doing a schedule to a mesh of its own under traffic, and what must hold then.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::execute::{Moment, Trouble, execute};
use super::fault::{Fault, Kind};
use super::ground::Ground;
use super::ledger::{Ledger, PEACE};
use super::live::Live;
use super::netcuts::Netcuts;
use super::schedule::Schedule;
use crate::cluster::checkout::Checkout;
use crate::cluster::cleanup;
use crate::cluster::mesh::Mesh;
use crate::cluster::topology::Member;
use crate::engine::label;
use crate::error::{CheckFailure, Error, check};
use crate::report::{Progress, seconds};
use crate::timeline::{self, Chronicle, Window, unexpected};
use crate::verify::traffic::{Pace, Traffic};

/// Time from the last fault's healing until all views agree and every instance answers on every path.
pub const AGREEMENT: Duration = Duration::from_secs(3);
/// Time of traffic in which nothing may fail, after the last fault and the peace that follows it.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Less than other checks send: a fault makes requests last long, and their number is not what breaks a mesh here.
const PACE: Pace = Pace {
    clients: 2,
    period: Duration::from_millis(40),
};
/// Parts of the WARN and ERROR lines that faults bring about.
const ALLOWED: [&str; 1] = ["discovery: lost"];
/// A fault that takes longer than this to be on is told twice.
const SOON: Duration = Duration::from_millis(300);

/// What came of a schedule that the mesh has endured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endured {
    /// The faults.
    pub troubles: Vec<Trouble>,
    /// The requests.
    pub ledger: Ledger,
    /// Time from the last fault's healing until all was well.
    pub agreed: Duration,
}

impl Ground {
    /// Does `schedule` to `mesh` under traffic and checks what must hold; the mesh is removed then. `tell` hears a line
    /// for each thing that is done.
    ///
    /// # Errors
    /// [`Error::Check`] where something does not hold, with the containers' last log lines; or the engine's.
    pub async fn endure(
        &self,
        mesh: Mesh,
        schedule: &Schedule,
        tell: impl Fn(&str),
    ) -> Result<Endured, Error> {
        let project = mesh.topology().project.clone();
        let chronicle = Chronicle::start(&self.engine, &self.ownership.run, &self.topology);
        let traffic = Traffic::start(&mesh.routes()?, PACE);
        let (recording, begun) = (traffic.recording(), SystemTime::now());
        let mut labels = self.ownership.labels();
        labels.insert(label::PROJECT.to_owned(), project.clone());
        let names = mesh.topology().members.iter().map(Member::name);
        let netcuts = Netcuts::new(self.engine.clone(), self.netcut.clone(), labels, names);
        let live = Live::new(self.engine.clone(), mesh, traffic, netcuts);
        let told = |line: &str| {
            chronicle.say("chaos", line);
            tell(line);
        };
        let mut result = self.ordeal(&live, &chronicle, schedule, told).await;
        if let Err(Error::Check(failure)) = &mut result {
            failure.logs = live.mesh().await.logs().await;
            let window = Window {
                from: begun,
                to: SystemTime::now(),
            };
            let about = format!("chaos: seed {}\n{failure}", schedule.seed);
            chronicle.catch_up().await;
            let path = timeline::file(&timeline::directory(&Checkout::find()?), begun, "chaos");
            let written = chronicle.write(&path, &about, &[window], &[recording]).await;
            let note = match written {
                Ok(()) => format!("timeline: {}", path.display()),
                Err(error) => format!("the timeline could not be written: {error}"),
            };
            failure.seen = format!("{}\n{note}", failure.seen);
        }
        drop(live);
        let removed = cleanup::remove_labelled(&self.engine, label::PROJECT, &project).await;
        // What the mesh has not endured comes before what could not be removed.
        let endured = result?;
        removed?;
        Ok(endured)
    }

    async fn ordeal(
        &self,
        live: &Live,
        chronicle: &Chronicle,
        schedule: &Schedule,
        tell: impl Fn(&str),
    ) -> Result<Endured, Error> {
        let begun = live.traffic().now();
        let troubles = execute(live, schedule, |at, moment, fault| {
            if let Some(line) = line(at, moment, fault) {
                tell(&line);
            }
        });
        let mut troubles = troubles.await?;
        for trouble in &mut troubles {
            trouble.from += begun;
            trouble.until += begun;
        }
        let healed = Instant::now();
        // Those that ask while it is not well are told of by the checks below.
        tell("all faults are healed");
        let agreed = live
            .mesh()
            .await
            .ready(AGREEMENT, &Progress::silent())
            .await
            .map(|_| healed.elapsed());
        let mut broken: Vec<CheckFailure> = Vec::new();
        let agreed = match agreed {
            Ok(took) => took,
            Err(Error::Check(failure)) => {
                broken.push(CheckFailure {
                    expected: format!("after the last fault, {}", failure.expected),
                    ..*failure
                });
                AGREEMENT
            }
            Err(other) => return Err(other),
        };
        tokio::time::sleep_until(healed + PEACE + AFTERMATH).await;
        let ledger = live.traffic().read(|record| Ledger::new(record, &troubles));
        self.checked(live, chronicle, &ledger, broken).await?;
        Ok(Endured {
            troubles,
            ledger,
            agreed,
        })
    }

    /// All that must hold once the aftermath is over, beside what is known to be broken.
    async fn checked(
        &self,
        live: &Live,
        chronicle: &Chronicle,
        ledger: &Ledger,
        mut broken: Vec<CheckFailure>,
    ) -> Result<(), Error> {
        let mut must = |holds: bool, expected: String, seen: String| {
            if let Err(Error::Check(failure)) = check(holds, expected, seen) {
                broken.push(*failure);
            }
        };
        must(
            ledger.in_peace == 0,
            format!("no failed request later than {PEACE:?} after a fault"),
            format!("{ledger}\n{}", ledger.lines.join("\n")),
        );
        must(
            ledger.sent > 0 && ledger.silent.is_empty(),
            "answers to the traffic on every path after the last fault".to_owned(),
            format!("{ledger}; silent: {:?}", ledger.silent),
        );
        let ended = live.mesh().await.ended().await;
        must(
            ended.is_empty(),
            "every container running".to_owned(),
            ended.join("\n"),
        );
        chronicle.catch_up().await;
        let lines: Vec<String> = unexpected(chronicle.suspects(), &ALLOWED)
            .into_iter()
            .map(|suspect| format!("{}: {}", suspect.container, suspect.line))
            .collect();
        must(
            lines.is_empty(),
            format!("no line of level WARN or ERROR but those with {ALLOWED:?}"),
            lines.join("\n"),
        );
        let Some(mut first) = broken.pop() else {
            return Ok(());
        };
        for other in broken.into_iter().rev() {
            first.expected = format!("{}\nand {}", other.expected, first.expected);
            first.seen = format!("{}\n{}", other.seen, first.seen);
            first.logs.extend(other.logs);
        }
        Err(Error::Check(Box::new(first)))
    }
}

/// What is told of one moment of a fault; nothing where that was told just before.
fn line(at: Duration, moment: Moment, fault: &Fault) -> Option<String> {
    let at = format!("{:>8.3} s", at.as_secs_f64());
    match moment {
        Moment::Begun => Some(format!("{at}  {fault}")),
        Moment::On { after } if after >= SOON => Some(format!("{at}  … done: {fault} ({})", seconds(after))),
        Moment::On { .. } => None,
        Moment::Healed if fault.kind() == Kind::Restart => None,
        Moment::Healed => Some(format!("{at}  healed: {fault}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promise_is_the_one_that_is_published() {
        use crate::verify::objectives::Promise;
        assert_eq!(Promise::HealToAgreement.limit(), AGREEMENT.into());
    }

    #[test]
    fn each_fault_is_told_once_or_twice_and_its_healing() {
        let member = || "lb".to_owned();
        let (pause, restart) = (
            Fault::Pause { member: member() },
            Fault::Restart { member: member() },
        );
        let at = Duration::from_millis(12_345);
        let on = |millis| Moment::On {
            after: Duration::from_millis(millis),
        };
        let told = |moment, fault: &Fault| line(at, moment, fault).unwrap_or_default();
        assert_eq!(told(Moment::Begun, &pause), "  12.345 s  pause lb");
        assert_eq!(told(on(20), &pause), "");
        assert_eq!(told(Moment::Healed, &pause), "  12.345 s  healed: pause lb");
        assert_eq!(
            told(on(2_100), &restart),
            "  12.345 s  … done: restart lb (2.10 s)"
        );
        assert_eq!(told(Moment::Healed, &restart), "");
    }
}
