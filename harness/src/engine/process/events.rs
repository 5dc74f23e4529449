//! What happened to containers, as this process did or saw it: there is no engine beside it that would tell.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::Stream;
use tokio::sync::broadcast::{self, error::RecvError};

use super::super::{Action, EngineError, Event, label};
use super::record::{Record, Run};
use super::{Engine, Processes};

/// Events that are kept for a reader that is late.
const MOST: usize = 1024;

/// Who is told, and what was.
#[derive(Debug)]
pub(super) struct Events {
    /// Events, each with its container's run.
    told: broadcast::Sender<(String, Event)>,
    /// The mark of the last run whose end was told, by the container's id.
    ended: Mutex<HashMap<String, String>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            told: broadcast::Sender::new(MOST),
            ended: Mutex::default(),
        }
    }
}

impl Events {
    fn tell(&self, run: &str, event: Event) {
        // Where nobody listens there is nobody to tell.
        let _ = self.told.send((run.to_owned(), event));
    }

    fn listen(&self, run: &str) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        let listening = (self.told.subscribe(), run.to_owned());
        futures_util::stream::unfold(listening, async |(mut told, run)| {
            let event = loop {
                match told.recv().await {
                    Ok((of, event)) if of == run => break Ok(event),
                    Ok(_) => {}
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(count)) => {
                        break Err(EngineError::Engine {
                            what: "reading what happened to containers".to_owned(),
                            reason: format!("{count} events were missed"),
                        });
                    }
                }
            };
            Some((event, (told, run)))
        })
    }
}

impl Processes {
    /// What this process does from now on to the containers of one run, by the label of its id, and the ends of those
    /// that it started. A reader that is too late is told so, and goes on with later ones.
    pub fn events(&self, run: &str) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        self.engine.events.listen(run)
    }
}

impl Engine {
    /// Tells what happened to a container just now.
    pub(super) fn tell(&self, id: &str, record: &Record, action: Action) {
        if let Some(run) = record.labels.get(label::RUN) {
            let event = Event {
                at: SystemTime::now(),
                id: id.to_owned(),
                name: record.name.clone(),
                action,
            };
            self.events.tell(run, event);
        }
    }

    /// Tells that a run of a container has ended, unless that was told already: who ends it and who started it both
    /// notice, and it is to be told before the next start.
    pub(super) fn tell_end(&self, id: &str, run: &Run, exit_code: i64) {
        // Held to the end, so that nothing is told of a container after its removal.
        let mut ended = self.events.ended.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(record) = self.record(id, "looking at") else {
            return;
        };
        // Who started an earlier run may notice its end as late as this.
        let current = self.home(id).run().ok().flatten();
        if current.is_none_or(|current| current.mark != run.mark) {
            return;
        }
        let before = ended.insert(id.to_owned(), run.mark.clone());
        if before.as_ref() != Some(&run.mark) {
            let exit_code = Some(exit_code);
            self.tell(id, &record, Action::Die { exit_code });
        }
    }

    /// Tells that a container is gone, which is true already.
    pub(super) fn tell_removal(&self, id: &str, record: &Record) {
        let mut ended = self.events.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.remove(id);
        self.tell(id, record, Action::Destroy);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_late_reader_is_told_and_reads_on() {
        let events = Events::default();
        let mut listening = std::pin::pin!(events.listen("r"));
        let event = |number: usize| Event {
            at: SystemTime::UNIX_EPOCH,
            id: number.to_string(),
            name: String::new(),
            action: Action::Start,
        };
        for number in 0..MOST + 5 {
            events.tell("r", event(number));
            events.tell("another", event(number));
        }
        let missed = listening.next().await.unwrap().unwrap_err();
        assert!(missed.to_string().contains("1034 events were missed"), "{missed}");
        assert_eq!(listening.next().await.unwrap().unwrap(), event(MOST / 2 + 5));
        drop(events);
        let rest = listening.collect::<Vec<_>>().await;
        assert_eq!(rest.len(), MOST / 2 - 1);
    }
}
