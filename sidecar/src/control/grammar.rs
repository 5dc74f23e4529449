//! The words of the command language and the shape of a sentence, before anything is known of its meaning.
//!
//! ```text
//! ACTION RESOURCE [NAME] [in RESOURCE NAME]... [to|from RESOURCE NAME] [KEY VALUE]... [FLAG]...
//! ```

use std::fmt;

use super::error::CommandError;
use super::suggestion::did_you_mean;

/// The most words that one command may have.
const MAX_WORDS: usize = 64;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $long:literal $(/ $short:literal)?),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every word of the kind.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in full.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $long),+ }
            }

            /// The word that is written so, in full or short.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($long $(| $short)? => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn words() -> impl Iterator<Item = &'static str> {
                Self::ALL.iter().map(|w| w.word())
            }

            fn list() -> String {
                Self::words().collect::<Vec<_>>().join(", ")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words! {
    /// What is to be done.
    Action {
        /// Make a resource, or attach one to another.
        Add = "add" / "a",
        /// Read the names of resources, or how many there are.
        List = "list" / "l",
        /// Read a line about each.
        ListDetail = "list-detail" / "L",
        /// Change a resource.
        Update = "update" / "u",
        /// Remove a resource, or detach one from another.
        Remove = "remove" / "r",
        /// Remove a resource along with whatever uses it.
        ForceRemove = "force-remove" / "R",
    }
}

words! {
    /// What it is to be done to.
    Resource {
        /// A listener that balances TCP connections.
        TcpLb = "tcp-lb" / "tl",
        /// A listener that speaks SOCKS5.
        Socks5Server = "socks5-server" / "socks5",
        /// An ordered, weighted set of server groups.
        ServerGroups = "server-groups" / "sgs",
        /// Servers with one balancing method and one health check.
        ServerGroup = "server-group" / "sg",
        /// One server of a group.
        Server = "server" / "svr",
        /// Says which clients a listener serves.
        SecurityGroup = "security-group" / "secg",
        /// One rule of a security group.
        SecurityGroupRule = "security-group-rule" / "secgr",
        /// Keeps a server group filled with the mesh's instances of a service.
        SmartGroupDelegate = "smart-group-delegate",
        /// Offers a local instance to the mesh.
        SmartNodeDelegate = "smart-node-delegate",
        /// An address that a listener is bound to; read-only.
        BindServer = "bind-server" / "bs",
        /// Either half of a session; read-only.
        Connection = "connection" / "conn",
        /// A client's connection and the one to its instance.
        Session = "session" / "sess",
        /// Bytes from clients to instances; read-only.
        BytesIn = "bytes-in" / "bin",
        /// Bytes from instances to clients; read-only.
        BytesOut = "bytes-out" / "bout",
        /// Connections accepted by a listener, or made to a server; read-only.
        AcceptedConnCount = "accepted-conn-count",
    }
}

words! {
    /// What a value is for.
    Key {
        /// `IP:PORT`.
        Address = "address" / "addr",
        /// The server groups that a listener takes connections to.
        ServerGroups = "server-groups" / "sgs",
        /// The server group that a delegate fills.
        ServerGroup = "server-group" / "sg",
        /// A share of connections.
        Weight = "weight" / "w",
        /// How long a health check may take, in milliseconds.
        Timeout = "timeout",
        /// From one health check to the next, in milliseconds.
        Period = "period",
        /// Good checks in a row that bring a server up.
        Up = "up",
        /// Failed checks in a row that bring a server down.
        Down = "down",
        /// How a server is chosen.
        Method = "method",
        /// The security group that says which clients a listener serves.
        SecurityGroup = "security-group" / "secg",
        /// The clients that a rule is about, as `ADDRESS/BITS`.
        Network = "network" / "net",
        /// `TCP` or `UDP`.
        Protocol = "protocol",
        /// The ports that a rule is about, as `FIRST,LAST`.
        PortRange = "port-range",
        /// `allow` or `deny`.
        Default = "default",
        /// A service's name in the mesh.
        Service = "service",
        /// A service's zone in the mesh.
        Zone = "zone",
        /// A network interface.
        Nic = "nic",
        /// `v4` or `v6`.
        IpType = "ip-type",
        /// A TCP port.
        Port = "port",
    }
}

words! {
    /// What a single word switches.
    Flag {
        /// A SOCKS5 server goes anywhere.
        AllowNonBackend = "allow-non-backend",
        /// A SOCKS5 server goes to its backends alone.
        DenyNonBackend = "deny-non-backend",
    }
}

/// The words that the original has and this sidecar has not: its threads.
const THREAD_WORDS: &[&str] = &[
    "event-loop-group",
    "elg",
    "event-loop",
    "el",
    "acceptor-elg",
    "aelg",
    "event-loop-group-list",
];

/// A sentence, split into its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sentence {
    pub(super) action: Action,
    pub(super) resource: Resource,
    /// Empty where the action is to list: that takes no name.
    pub(super) name: String,
    /// What stands behind `in`, `to` or `from`, the nearest first.
    pub(super) places: Vec<Place>,
    pub(super) keys: Vec<(Key, String)>,
    pub(super) flags: Vec<Flag>,
}

