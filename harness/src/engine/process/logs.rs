//! What containers wrote.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use futures_util::StreamExt;

use super::super::logs::{Lines, LogStream, Logs, Reading};
use super::super::{EngineError, LogLine};
use super::dates::Dates;
use super::record::Home;
use super::{Processes, failed};

/// Time between two looks for more.
const PERIOD: Duration = Duration::from_millis(20);
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Pieces that are read at once, after which the lines are handed on.
const PIECES: usize = 16;

impl Logs for Processes {
    /// With a time, a line that does not begin with its own has that of the line before.
    fn read_log(&self, id: &str, reading: Reading) -> LogStream {
        let reader = Reader {
            processes: self.clone(),
            id: id.to_owned(),
            reading,
            log: None,
            begun: false,
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
    reading: Reading,
    log: Option<Log>,
    /// Whether something was read already.
    begun: bool,
    over: bool,
}

impl Reader {
    /// The next lines; none where there are none yet, or no more.
    async fn next(&mut self) -> Result<Vec<LogLine>, EngineError> {
        let (id, Reading { tail, follow, dated }) = (self.id.clone(), self.reading);
        let tail = tail.filter(|_| !self.begun);
        let log = self.log.take();
        let read = self.processes.blocking(move |engine| {
            let record = engine.record(&id, "reading the log of")?;
            let home = engine.home(&id);
            let read = move || {
                // Looked at first: what is written before the end is read after it.
                let goes_on = follow && home.run()?.is_some_and(|run| run.first().is_some());
                let fresh = || Log::new(&home, dated.then(|| Dates::new(record.made)));
                let mut log = log.unwrap_or_else(fresh);
                let (lines, at_end) = log.read(tail, !goes_on)?;
                Ok((log, lines, at_end, goes_on))
            };
            read().map_err(failed(format!("reading the log of container {id}")))
        });
        let (log, lines, at_end, goes_on) = match read.await {
            Ok(read) => read,
            // It was removed meanwhile.
            Err(EngineError::Missing { .. }) if self.begun => {
                self.over = true;
                return Ok(Vec::new());
            }
            Err(error) => return Err(error),
        };
        self.log = Some(log);
        self.over = at_end && !goes_on;
        if self.begun && at_end && goes_on && lines.is_empty() {
            tokio::time::sleep(PERIOD).await;
        }
        self.begun = true;
        Ok(lines)
    }
}

/// A log file and what was read of it so far.
struct Log {
    /// None where nothing was written yet.
    file: Option<File>,
    home: Home,
    lines: Lines,
    dates: Option<Dates>,
}

impl Log {
    fn new(home: &Home, dates: Option<Dates>) -> Self {
        Self {
            file: None,
            home: home.clone(),
            lines: Lines::default(),
            dates,
        }
    }

    /// The lines that follow, or the last `tail` of all, and whether there are no more; `last` where none will follow.
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
                kept.push_back(match &mut self.dates {
                    Some(dates) => LogLine {
                        text: dates.date(&line.text),
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
