//! The engine's events about containers and their networks.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::{Stream, StreamExt};

use super::super::{Action, EngineError, Event, label};
use super::{Docker, failed, filters};

/// The kinds of events that are subscribed to. Those of health checks are left out: they would outnumber all others.
const KINDS: [&str; 11] = [
    "create",
    "start",
    "die",
    "oom",
    "kill",
    "stop",
    "pause",
    "unpause",
    "destroy",
    "connect",
    "disconnect",
];

impl Docker {
    /// The stream does not end.
    pub(crate) fn events(&self, run: &str) -> impl Stream<Item = Result<Event, EngineError>> + use<> {
        let mut wanted = filters(&[("type", "container"), ("type", "network")]);
        wanted.insert("event".to_owned(), KINDS.map(str::to_owned).into());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let options = EventsOptions {
            // The request is sent only when the stream is first polled.
            since: Some(format!("{}.{:09}", now.as_secs(), now.subsec_nanos())),
            filters: Some(wanted),
            ..Default::default()
        };
        let mut known = Known {
            run: run.to_owned(),
            containers: BTreeMap::new(),
        };
        self.api.events(Some(options)).filter_map(move |message| {
            let event = match message {
                Ok(message) => known.event(message).map(Ok),
                Err(error) => Some(Err(failed("reading the engine's events")(error))),
            };
            std::future::ready(event)
        })
    }
}

/// The run's containers, known from earlier events. A network event has its container's id, but no name and no labels.
#[derive(Debug)]
struct Known {
    run: String,
    /// Container names by id.
    containers: BTreeMap<String, String>,
}

impl Known {
    fn event(&mut self, message: EventMessage) -> Option<Event> {
        let word = message.action?;
        let actor = message.actor?;
        let attributes = actor.attributes.unwrap_or_default();
        let attribute = |name: &str| attributes.get(name).map(String::as_str);
        let (id, name, action) = if message.typ == Some(EventMessageTypeEnum::NETWORK) {
            let id = attribute("container")?;
            let name = self.containers.get(id)?.clone();
            let network = attribute("name").unwrap_or_default();
            let action = Action::Other(format!("{word} (network {network})"));
            (id.to_owned(), name, action)
        } else {
            if attribute(label::RUN) != Some(&self.run) {
                return None;
            }
            let (id, name) = (actor.id?, attribute("name").unwrap_or_default().to_owned());
            let action = action(&word, attribute);
            match action {
                Action::Destroy => self.containers.remove(&id),
                _ => self.containers.insert(id.clone(), name.clone()),
            };
            (id, name, action)
        };
        let nanoseconds = u64::try_from(message.time_nano?).ok()?;
        Some(Event {
            at: SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds),
            id,
            name,
            action,
        })
    }
}

fn action<'a>(word: &str, attribute: impl Fn(&str) -> Option<&'a str>) -> Action {
    match word {
        "create" => Action::Create,
        "start" => Action::Start,
        "die" => Action::Die {
            exit_code: attribute("exitCode").and_then(|code| code.parse().ok()),
        },
        "pause" => Action::Pause,
        "unpause" => Action::Unpause,
        "destroy" => Action::Destroy,
        _ => Action::Other(match attribute("signal").filter(|_| word == "kill") {
            Some(signal) => format!("{word} (signal {signal})"),
            None => word.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::EventActor;

    fn message(
        typ: EventMessageTypeEnum,
        action: &str,
        id: &str,
        attributes: &[(&str, &str)],
    ) -> EventMessage {
        EventMessage {
            typ: Some(typ),
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: Some(id.to_owned()),
                attributes: Some(
                    attributes
                        .iter()
                        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                        .collect(),
                ),
            }),
            time_nano: Some(1_500_000_000),
            ..Default::default()
        }
    }

    #[test]
    fn only_events_of_the_run_are_reported() {
        use EventMessageTypeEnum::{CONTAINER, NETWORK};
        let mut known = Known {
            run: "r1".to_owned(),
            containers: BTreeMap::new(),
        };
        let ours = [(label::RUN, "r1"), ("name", "lb")];
        let theirs = [(label::RUN, "r2"), ("name", "other")];
        let die = [
            (label::RUN, "r1"),
            ("name", "lb"),
            ("exitCode", "137"),
            ("signal", "9"),
        ];
        let on_network = |container| [("container", container), ("name", "net")];
        let messages = [
            message(CONTAINER, "create", "1", &ours),
            message(CONTAINER, "create", "2", &theirs),
            message(NETWORK, "connect", "n", &on_network("2")),
            message(NETWORK, "connect", "n", &on_network("1")),
            message(CONTAINER, "kill", "1", &die),
            message(CONTAINER, "die", "1", &die),
            message(CONTAINER, "destroy", "1", &ours),
            message(NETWORK, "disconnect", "n", &on_network("1")),
        ];
        let events: Vec<Event> = messages
            .into_iter()
            .filter_map(|message| known.event(message))
            .collect();
        let texts: Vec<String> = events.iter().map(|event| event.action.to_string()).collect();
        assert_eq!(
            texts,
            [
                "create",
                "connect (network net)",
                "kill (signal 9)",
                "die (exit code 137)",
                "destroy"
            ]
        );
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        assert!(
            events
                .iter()
                .all(|event| event.at == at && event.id == "1" && event.name == "lb")
        );
        assert!(known.containers.is_empty(), "removed containers are forgotten");
    }
}