/// A place that a resource is in, or goes to or from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) resource: Resource,
    pub(super) name: String,
}

impl Sentence {
    /// Splits a sentence into its parts.
    ///
    /// # Errors
    /// Names the first word that does not fit.
    pub(super) fn parse(words: &[&str]) -> Result<Self, CommandError> {
        if words.len() > MAX_WORDS {
            return Err(CommandError::invalid(
                "",
                format!(
                    "a command has at most {MAX_WORDS} words, this one has {}",
                    words.len()
                ),
            ));
        }
        let mut words = words.iter().copied();
        let action = parse_action(words.next().unwrap_or_default())?;
        let resource = parse_resource(words.next(), action.word())?;
        let name = match action {
            Action::List | Action::ListDetail => String::new(),
            _ => name_after(resource.word(), words.next())?,
        };
        let (places, keys, flags) = Default::default();
        let mut sentence = Self {
            action,
            resource,
            name,
            places,
            keys,
            flags,
        };
        while let Some(word) = words.next() {
            if sentence.prepositions().contains(&word) {
                let resource = parse_resource(words.next(), word)?;
                let name = name_after(resource.word(), words.next())?;
                sentence.places.push(Place { resource, name });
            } else if let Some(flag) = Flag::from_word(word) {
                sentence.flags.push(flag);
            } else if let Some(key) = Key::from_word(word) {
                let value = words
                    .next()
                    .ok_or_else(|| CommandError::invalid(word, format!("{key} needs a value behind it")))?;
                if sentence.keys.iter().any(|(k, _)| *k == key) {
                    return Err(CommandError::invalid(word, format!("{key} may be given once")));
                }
                sentence.keys.push((key, value.to_owned()));
            } else {
                return Err(sentence.unknown(word));
            }
        }
        Ok(sentence)
    }

    /// The words that lead to a place; where there are two, they say the same.
    fn prepositions(&self) -> &'static [&'static str] {
        match self.action {
            Action::Add => &["to"],
            Action::Remove | Action::ForceRemove => &["from", "in"],
            Action::List | Action::ListDetail | Action::Update => &["in"],
        }
    }

    fn unknown(&self, word: &str) -> CommandError {
        if THREAD_WORDS.contains(&word) {
            return threads_refused(word);
        }
        let meant = did_you_mean(word, Key::words().chain(Flag::words()));
        CommandError::invalid(
            word,
            format!(
                "{word} is not a valid word here; {meant}expected `{}`, a key ({}) or a flag ({})",
                self.prepositions().join("` or `"),
                Key::list(),
                Flag::list()
            ),
        )
    }
}

fn parse_action(word: &str) -> Result<Action, CommandError> {
    Action::from_word(word).ok_or_else(|| {
        let meant = did_you_mean(word, Action::words());
        not_valid(word, "action", &meant, &Action::list())
    })
}

fn parse_resource(word: Option<&str>, before: &str) -> Result<Resource, CommandError> {
    match word {
        Some(word) if THREAD_WORDS.contains(&word) => Err(threads_refused(word)),
        Some(word) => Resource::from_word(word).ok_or_else(|| {
            let meant = did_you_mean(word, Resource::words());
            not_valid(word, "resource", &meant, &Resource::list())
        }),
        None => Err(CommandError::invalid(
            before,
            format!("a resource is expected after {before}"),
        )),
    }
}

fn not_valid(word: &str, what: &str, meant: &str, all: &str) -> CommandError {
    CommandError::invalid(
        word,
        format!("{word} is not a valid {what}; {meant}expected one of {all}"),
    )
}

fn name_after(resource: &str, name: Option<&str>) -> Result<String, CommandError> {
    name.map(str::to_owned)
        .ok_or_else(|| CommandError::invalid(resource, format!("a name is expected after {resource}")))
}

fn threads_refused(word: &str) -> CommandError {
    CommandError::invalid(
        word,
        format!("{word} does not exist here: the number of threads is set by --workers at start"),
    )
}
