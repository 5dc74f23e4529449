//! The state of one connection, and the meaning of its next request. Pure: no sockets, no clock, no secret.
//!
//! There is one password and there are no users: any user name is accepted with it.

mod about;
#[cfg(test)]
mod tests;

pub(super) use about::{Figures, info};

use super::answer::{Answer, Version};
use crate::control::{Command, Parsed};

/// A connection's state.
#[derive(Debug)]
pub(super) struct Session {
    id: i64,
    has_password: bool,
    authenticated: bool,
    version: Version,
    name: Option<Vec<u8>>,
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Step {
    /// Send the answer.
    Answer(Answer),
    /// Send the answer and close the connection.
    Close(Answer),
    /// Execute the command; its outcome is the answer.
    Execute(Parsed),
    /// Answer [`info`] with these sections; none means all.
    Info(Vec<Vec<u8>>),
    /// Check the password, and pass the outcome to [`Session::logged_in`].
    Login(Login),
}

/// An attempt to authenticate.
#[derive(Debug)]
pub(super) struct Login {
    /// The password given.
    pub(super) password: Vec<u8>,
    /// The HELLO that it came with.
    hello: Option<Hello>,
}

/// What a client announces with HELLO.
#[derive(Debug)]
struct Hello {
    version: Version,
    name: Option<Vec<u8>>,
}

impl Session {
    /// The session of a new connection.
    pub(super) fn new(id: i64, has_password: bool) -> Self {
        Self {
            id,
            has_password,
            authenticated: !has_password,
            version: Version::default(),
            name: None,
        }
    }

