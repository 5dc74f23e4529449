//! Connects signals, the program and the terminal, and reports what the sidecar itself must react to.

use std::fs::File;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal};
use rustix::stdio::stdin;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::launcher::Launcher;
use super::program::{Children, Program, State, become_subreaper};
use super::rules::{Reaction, Rules, StopReason};
use super::signals::{self, Received, Signals, act_by_default};
use super::terminal::{Terminal, suspend_group};

/// What the sidecar must react to.
#[derive(Debug)]
pub enum Event {
    /// Stop gracefully, with [`Supervisor::finish`].
    Stop(StopReason),
    /// Stop at once.
    Force(StopReason),
    /// The program has ended.
    Ended(ExitStatus),
    /// SIGUSR2, without a program to forward it to: start a successor.
    Restart,
    /// SIGHUP, without a program to forward it to and without a terminal: read files again.
    Reread,
}

/// How far the program is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It does not know of the stop yet.
    Serving,
    Signalled,
    Killed,
}

/// Runs beside the program, if there is one, and takes all signals.
#[derive(Debug)]
pub struct Supervisor {
    signals: Signals,
    rules: Rules,
    terminal: Option<Terminal>,
    /// The program, until it has ended.
    program: Option<Program>,
    children: Children,
    /// The task that reaps children.
    reaping: Option<AbortHandle>,
}

