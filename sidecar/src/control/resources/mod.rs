//! The resources of the command language: one file holds everything about one of them.
//!
//! The file of a resource that commands configure has
//! - `SPEC`: its words, keys, flags, defaults and help text ([`Spec`]),
//! - `Add` and `Update`: the arguments of commands, read from words by `parse` and from JSON by serde; [`Configured`] and
//!   [`Change`] write them as words, check them against the configuration and apply them to the running parts,
//! - `list` and `api`: the answers to `list` and over HTTP.
//!
//! One that is only listed has `SPEC`, `list` and `api`. To add a resource, write its file and name it in `resources!`,
//! after those that it refers to. What runs of it is a map in [`super::running`]. Another kind of listener implements
//! [`listener::Kind`]; it also needs a variant of `ListenerHandle` there, and its line in `listener.rs` and in [`listeners`].

mod accepted_conn_count;
mod allowed;
mod api;
mod args;
mod attachment;
mod bind_server;
mod bytes_in;
mod bytes_out;
mod config;
mod configured;
mod connection;
mod figure;
mod http_proxy;
mod id;
mod listener;
mod original;
mod schema;
mod security_group;
mod security_group_rule;
mod server;
mod server_group;
mod server_groups;
mod session;
mod smart_group_delegate;
mod smart_node_delegate;
mod socks5_server;
mod spec;
mod tcp_lb;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::CommandError;
pub(super) use api::{Answer, Api};
use args::Words;
pub(super) use args::{Args, check_name};
pub(super) use config::Config;
pub use config::Removal;
pub(super) use configured::UNCHANGEABLE;
use configured::Unchangeable;
pub(super) use configured::{Apply, Change, Configured, Listing, Read};
use id::parent_name;
pub use id::{Id, Parent};
pub use listener::ListenerView;
pub(super) use listener::with_bound_address;
pub(super) use original::{is_about_threads, no_threads, threads_changed};
pub use security_group::SecurityGroupView;
pub(super) use security_group::views as security_groups;
pub(super) use server::explain as explain_missing;
pub use server_group::GroupView;
pub(super) use server_group::views as groups;
pub(super) use session::remove as remove_sessions;
pub use smart_node_delegate::RegistrationView;
pub(super) use smart_node_delegate::views as registrations;
pub use spec::Spec;
pub(super) use spec::{BodyField, Continues, Key, Presence};

