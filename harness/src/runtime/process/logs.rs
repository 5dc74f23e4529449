//! What containers wrote.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::time::Duration;

use futures_util::{Stream, StreamExt};

use super::super::{LogLine, RuntimeError};
use super::dates::Dates;
use super::record::Home;
use super::{Processes, failed};
use crate::runtime::log_line::Lines;

/// Time between two looks for more.
const PERIOD: Duration = Duration::from_millis(20);
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;
/// Pieces that are read at once, after which the lines are handed on.
const PIECES: usize = 16;

impl Processes {
    /// The last `tail` lines of a container's output (all where none is given), and with `follow` every later
    /// one until it stops.
    pub fn logs(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        self.read_log(id, tail, follow, false)
    }

    /// The same, each line after the time of its writing (RFC 3339, UTC, nine digits) and a space. A line that does
    /// not begin with its time has that of the line before.
    pub fn dated_logs(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        self.read_log(id, tail, follow, true)
    }

    fn read_log(
        &self,
        id: &str,
        tail: Option<usize>,
        follow: bool,
        dated: bool,
    ) -> impl Stream<Item = Result<LogLine, RuntimeError>> + use<> {
        let reading = Reading {
            processes: self.clone(),
            id: id.to_owned(),
            tail,
            follow,
            dated,
            log: None,
            begun: false,
            over: false,
        };
        futures_util::stream::unfold(reading, async |mut reading| {
            if reading.over {
                return None;
            }
            let lines = reading.next().await;
            let lines: Vec<Result<LogLine, RuntimeError>> = match lines {
                Ok(lines) => lines.into_iter().map(Ok).collect(),
                Err(error) => {
                    reading.over = true;
                    vec![Err(error)]
                }
            };
            Some((futures_util::stream::iter(lines), reading))
        })
        .flatten()
    }

    /// The last `count` lines of a container's output; what kept them from being read where that failed.
    pub async fn last_lines(&self, id: &str, count: usize) -> Vec<String> {
        let lines = self.logs(id, Some(count), false).map(|line| match line {
            Ok(line) => line.text,
            Err(error) => error.to_string(),
        });
        lines.collect().await
    }
}

/// A log being read.
struct Reading {
    processes: Processes,
    id: String,
    tail: Option<usize>,
    follow: bool,
    dated: bool,
    log: Option<Log>,
    /// Whether something was read already.
    begun: bool,
    over: bool,
}

impl Reading {
    /// The next lines; none where there are none yet, or no more.
    async fn next(&mut self) -> Result<Vec<LogLine>, RuntimeError> {
        let (id, dated, follow) = (self.id.clone(), self.dated, self.follow);
        let tail = if self.begun { None } else { self.tail };
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
            Err(RuntimeError::Missing { .. }) if self.begun => {
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