impl Supervisor {
    /// Takes all signals from now on. [`signals::block`] must have been called.
    ///
    /// # Errors
    /// When signals cannot be received, or standard input cannot be read to its end.
    pub fn new(end_with_stdin: bool) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::listen(end_with_stdin)?,
            rules: Rules::new(signals::ignored()),
            terminal: Terminal::of_process(),
            program: None,
            children: Children::default(),
            reaping: None,
        })
    }

    /// Starts the program, if there is one. With `own_input` the sidecar reads standard input, and the program's is
    /// empty.
    ///
    /// # Errors
    /// When the program cannot be started, or children cannot be reaped.
    pub async fn start(&mut self, launcher: Option<Launcher>, own_input: bool) -> anyhow::Result<()> {
        let Some(launcher) = launcher else {
            self.reaping = Some(self.children.reap().context("cannot reap children")?);
            return Ok(());
        };
        let pid = launcher.pid();
        let program = self.children.watch(pid);
        become_subreaper().context("cannot reap orphans")?;
        self.reaping = Some(self.children.reap().context("cannot reap children")?);
        if own_input {
            launcher.release(File::open("/dev/null")?).await?;
        } else {
            if Terminal::is_for_program() {
                self.give_terminal(pid);
            }
            let started = launcher.release(stdin()).await;
            started.inspect_err(|_| self.take_terminal(pid))?;
        }
        self.program = Some(program);
        Ok(())
    }

    /// Waits for a child that has just been started, with nothing awaited since.
    #[must_use]
    pub fn watch(&self, pid: Pid) -> Program {
        self.children.watch(pid)
    }

    /// Treats a successor as the program from now on.
    pub fn adopt(&mut self, successor: Program) {
        if let Err(error) = become_subreaper() {
            tracing::warn!(%error, "cannot become the parent of later successors");
        }
        self.program = Some(successor);
    }

    /// Treats a descendant, which becomes a child when its parent ends, as the program from now on.
    pub fn follow(&mut self, pid: Pid) {
        self.program = Some(self.children.watch(pid));
    }

    /// Reaps no child any more: they become another process's when this one ends.
    pub fn leave_children(&mut self) {
        if let Some(reaping) = self.reaping.take() {
            reaping.abort();
        }
    }

    /// Waits for the next event; forwards signals and follows job control meanwhile. Cancellation-safe.
    pub async fn next(&mut self) -> Event {
        loop {
            let event = tokio::select! {
                state = changed(&mut self.program) => self.on_state(state),
                received = self.signals.next() => self.on_received(received),
            };
            if let Some(event) = event {
                return event;
            }
        }
    }

    /// Waits until the sidecar must stop at once. Cancellation-safe.
    pub async fn forced(&mut self) -> StopReason {
        loop {
            if let Event::Force(reason) = self.next().await {
                return reason;
            }
        }
    }

    /// Whether the program runs.
    #[must_use]
    pub fn has_program(&self) -> bool {
        self.program.is_some()
    }

    /// Asks the program to stop after a delay, and waits for its end. Kills it after the grace period, or if forced.
    /// Returns `None` at once if there is no program.
    pub async fn finish(
        &mut self,
        reason: StopReason,
        delay: Duration,
        grace: Duration,
    ) -> Option<ExitStatus> {
        self.program.as_ref()?;
        let next = tokio::time::sleep(delay);
        tokio::pin!(next);
        let mut stage = Stage::Serving;
        loop {
            tokio::select! {
                event = self.next() => match event {
                    Event::Ended(status) => return Some(status),
                    Event::Force(reason) => {
                        tracing::warn!(by = %reason, "stopping at once: the program is killed");
                        stage = Stage::Killed;
                        self.kill();
                    }
                    Event::Stop(_) | Event::Restart | Event::Reread => {}
                },
                () = &mut next, if stage != Stage::Killed => match stage {
                    Stage::Serving => {
                        stage = Stage::Signalled;
                        next.as_mut().reset(Instant::now() + grace);
                        self.signal(reason.signal());
                    }
                    Stage::Signalled | Stage::Killed => {
                        tracing::warn!(?grace, "the program did not finish in time and is killed");
                        stage = Stage::Killed;
                        self.kill();
                    }
                }
            }
        }
    }

    /// Asks the program to stop.
    pub fn signal(&self, signal: Signal) {
        if let Some(program) = &self.program {
            program.signal(signal);
            // A stopped process gets no other signal.
            program.resume();
        }
    }

    /// Kills the program and its process group.
    fn kill(&self) {
        if let Some(program) = &self.program {
            program.signal_group(Signal::KILL);
        }
    }

    fn on_received(&mut self, received: Received) -> Option<Event> {
        match (received, &self.program) {
            // The sidecar's group was in the foreground, for instance because a shell has put it there. The key was
            // meant for the program.
            (Received::Keyboard(signal), Some(program)) => {
                self.give_terminal(program.pid);
                program.signal_group(signal);
                None
            }
            // The kernel judges the program's group on its own.
            (Received::HangUp, _) if !self.terminal_is_gone() => None,
            _ => {
                let reaction = self.rules.decide(received);
                self.react(reaction)
            }
        }
    }

    fn react(&mut self, reaction: Reaction) -> Option<Event> {
        match (reaction, &self.program) {
            (Reaction::Force(reason), _) => return Some(Event::Force(reason)),
            (Reaction::Stop(reason), _) => return Some(Event::Stop(reason)),
            (Reaction::Forward(signal) | Reaction::Suspend(signal), Some(program)) => program.signal(signal),
            (Reaction::HangUp, Some(program)) => program.signal(Signal::HUP),
            (Reaction::Continue, Some(program)) => {
                self.give_terminal(program.pid);
                program.signal(Signal::CONT);
                program.resume();
            }
            (Reaction::Suspend(signal), None) => act_by_default(signal),
            (Reaction::HangUp, None) if self.terminal_is_gone() => {
                let reaction = self.rules.stop(StopReason::Signal(Signal::HUP));
                return self.react(reaction);
            }
            (Reaction::Forward(Signal::USR2), None) => return Some(Event::Restart),
            (Reaction::Forward(signal), None) => ignored(signal),
            (Reaction::HangUp, None) if self.terminal.is_none() => return Some(Event::Reread),
            (Reaction::HangUp, None) => ignored(Signal::HUP),
            (Reaction::Continue, None) | (Reaction::Ignore, _) => {}
        }
        None
    }

    fn on_state(&mut self, state: State) -> Option<Event> {
        let program = self.program.as_ref()?;
        match state {
            State::Running => None,
            // The stop signal may have come before the news that the program is stopped.
            State::Stopped(Signal::STOP) if self.rules.stopping() => {
                program.resume();
                None
            }
            State::Stopped(signal) => {
                self.on_stopped(program, signal);
                None
            }
            State::Ended(status) => {
                self.take_terminal(program.pid);
                // What it left in its group.
                program.signal_group(Signal::TERM);
                self.program = None;
                Some(Event::Ended(status))
            }
        }
    }

    /// Follows a program that was stopped from the terminal: gives it the terminal if it asks for it and the sidecar has
    /// it; otherwise stops with it, so that a shell sees the whole job stopped.
    fn on_stopped(&self, program: &Program, signal: Signal) {
        let Some(terminal) = &self.terminal else { return };
        match signal {
            Signal::TTIN | Signal::TTOU if terminal.is_ours() => {}
            Signal::TSTP | Signal::TTIN | Signal::TTOU => {
                terminal.take_from(program.pid);
                suspend_group(signal);
            }
            // A stop by SIGSTOP concerns the program alone.
            _ => return,
        }
        // Continued in the foreground, or not stopped at all for lack of a shell. A job that is continued in the
        // background gets SIGCONT.
        if terminal.is_ours() {
            terminal.give_to(program.pid);
            program.resume();
        }
    }

    fn give_terminal(&self, group: Pid) {
        if let Some(terminal) = &self.terminal {
            terminal.give_to(group);
        }
    }

    fn take_terminal(&self, group: Pid) {
        if let Some(terminal) = &self.terminal {
            terminal.take_from(group);
        }
    }

    fn terminal_is_gone(&self) -> bool {
        self.terminal.is_some() && Terminal::of_process().is_none()
    }
}

fn ignored(signal: Signal) {
    tracing::info!(
        signal = signal.as_raw(),
        "ignored a signal: there is no program to forward it to"
    );
}

async fn changed(program: &mut Option<Program>) -> State {
    match program {
        Some(program) => program.changed().await,
        None => std::future::pending().await,
    }
}