macro_rules! resources {
    (
        configured { $($(#[$doc:meta])* $configured:ident: $module:ident,)+ }
        listed { $($(#[$ldoc:meta])* $listed:ident: $lmodule:ident,)+ }
    ) => {
        /// A kind of resource.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Resource { $($(#[$doc])* $configured,)+ $($(#[$ldoc])* $listed,)+ }

        /// A resource to add. The configuration keeps each resource as the command that would add it as it is now.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Add { $($(#[$doc])* $configured($module::Add),)+ }

        /// A change of a resource; keys that it does not name stay as they are.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Update { $($(#[$doc])* $configured($module::Update),)+ }

        impl Resource {
            /// Every kind. Kinds that others refer to come first.
            pub const ALL: &[Self] = &[$(Self::$configured,)+ $(Self::$listed,)+];

            /// Its specification.
            #[must_use]
            pub fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$configured => &$module::SPEC,)+
                    $(Self::$listed => &$lmodule::SPEC,)+
                }
            }

            pub(super) fn parse_add(self, args: &mut Args) -> Result<Add, CommandError> {
                match self {
                    $(Self::$configured => $module::Add::parse(args).map(Add::$configured),)+
                    $(Self::$listed)|+ => Err(self.cannot("add", READ_ONLY)),
                }
            }

            pub(super) fn parse_update(self, args: &mut Args) -> Result<Update, CommandError> {
                match self {
                    $(Self::$configured => $module::Update::parse(args).map(Update::$configured),)+
                    $(Self::$listed)|+ => Err(self.cannot("update", READ_ONLY)),
                }
            }

            /// Reads a body's fields together with the names in the request's path.
            pub(super) fn add_from_json(self, body: Value) -> Result<Add, JsonError> {
                match self {
                    $(Self::$configured => $module::Add::from_json(body).map(Add::$configured),)+
                    $(Self::$listed)|+ => Err(JsonError(READ_ONLY.to_owned())),
                }
            }

            /// Reads a body's fields together with the names in the request's path.
            pub(super) fn update_from_json(self, body: Value) -> Result<Update, JsonError> {
                match self {
                    $(Self::$configured => $module::Update::from_json(body).map(Update::$configured),)+
                    $(Self::$listed)|+ => Err(JsonError(READ_ONLY.to_owned())),
                }
            }

            /// Whether commands configure it; the others are only listed.
            pub(super) fn is_configured(self) -> bool {
                matches!(self, $(Self::$configured)|+)
            }

            pub(super) fn list(
                self,
                read: &Read<'_>,
                parents: &[Parent],
                detail: bool,
            ) -> Result<Listing, CommandError> {
                match self {
                    $(Self::$configured => $module::list(read, parents, detail),)+
                    $(Self::$listed => $lmodule::list(read, parents, detail),)+
                }
            }

            /// Its answers over HTTP.
            pub(super) fn api(self) -> Api {
                match self {
                    $(Self::$configured => $module::api(),)+
                    $(Self::$listed => $lmodule::api(),)+
                }
            }
        }

        impl Add {
            pub(super) fn inner(&self) -> &dyn Configured {
                match self { $(Self::$configured(add) => add,)+ }
            }

            pub(super) fn inner_mut(&mut self) -> &mut dyn Configured {
                match self { $(Self::$configured(add) => add,)+ }
            }
        }

        impl Update {
            pub(super) fn inner(&self) -> &dyn Change {
                match self { $(Self::$configured(update) => update,)+ }
            }
        }
    };
}

resources! {
    configured {
        /// Servers with one balancing method and one health check.
        ServerGroup: server_group,
        /// A server of a group.
        Server: server,
        /// An ordered, weighted set of server groups.
        ServerGroups: server_groups,
        /// A server group in a set of server groups.
        Attachment: attachment,
        /// Decides which clients a listener serves.
        SecurityGroup: security_group,
        /// A rule of a security group.
        SecurityGroupRule: security_group_rule,
        /// A listener that balances TCP connections.
        TcpLb: tcp_lb,
        /// A listener that speaks SOCKS5.
        Socks5Server: socks5_server,
        /// A proxy for HTTP clients.
        HttpProxy: http_proxy,
        /// Keeps a server group filled with the mesh's instances of a service.
        SmartGroupDelegate: smart_group_delegate,
        /// Offers a local instance to the mesh.
        SmartNodeDelegate: smart_node_delegate,
    }
    listed {
        /// An address that a listener is bound to.
        BindServer: bind_server,
        /// One side of a session.
        Connection: connection,
        /// A client's connection and the one to its instance.
        Session: session,
        /// Bytes from clients to instances.
        BytesIn: bytes_in,
        /// Bytes from instances to clients.
        BytesOut: bytes_out,
        /// Connections accepted by a listener, or made to a server.
        AcceptedConnCount: accepted_conn_count,
    }
}

/// The path of items that come and go at a listener.
const CHANNEL: &str = "/api/v1/channel";

/// Why a resource that is only listed has no other action.
pub(super) const READ_ONLY: &str = "it is read-only";

impl Resource {
    /// Its word in full.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.spec().word
    }

    /// The resource that a word names, in full or short.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let named = |r: &&Self| r.spec().word == word || r.spec().short == Some(word);
        Self::ALL.iter().find(named).copied()
    }

    /// The words of all resources, each once.
    pub(super) fn words() -> impl Iterator<Item = &'static str> {
        let named = Self::ALL.iter().filter(|r| **r != Self::Attachment);
        named.map(|r| r.word())
    }

    /// The kind of the resource that it is in, if it is in one.
    pub(super) fn parent(self) -> Option<Self> {
        self.spec().within.first()?.first().copied()
    }

    /// The parents that it can be in, each given from the nearest to the outermost.
    pub(super) fn parents(self) -> &'static [&'static [Self]] {
        self.spec().within
    }

    /// The error for an action that the resource does not know.
    pub(super) fn cannot(self, action: &str, why: &str) -> CommandError {
        CommandError::invalid(self.word(), format!("`{action} {self}` is not possible: {why}"))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Add {
    /// The resource's identity.
    #[must_use]
    pub fn id(&self) -> Id {
        self.inner().id()
    }
}

impl fmt::Display for Add {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words::default();
        self.inner().write(&mut words);
        write!(f, "{}{words}", self.id().write("to"))
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Words::default();
        self.inner().write(&mut words);
        write!(f, "{}{words}", self.inner().id().write("in"))
    }
}

/// The load balancers, then the SOCKS5 servers, then the HTTP proxies.
pub(super) fn listeners(read: &Read<'_>) -> Vec<ListenerView> {
    let tcp_lbs = listener::running::<tcp_lb::Keys>(read).map(|(_, view)| view);
    let socks5_servers = listener::running::<socks5_server::Keys>(read).map(|(_, view)| view);
    let http_proxies = listener::running::<http_proxy::Keys>(read).map(|(_, view)| view);
    tcp_lbs.chain(socks5_servers).chain(http_proxies).collect()
}

/// Why a body's fields make no resource: a sentence that names the field.
#[derive(Debug)]
pub(super) struct JsonError(pub(super) String);

/// Reads a body's fields.
trait FromJson: Sized {
    fn from_json(body: Value) -> Result<Self, JsonError>;
}

impl<T: DeserializeOwned> FromJson for T {
    fn from_json(body: Value) -> Result<Self, JsonError> {
        serde_path_to_error::deserialize(body)
            .map_err(|error| JsonError(format!("{} {}", error.path(), error.inner())))
    }
}

/// The error for a command that needs the mesh.
fn no_mesh(name: &str) -> CommandError {
    CommandError::refused(
        name,
        "this sidecar is in no mesh: start it with --discovery-config",
    )
}

/// The error for a word that the balancer refuses.
fn unfit(word: &str, error: &dyn std::error::Error) -> CommandError {
    CommandError::invalid(word, error.to_string())
}
