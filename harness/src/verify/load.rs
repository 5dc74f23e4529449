//! The load of the machine beside the measurements: on an overloaded machine every start takes longer, and a missed
//! time objective says nothing about the mesh.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

/// Runnable threads per processor from which the machine counts as overloaded: a thread that computes gets at most half
/// of a processor, so that a start takes at least twice as long.
const OVERLOADED: f64 = 2.0;
/// Time between two samples of the runnable threads.
const PERIOD: Duration = Duration::from_millis(100);

/// The load during some time. On a system without Linux' `/proc` it has no samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// Number of processors.
    pub processors: usize,
    /// Number of samples.
    samples: u64,
    /// Sum of the runnable threads of all samples.
    runnable: u64,
    /// Most runnable threads per processor, on average over one of the parts that were added.
    worst: f64,
    /// Time that the harness's own threads ran, in nanoseconds.
    ran: u64,
    /// Time that they waited for a processor, in nanoseconds.
    waited: u64,
}

impl Load {
    /// Threads that ran or waited for a processor, per processor, on average. `None` if nothing was measured.
    pub fn per_processor(&self) -> Option<f64> {
        let processors = self.processors.max(1) as f64;
        (self.samples > 0).then(|| self.runnable as f64 / self.samples as f64 / processors)
    }

    /// The same for that part of the time with the highest load.
    pub fn worst(&self) -> Option<f64> {
        self.per_processor().map(|mean| mean.max(self.worst))
    }

    /// The scheduling delay: the share of the time in which the harness's own threads waited for a processor, of the
    /// time in which they wanted one; 0 to 1.
    pub fn waited(&self) -> Option<f64> {
        let wanted = self.ran + self.waited;
        (wanted > 0).then(|| self.waited as f64 / wanted as f64)
    }

    /// Whether the machine was overloaded on average.
    pub fn is_overloaded(&self) -> bool {
        self.per_processor().is_some_and(|load| load >= OVERLOADED)
    }

    /// Whether it was overloaded during some part of the time.
    pub fn was_overloaded(&self) -> bool {
        self.worst().is_some_and(|load| load >= OVERLOADED)
    }

    /// Adds the load of the time that follows.
    pub fn add(&mut self, next: &Self) {
        self.worst = self.worst.max(next.worst().unwrap_or_default());
        self.processors = self.processors.max(next.processors);
        self.samples += next.samples;
        self.runnable += next.runnable;
        self.ran += next.ran;
        self.waited += next.waited;
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(mean), Some(worst)) = (self.per_processor(), self.worst()) else {
            return f.write_str("not measured");
        };
        write!(
            f,
            "{mean:.1} runnable threads per processor, {worst:.1} in the worst scenario"
        )?;
        match self.waited() {
            Some(waited) => write!(
                f,
                ";\nthe harness waited {:.0} % of its time for a processor",
                100.0 * waited
            ),
            None => Ok(()),
        }
    }
}

/// Measures the load until it is dropped.
#[derive(Debug)]
pub struct LoadMonitor {
    sampled: Arc<Mutex<Load>>,
    /// Times of the harness's threads at the last [`LoadMonitor::take`].
    threads: BTreeMap<String, Times>,
    _sampling: AbortOnDropHandle<()>,
}

/// The times that a thread has run and waited, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Times {
    ran: u64,
    waited: u64,
}

impl LoadMonitor {
    /// Starts to measure.
    pub fn start() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let sampled = Arc::new(Mutex::new(Load::default()));
        let shared = Arc::clone(&sampled);
        let sampling = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERIOD).await;
                // A read of /proc does not block.
                let runnable = fs::read_to_string("/proc/loadavg")
                    .ok()
                    .and_then(|text| runnable(&text));
                let mut load = shared.lock().unwrap_or_else(PoisonError::into_inner);
                load.processors = processors;
                if let Some(runnable) = runnable {
                    load.samples += 1;
                    load.runnable += runnable;
                }
            }
        });
        Self {
            sampled,
            threads: threads(),
            _sampling: AbortOnDropHandle::new(sampling),
        }
    }

    /// The load since the last call, or since the start.
    pub fn take(&mut self) -> Load {
        let mut load = std::mem::take(&mut *self.sampled.lock().unwrap_or_else(PoisonError::into_inner));
        let now = threads();
        for (thread, times) in &now {
            let before = self.threads.get(thread).copied().unwrap_or_default();
            load.ran += times.ran.saturating_sub(before.ran);
            load.waited += times.waited.saturating_sub(before.waited);
        }
        self.threads = now;
        load
    }
}

/// The number of threads of the machine that run or wait for a processor, from the fourth field of `/proc/loadavg`
/// (proc(5)), without the thread that reads it.
fn runnable(loadavg: &str) -> Option<u64> {
    let (runnable, _) = loadavg.split_whitespace().nth(3)?.split_once('/')?;
    runnable
        .parse::<u64>()
        .ok()
        .map(|runnable| runnable.saturating_sub(1))
}

/// The times of this process's threads, from `/proc/self/task/*/schedstat`. Empty if the system does not have them.
fn threads() -> BTreeMap<String, Times> {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            Some((task.file_name().to_string_lossy().into_owned(), times(&text)?))
        })
        .collect()
}

/// Times in the format of `schedstat`: nanoseconds run, nanoseconds waited, number of time slices.
fn times(schedstat: &str) -> Option<Times> {
    let mut fields = schedstat.split_whitespace().map(|field| field.parse().ok());
    Some(Times {
        ran: fields.next()??,
        waited: fields.next()??,
    })
}

#[cfg(test)]
pub(crate) fn example(runnable_per_processor: u64) -> Load {
    Load {
        processors: 2,
        samples: 10,
        runnable: 20 * runnable_per_processor,
        worst: 0.0,
        ran: 1,
        waited: runnable_per_processor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_formats_are_read() {
        assert_eq!(runnable("42.31 21.55 9.10 17/1234 5678\n"), Some(16));
        assert_eq!(runnable("0.00 0.00 0.00 0/1 1"), Some(0));
        assert_eq!(runnable("nonsense"), None);
        let expected = Times {
            ran: 1_221_400,
            waited: 13_322_500,
        };
        assert_eq!(times("1221400 13322500 4\n"), Some(expected));
        assert_eq!(times(""), None);
    }

    #[test]
    fn the_load_of_several_parts_has_their_mean_and_their_worst() {
        let mut load = example(1);
        assert!(!load.is_overloaded() && !load.was_overloaded());
        load.add(&example(2));
        assert_eq!((load.per_processor(), load.worst()), (Some(1.5), Some(2.0)));
        assert!(!load.is_overloaded() && load.was_overloaded());
        assert_eq!(load.waited(), Some(0.6));
        assert_eq!(
            load.to_string(),
            "1.5 runnable threads per processor, 2.0 in the worst scenario;\n\
             the harness waited 60 % of its time for a processor"
        );
        assert!(!Load::default().was_overloaded(), "nothing is known");
        assert_eq!(Load::default().to_string(), "not measured");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_load_of_this_machine_is_measured() {
        let mut monitor = LoadMonitor::start();
        let mut load = Load::default();
        let measured = async || {
            load.add(&monitor.take());
            match load.per_processor() {
                Some(_) => Ok(()),
                None => Err(vec!["no sample".to_owned()]),
            }
        };
        crate::wait::until(Duration::from_secs(20), PERIOD, measured, |_| {})
            .await
            .unwrap();
        assert!(load.processors > 0);
    }
}
