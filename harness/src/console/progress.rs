//! Progress of a command's stages on standard error: a spinner on a terminal, otherwise plain lines. Standard output
//! has only the command's results.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use owo_colors::{OwoColorize, Style};

use super::plain_notes::PlainNotes;
use super::stderr::{Terminal, line, paragraph, width};
use super::wrap::wrapped;
use super::{colored, seconds};

/// Progress of one command. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Progress {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    output: Sink,
    color: bool,
    stage: String,
    /// Whether a stage is in progress.
    running: bool,
    since: Instant,
    notes: PlainNotes,
}

#[derive(Debug)]
enum Sink {
    Live(ProgressBar),
    Plain,
    Silent,
}

impl Progress {
    /// Progress on standard error.
    pub fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        Self::with(if live {
            Sink::Live(ProgressBar::hidden())
        } else {
            Sink::Plain
        })
    }

    /// Progress without output.
    pub fn silent() -> Self {
        Self::with(Sink::Silent)
    }

    fn with(output: Sink) -> Self {
        let now = Instant::now();
        let inner = Inner {
            color: colored(matches!(output, Sink::Live(_))),
            output,
            stage: String::new(),
            running: false,
            since: now,
            notes: PlainNotes::new(now),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Starts a stage.
    pub fn stage(&self, name: &str) {
        self.change(|inner| {
            inner.stage = name.to_owned();
            inner.running = true;
            inner.since = Instant::now();
            inner.notes = PlainNotes::new(inner.since);
            if let Sink::Live(bar) = &mut inner.output {
                bar.finish_and_clear();
                let terminal = Box::new(Terminal::default());
                *bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(terminal));
                if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {prefix:12} {wide_msg:.dim}")
                {
                    bar.set_style(style);
                }
                bar.set_prefix(name.to_owned());
                bar.enable_steady_tick(Duration::from_millis(80));
            }
        });
    }

    /// Shows the current step of the stage.
    pub fn note(&self, text: &str) {
        self.missing(&[text.to_owned()]);
    }

    /// Shows what the stage still waits for, the most important first: on a terminal the first and the number of the
    /// others, otherwise a line for each of the first.
    pub fn missing(&self, causes: &[String]) {
        let Some(first) = causes.first() else {
            return;
        };
        self.change(|inner| match &inner.output {
            Sink::Live(bar) => bar.set_message(match causes.len() {
                1 => first.clone(),
                count => format!("{first} (and {} more)", count - 1),
            }),
            Sink::Plain => inner
                .notes
                .due(Instant::now(), &inner.stage, causes)
                .iter()
                .for_each(|due| line(due)),
            Sink::Silent => {}
        });
    }

    /// Ends the stage successfully.
    pub fn done(&self, text: &str) {
        self.change(|inner| {
            let took = seconds(inner.since.elapsed());
            inner.running = false;
            match &inner.output {
                Sink::Live(bar) => {
                    bar.finish_and_clear();
                    let took = format!("({took})");
                    // Not broken, so that it can be dimmed.
                    let whole = took.replace(' ', "\u{a0}");
                    let text = format!("  {:12} {text} {whole}", inner.stage);
                    let text = wrapped(&text, usize::from(width()), 13);
                    line(&format!(
                        "{} {}{}",
                        inner.painted("✔", Style::new().green()),
                        text.trim_start().trim_end_matches(&whole),
                        inner.painted(&took, Style::new().dimmed())
                    ));
                }
                Sink::Plain => line(&format!("{}: {text} ({took})", inner.stage)),
                Sink::Silent => {}
            }
        });
    }

    /// Marks the stage as failed, unless it has ended. The caller reports the reason.
    pub fn failed(&self) {
        self.change(|inner| {
            if !inner.ends() {
                return;
            }
            let took = seconds(inner.since.elapsed());
            match &inner.output {
                Sink::Live(bar) => {
                    bar.finish_and_clear();
                    line(&format!(
                        "{} {:12} {}",
                        inner.painted("✘", Style::new().red()),
                        inner.stage,
                        inner.painted(&format!("({took})"), Style::new().dimmed())
                    ));
                }
                Sink::Plain => line(&format!("{}: failed ({took})", inner.stage)),
                Sink::Silent => {}
            }
        });
    }

    /// Prints a message.
    pub fn say(&self, text: &str) {
        self.change(|inner| match &inner.output {
            Sink::Live(bar) => bar.suspend(|| paragraph(text)),
            Sink::Plain => line(text),
            Sink::Silent => {}
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Inner {
    /// Ends the stage; returns false if none was running.
    fn ends(&mut self) -> bool {
        std::mem::take(&mut self.running)
    }

    fn painted(&self, text: &str, style: Style) -> String {
        if self.color {
            text.style(style).to_string()
        } else {
            text.to_owned()
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_ends_once() {
        let ends = |progress: &Progress| progress.inner.lock().unwrap().ends();
        let progress = Progress::silent();
        assert!(!ends(&progress), "no stage has started");
        progress.stage("one");
        assert!(ends(&progress) && !ends(&progress));
        progress.stage("two");
        progress.done("well");
        assert!(!ends(&progress), "it has ended successfully");
        progress.stage("three");
        progress.failed();
        assert!(!ends(&progress), "it has failed");
    }
}
