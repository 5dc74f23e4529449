//! Making a schedule that fails as short as can be, with something that tells whether a schedule fails.

use tokio::time::Instant;

use super::generate::{LEAD_MS, REST_MS};
use super::schedule::Schedule;

/// The shortest time that a fault is shortened to, in milliseconds.
const SHORTEST_MS: u64 = 250;

/// How much may be tried.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Schedules that are tried.
    pub runs: usize,
    /// No trial begins after it.
    pub until: Instant,
}

/// Why it was not shortened further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Nothing shorter that is tried fails.
    Shortest,
    /// As many were tried as may be.
    Runs,
    /// The time is over.
    Time,
    /// It could not be told whether one fails.
    Untold,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// It fails, and is not longer than the first.
    pub schedule: Schedule,
    /// Schedules that were tried.
    pub runs: usize,
    /// Why there were no more.
    pub ended: Ended,
}

/// Shortens `failing` for as long as `fails` says of what is left that it still fails: drops halves of its steps, then
/// ever smaller parts down to single steps, then the time in which nothing is broken, then time of the faults. Where
/// `fails` says nothing, it ends with what it has.
pub async fn shrink<F>(failing: &Schedule, limits: Limits, fails: F) -> Shrunk
where
    F: AsyncFnMut(&Schedule) -> Option<bool>,
{
    let mut search = Search {
        best: failing.clone(),
        held: Vec::new(),
        runs: 0,
        limits,
        fails,
    };
    let ended = search.all().await.err().unwrap_or(Ended::Shortest);
    Shrunk {
        schedule: search.best,
        runs: search.runs,
        ended,
    }
}

struct Search<F> {
    best: Schedule,
    /// Those that were tried and did not fail.
    held: Vec<Schedule>,
    runs: usize,
    limits: Limits,
    fails: F,
}

impl<F: AsyncFnMut(&Schedule) -> Option<bool>> Search<F> {
    async fn all(&mut self) -> Result<(), Ended> {
        self.steps().await?;
        let compact = compacted(&self.best);
        self.attempt(compact).await?;
        while self.attempt(hastened(&self.best)).await? {}
        Ok(())
    }

    /// Drops steps until none can go.
    async fn steps(&mut self) -> Result<(), Ended> {
        let mut size = self.best.steps.len().div_ceil(2);
        while size > 0 {
            let before = self.best.steps.len();
            let mut from = 0;
            while from < self.best.steps.len() {
                if !self.attempt(without(&self.best, from, size)).await? {
                    from += size;
                }
            }
            let shorter = self.best.steps.len() < before;
            // A single step that could not go alone may be able to once another has gone.
            if size > 1 || !shorter {
                size /= 2;
            }
        }
        Ok(())
    }

    /// Takes `candidate` for the best where it is one that was not tried yet and fails.
    async fn attempt(&mut self, candidate: Schedule) -> Result<bool, Ended> {
        if candidate == self.best || self.held.contains(&candidate) || !candidate.broken_rules().is_empty() {
            return Ok(false);
        }
        if self.runs >= self.limits.runs {
            return Err(Ended::Runs);
        }
        if Instant::now() >= self.limits.until {
            return Err(Ended::Time);
        }
        self.runs += 1;
        let fails = (self.fails)(&candidate).await.ok_or(Ended::Untold)?;
        if fails {
            self.best = candidate;
        } else {
            self.held.push(candidate);
        }
        Ok(fails)
    }
}

/// Without `count` steps from the one at `from` on, and over as soon as the last fault has healed.
fn without(schedule: &Schedule, from: usize, count: usize) -> Schedule {
    let mut shorter = schedule.clone();
    let until = from.saturating_add(count).min(shorter.steps.len());
    shorter.steps.drain(from..until);
    trimmed(shorter)
}

fn trimmed(mut schedule: Schedule) -> Schedule {
    let needed = schedule.healed_ms().max(LEAD_MS);
    schedule.duration_ms = schedule.duration_ms.min(needed);
    schedule
}

/// With no more time in which nothing is broken than a member rests; what is on together stays so.
fn compacted(schedule: &Schedule) -> Schedule {
    let mut shorter = schedule.clone();
    let mut healed = 0;
    let mut saved = 0;
    for step in &mut shorter.steps {
        let idle = step.at_ms.saturating_sub(healed);
        healed = healed.max(step.end_ms());
        saved += idle.saturating_sub(REST_MS);
        step.at_ms = step.at_ms.saturating_sub(saved);
    }
    trimmed(shorter)
}

/// With every fault on for half as long, and begun earlier by what those before it save.
fn hastened(schedule: &Schedule) -> Schedule {
    let mut shorter = schedule.clone();
    for step in &mut shorter.steps {
        let half = (step.heal_after_ms / 2).max(SHORTEST_MS);
        step.heal_after_ms = step.heal_after_ms.min(half);
    }
    compacted(&shorter)
}

#[cfg(test)]
mod tests;
