//! Reads a container's log file, and follows it by polling.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use futures_util::StreamExt;

use super::super::logs::{Lines, LogStream};
use super::super::{EngineError, LogLine, LogOptions};
use super::record::Home;
use super::timestamps::Timestamps;
use super::{Processes, failed};

/// Polling interval of a log that is followed.
const PERIOD: Duration = Duration::from_millis(20);
/// Maximum number of bytes in one read.
const PIECE: usize = 64 * 1024;
/// Maximum number of reads before the lines are passed on.
const PIECES: usize = 16;

impl Processes {
    pub(crate) fn logs(&self, id: &str, options: LogOptions) -> LogStream {
        let reader = Reader {
            processes: self.clone(),
            id: id.to_owned(),
            options,
            log: None,
            has_read: false,
            over: false,
        };
        futures_util::stream::unfold(reader, async |mut reader| {
            if reader.over {
                return None;
            }
            let lines = reader.next().await;
            let lines: Vec<Result<LogLine, EngineError>> = match lines {
                Ok(lines) => lines.into_iter().map(Ok).collect(),
                Err(error) => {
                    reader.over = true;
                    vec![Err(error)]
                }
            };
            Some((futures_util::stream::iter(lines), reader))
        })
        .flatten()
        .boxed()
    }
}

/// A log being read.
struct Reader {
    processes: Processes,
    id: String,
    options: LogOptions,
    log: Option<Log>,
    /// Whether it has been read from.
    has_read: bool,
    over: bool,
}

impl Reader {
    /// The next lines; empty if there are none yet, or no more.
    async fn next(&mut self) -> Result<Vec<LogLine>, EngineError> {
        let (id, options) = (self.id.clone(), self.options);
        let tail = options.tail.filter(|_| !self.has_read);
        let log = self.log.take();
        let read = self.processes.blocking(move |core| {
            let record = core.record(&id, "reading the log of")?;
            let home = core.home(&id);
            let read = move || {
                // Checked before the log is read, so that everything written before the run's end is read.
                let running = options.follow && home.run()?.is_some_and(|run| run.shell().is_some());
                let timestamps = || options.timestamps.then(|| Timestamps::new(record.created_at));
                let fresh = || Log::new(&home, timestamps());
                let mut log = log.unwrap_or_else(fresh);
                let (lines, at_end) = log.read(tail, !running)?;
                Ok((log, lines, at_end, running))
            };
            read().map_err(failed(format!("reading the log of container {id}")))
        });
        let (log, lines, at_end, running) = match read.await {
            Ok(read) => read,
            // The container was removed after the first read.
            Err(EngineError::Missing { .. }) if self.has_read => {
                self.over = true;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        self.log = Some(log);
        self.over = at_end && !running;
        if self.has_read && at_end && running && lines.is_empty() {
            tokio::time::sleep(PERIOD).await;
        }
        self.has_read = true;
        Ok(lines)
    }
}

/// A log file that is being read.
struct Log {
    /// `None` until the container is started.
    file: Option<File>,
    home: Home,
    lines: Lines,
    timestamps: Option<Timestamps>,
}

impl Log {
    fn new(home: &Home, timestamps: Option<Timestamps>) -> Self {
        Self {
            file: None,
            home: home.clone(),
            lines: Lines::default(),
            timestamps,
        }
    }

    /// The next lines, at most the last `tail` of them, and whether the end of the file was reached. `last` means that
    /// the file will not grow.
    fn read(&mut self, tail: Option<usize>, last: bool) -> io::Result<(Vec<LogLine>, bool)> {
        if self.file.is_none() {
            self.file = match File::open(self.home.log()) {
                Ok(file) => Some(file),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok((Vec::new(), true)),
                Err(error) => return Err(error),
            };
        }
        let mut kept = VecDeque::new();
        let mut pieces = 0;
        let mut buffer = vec![0; PIECE];
        let at_end = loop {
            let count = match &mut self.file {
                Some(file) => file.read(&mut buffer)?,
                None => 0,
            };
            let mut lines = self.lines.push(buffer.get(..count).unwrap_or_default());
            if count == 0 && last {
                lines.extend(self.lines.finish());
            }
            for line in lines {
                kept.push_back(match &mut self.timestamps {
                    Some(times) => LogLine {
                        text: times.add(&line.text),
                    },
                    None => line,
                });
                if tail.is_some_and(|tail| kept.len() > tail) {
                    kept.pop_front();
                }
            }
            pieces += 1;
            if count == 0 {
                break true;
            }
            if tail.is_none() && pieces == PIECES {
                break false;
            }
        };
        Ok((kept.into(), at_end))
    }
}
