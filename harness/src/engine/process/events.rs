//! Events of containers: the operations of this process, and the exits of containers that it started. Those of other
//! processes are not reported.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use futures_util::Stream;
use tokio::sync::broadcast::{self, error::RecvError};

use super::super::{Action, EngineError, Event, label};
use super::Processes;
use super::record::Record;

/// Events buffered for a slow reader; if it lags by more, it gets an error with the number of missed events.
const CAPACITY: usize = 1024;

/// The events of this process.
#[derive(Debug)]
pub(super) struct Events {
    /// Events, each with the run label of its container.
    sender: broadcast::Sender<(String, Event)>,
    /// Started runs whose end has not been reported, by mark. Two tasks can notice the end of a run, the one that waits
    /// for it and the one that kills it: the first to remove the entry reports it.
    running: Mutex<HashMap<String, (String, Record)>>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            sender: broadcast::Sender::new(CAPACITY),
            running: Mutex::default(),
        }
    }
}

impl Events {
    /// Reports an event that occurred now.
    pub(super) fn emit(&self, id: &str, record: &Record, action: Action) {
        if let Some(run) = record.labels.get(label::RUN) {
            let event = Event {
                at: SystemTime::now(),
                id: id.to_owned(),
                name: record.name.clone(),
                action,
            };
            self.send(run, event);
        }
    }

    /// Reports that a container was started, as the run with this mark.
    pub(super) fn start(&self, id: &str, record: &Record, mark: &str) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(mark.to_owned(), (id.to_owned(), record.clone()));
        self.emit(id, record, Action::Start);
    }

    /// Reports the end of a run, once.
    pub(super) fn end(&self, mark: &str, exit_code: i64) {
        // Locked until the event is sent, so that no later event of the container overtakes it.
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((id, record)) = running.remove(mark) {
            let exit_code = Some(exit_code);
            self.emit(&id, &record, Action::Die { exit_code });
        }
    }

    fn send(&self, run: &str, event: Event) {
        // An error means that there is no reader.
        let _ = self.sender.send((run.to_owned(), event));
    }

    fn listen(&self, run: &str) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        let listening = (self.sender.subscribe(), run.to_owned());
        futures_util::stream::unfold(listening, async |(mut events, run)| {
            let event = loop {
                match events.recv().await {
                    Ok((of, event)) if of == run => break Ok(event),
                    Ok(_) => {}
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(count)) => {
                        break Err(EngineError::Other {
                            what: "reading events".to_owned(),
                            reason: format!("{count} events were missed"),
                        });
                    }
                }
            };
            Some((event, (events, run)))
        })
    }
}

impl Processes {
    pub(crate) fn events(&self, run: &str) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        self.core.events.listen(run)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_slow_reader_gets_the_number_of_missed_events_and_reads_on() {
        let events = Events::default();
        let mut listening = std::pin::pin!(events.listen("r"));
        let event = |number: usize| Event {
            at: SystemTime::UNIX_EPOCH,
            id: number.to_string(),
            name: String::new(),
            action: Action::Start,
        };
        for number in 0..CAPACITY + 5 {
            events.send("r", event(number));
            events.send("another", event(number));
        }
        let missed = listening.next().await.unwrap().unwrap_err();
        assert!(missed.to_string().contains("1034 events were missed"), "{missed}");
        assert_eq!(listening.next().await.unwrap().unwrap(), event(CAPACITY / 2 + 5));
        drop(events);
        let rest = listening.collect::<Vec<_>>().await;
        assert_eq!(rest.len(), CAPACITY / 2 - 1);
    }
}