    pub(super) fn authenticated(&self) -> bool {
        self.authenticated
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Interprets a request.
    pub(super) fn step(&mut self, words: &[Vec<u8>]) -> Step {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let Some((first, arguments)) = words.split_first() else {
            return Step::Answer(Answer::error("empty request"));
        };
        let word = String::from_utf8_lossy(first).to_ascii_lowercase();
        let answer = match (word.as_str(), arguments) {
            ("quit", _) => return Step::Close(Answer::OK),
            // A web page can make a browser send these; what follows them is ignored.
            ("post" | "host:", _) => return Step::Close(Answer::error("this is no HTTP server")),
            ("auth", [password] | [_, password]) => return self.auth(password, None),
            ("hello", arguments) => return self.hello(arguments),
            ("auth", _) => wrong_number(&word),
            _ if !self.authenticated => Answer::Error("NOAUTH", "Authentication required.".to_owned()),
            ("ping", []) => Answer::Simple("PONG"),
            ("ping" | "echo", [message]) => Answer::Bulk(message.to_vec()),
            ("ping" | "echo", _) => wrong_number(&word),
            ("command", arguments) => about::commands(arguments),
            ("info", sections) => {
                return Step::Info(sections.iter().map(|section| section.to_vec()).collect());
            }
            ("client", arguments) => self.client(arguments),
            ("select", [b"0"]) => Answer::OK,
            ("select", [_]) => Answer::error("DB index is out of range; only 0 exists"),
            ("select", _) => wrong_number(&word),
            ("reset", _) => {
                *self = Self::new(self.id, self.has_password);
                Answer::Simple("RESET")
            }
            ("man" | "help", arguments) => about::manual(arguments),
            ("version", []) => Answer::text(env!("CARGO_PKG_VERSION")),
            _ => return command(&words),
        };
        Step::Answer(answer)
    }

    /// Handles the outcome of a password check.
    pub(super) fn logged_in(&mut self, login: Login, right: bool) -> Answer {
        if !right {
            let text = "invalid username-password pair; the password is the one the sidecar was started with";
            return Answer::Error("WRONGPASS", text.to_owned());
        }
        self.authenticated = true;
        match login.hello {
            Some(hello) => self.greet(hello),
            None => Answer::OK,
        }
    }

    fn auth(&self, password: &[u8], hello: Option<Hello>) -> Step {
        if !self.has_password {
            return Step::Answer(Answer::error(
                "Client sent AUTH, but no password is set; none is needed here",
            ));
        }
        Step::Login(Login {
            password: password.to_vec(),
            hello,
        })
    }

    /// `HELLO [2|3 [AUTH USER PASSWORD] [SETNAME NAME]]`
    fn hello(&mut self, arguments: &[&[u8]]) -> Step {
        let (version, mut options) = match arguments {
            [] => (self.version, &[][..]),
            [b"2", options @ ..] => (Version::Two, options),
            [b"3", options @ ..] => (Version::Three, options),
            _ => {
                let text = "unsupported protocol version; expected 2 or 3".to_owned();
                return Step::Answer(Answer::Error("NOPROTO", text));
            }
        };
        let (mut password, mut name) = (None, None);
        while let [option, values @ ..] = options {
            options = match (option.to_ascii_lowercase().as_slice(), values) {
                (b"auth", [_, given, rest @ ..]) => {
                    password = Some(*given);
                    rest
                }
                (b"setname", [given, rest @ ..]) => {
                    name = Some(given.to_vec());
                    rest
                }
                _ => {
                    let option = String::from_utf8_lossy(option);
                    return Step::Answer(Answer::error(format!("syntax error in HELLO option '{option}'")));
                }
            };
        }
        let hello = Hello { version, name };
        match password {
            Some(password) => self.auth(password, Some(hello)),
            None if self.authenticated => Step::Answer(self.greet(hello)),
            None => {
                let text = "HELLO must be called with AUTH USER PASSWORD, or after it";
                Step::Answer(Answer::Error("NOAUTH", text.to_owned()))
            }
        }
    }

    fn greet(&mut self, hello: Hello) -> Answer {
        self.version = hello.version;
        if hello.name.is_some() {
            self.name = hello.name;
        }
        let about = [
            ("server", Answer::text(env!("CARGO_PKG_NAME"))),
            ("version", Answer::text(env!("CARGO_PKG_VERSION"))),
            ("proto", Answer::Integer(self.version.number())),
            ("id", Answer::Integer(self.id)),
            ("mode", Answer::text("standalone")),
            ("role", Answer::text("master")),
            ("modules", Answer::Array(Vec::new())),
        ];
        let pairs = about.map(|(key, value)| (Answer::text(key), value));
        Answer::Map(pairs.into())
    }

    /// `CLIENT ...`: what client libraries send about the connection.
    fn client(&mut self, arguments: &[&[u8]]) -> Answer {
        let Some((sub, arguments)) = arguments.split_first() else {
            return wrong_number("client");
        };
        match (sub.to_ascii_lowercase().as_slice(), arguments) {
            (b"setname", [name]) => {
                self.name = Some(name.to_vec()).filter(|name| !name.is_empty());
                Answer::OK
            }
            (b"setinfo", [_, _]) => Answer::OK,
            (b"getname", []) => self.name.clone().map_or(Answer::Null, Answer::Bulk),
            (b"id", []) => Answer::Integer(self.id),
            (b"info", []) => {
                let name = self.name.as_deref().unwrap_or_default();
                let (id, name, version) = (self.id, String::from_utf8_lossy(name), self.version.number());
                Answer::text(format!("id={id} name={name} db=0 user=default resp={version}\n"))
            }
            // They are about data, and there is none here.
            (b"no-evict" | b"no-touch", [_]) => Answer::OK,
            _ => no_such(
                "CLIENT",
                sub,
                "SETNAME NAME, SETINFO KEY VALUE, GETNAME, ID, INFO, NO-EVICT or NO-TOUCH",
            ),
        }
    }
}

/// Any other request is a command of the command language.
fn command(words: &[&[u8]]) -> Step {
    let words: Result<Vec<&str>, _> = words.iter().map(|word| std::str::from_utf8(word)).collect();
    let Ok(words) = words else {
        return Step::Answer(Answer::Refused("a command is written in UTF-8".to_owned()));
    };
    match Command::parse(&words) {
        Ok(parsed) => Step::Execute(parsed),
        Err(error) => Step::Answer(Answer::Refused(error.to_string())),
    }
}

fn wrong_number(command: &str) -> Answer {
    Answer::error(format!("wrong number of arguments for '{command}' command"))
}

fn no_such(command: &str, sub: &[u8], expected: &str) -> Answer {
    let sub = String::from_utf8_lossy(sub);
    Answer::error(format!(
        "unknown subcommand '{sub}' of {command}; expected {expected}"
    ))
}
