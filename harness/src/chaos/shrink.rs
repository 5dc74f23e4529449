//! Shrinks a failing schedule to a shorter one that still fails (delta debugging).

use tokio::time::Instant;

use super::generate::{LEAD_MS, REST_MS};
use super::schedule::Schedule;

/// Minimum duration of a shortened fault, in milliseconds.
const SHORTEST_MS: u64 = 250;

/// Limits of the search.
#[derive(Debug, Clone, Copy)]
pub struct TrialBudget {
    /// Maximum number of trials.
    pub runs: usize,
    /// Deadline after which no trial starts.
    pub until: Instant,
}

/// Why the search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchEnd {
    /// No shorter candidate fails.
    Shortest,
    /// The limit of trials is reached.
    Runs,
    /// The deadline has passed.
    Time,
    /// A trial had no result.
    Inconclusive,
}

/// The result of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shrunk {
    /// The shortest schedule found that fails.
    pub schedule: Schedule,
    /// Number of trials.
    pub runs: usize,
    /// Why the search ended.
    pub ended: SearchEnd,
}

/// Shrinks `failing` while `fails` confirms that the result still fails: first removes ever smaller groups of steps,
/// from one half down to single steps, then idle time, then shortens the faults. Ends if `fails` returns `None`.
pub async fn shrink<F>(failing: &Schedule, budget: TrialBudget, fails: F) -> Shrunk
where
    F: AsyncFnMut(&Schedule) -> Option<bool>,
{
    let mut search = Shrinker {
        best: failing.clone(),
        passed: Vec::new(),
        runs: 0,
        budget,
        fails,
    };
    let ended = search.all().await.err().unwrap_or(SearchEnd::Shortest);
    Shrunk {
        schedule: search.best,
        runs: search.runs,
        ended,
    }
}

struct Shrinker<F> {
    best: Schedule,
    /// Candidates that did not fail.
    passed: Vec<Schedule>,
    runs: usize,
    budget: TrialBudget,
    fails: F,
}

impl<F: AsyncFnMut(&Schedule) -> Option<bool>> Shrinker<F> {
    async fn all(&mut self) -> Result<(), SearchEnd> {
        self.steps().await?;
        let compact = compacted(&self.best);
        self.attempt(compact).await?;
        while self.attempt(with_shorter_faults(&self.best)).await? {}
        Ok(())
    }

    /// Removes steps until none can be removed.
    async fn steps(&mut self) -> Result<(), SearchEnd> {
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
            // A step that could not be removed before may be removable after another one.
            if size > 1 || !shorter {
                size /= 2;
            }
        }
        Ok(())
    }

    /// Tries `candidate` unless it is known or invalid, and keeps it as the best if it fails. Returns whether it fails.
    async fn attempt(&mut self, candidate: Schedule) -> Result<bool, SearchEnd> {
        if candidate == self.best || self.passed.contains(&candidate) || !candidate.violations().is_empty() {
            return Ok(false);
        }
        if self.runs >= self.budget.runs {
            return Err(SearchEnd::Runs);
        }
        if Instant::now() >= self.budget.until {
            return Err(SearchEnd::Time);
        }
        self.runs += 1;
        let fails = (self.fails)(&candidate).await.ok_or(SearchEnd::Inconclusive)?;
        if fails {
            self.best = candidate;
        } else {
            self.passed.push(candidate);
        }
        Ok(fails)
    }
}

/// The schedule without `count` steps starting at `from`, ending when the last fault is healed.
fn without(schedule: &Schedule, from: usize, count: usize) -> Schedule {
    let mut shorter = schedule.clone();
    let until = from.saturating_add(count).min(shorter.steps.len());
    shorter.steps.drain(from..until);
    trimmed(shorter)
}

/// Ends the schedule when the last fault is healed.
fn trimmed(mut schedule: Schedule) -> Schedule {
    let needed = schedule.healed_ms().max(LEAD_MS);
    schedule.duration_ms = schedule.duration_ms.min(needed);
    schedule
}

/// Limits each idle time to [`REST_MS`]; overlapping faults stay overlapping.
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

/// Halves the duration of every fault, and moves later faults forward by the time saved.
fn with_shorter_faults(schedule: &Schedule) -> Schedule {
    let mut shorter = schedule.clone();
    for step in &mut shorter.steps {
        let half = (step.heal_after_ms / 2).max(SHORTEST_MS);
        step.heal_after_ms = step.heal_after_ms.min(half);
    }
    compacted(&shorter)
}

#[cfg(test)]
mod tests;
