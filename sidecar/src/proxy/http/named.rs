//! Requests to a proxy, which name their destination: by CONNECT (RFC 9110, section 9.3.6) or in absolute form (RFC 9112,
//! section 3.2.2).

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::http::uri::{Scheme, Uri};
use hyper::{Method, Request, Response};

use super::answer::{Cause, answer};
use super::body::AnswerBody;
use super::client::Client;
use super::forward::{Answered, forward};
use super::source::Source;
use super::upgrade::Upgrade;
use crate::balance::{Protocol, ServerGroup};
use crate::proxy::backends::Backends;
use crate::proxy::connect::OnFailure;
use crate::proxy::hold::Client as Held;

/// The port of a target without one.
const HTTP: u16 = 80;

/// The groups that the requests of a connection may name, and the one that its present request does. A connection has one
/// request at a time.
#[derive(Debug)]
pub(in crate::proxy) struct Named {
    backends: Arc<Backends>,
    present: Mutex<Option<Arc<ServerGroup>>>,
}

impl Named {
    pub(in crate::proxy) fn new(backends: Arc<Backends>) -> Self {
        Self {
            backends,
            present: Mutex::default(),
        }
    }

    /// The group that the present request names.
    pub(super) fn group(&self) -> Option<Arc<ServerGroup>> {
        self.present
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks up the group that a request names.
    fn choose(&self, method: &Method, target: &Uri) -> Result<(String, Arc<ServerGroup>), Cause> {
        let name = destination(method, target).ok_or(Cause::BadRequest)?;
        let group = self.backends.get().group_named(&name).ok_or(Cause::NotAllowed)?;
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&group));
        Ok((name, group))
    }
}

/// Answers a request: of a proxy's client by what the request names, of others by what the connection is for.
pub(super) async fn serve(client: Arc<Client>, request: Request<Incoming>) -> Answered {
    let Source::Named(named) = &client.source else {
        return forward(client, request).await;
    };
    let (name, group) = match named.choose(request.method(), request.uri()) {
        Ok(chosen) => chosen,
        Err(cause) => return Ok(answer(cause)),
    };
    client.connection.set_destination(name.into());
    if *request.method() != Method::CONNECT {
        return forward(client, request).await;
    }
    client.enter();
    let tunnel = Box::pin(tunnel(&client, group)).await;
    client.leave();
    Ok(tunnel.unwrap_or_else(answer))
}

/// Has the connection become one to the group after the answer: of bytes, or of requests if the group's protocol is HTTP.
async fn tunnel(client: &Arc<Client>, group: Arc<ServerGroup>) -> Result<Response<AnswerBody>, Cause> {
    let listener = client.connection.listener();
    client.upgrade(match group.protocol() {
        Protocol::Tcp => {
            let held = Held {
                stream: None,
                ip: client.connection.peer().ip(),
                initial: &[],
                silent: false,
            };
            let connecting = listener
                .held
                .connect(&group, held, listener.hold(), OnFailure::TryNext);
            let (connected, release) = connecting.await.map_err(|error| Cause::from(&error))?;
            Upgrade::Bytes(connected, release)
        }
        protocol => Upgrade::Requests(group, protocol),
    });
    Ok(Response::new(AnswerBody::own(Bytes::new())))
}

/// The name of the group that a target means: its host and port.
fn destination(method: &Method, target: &Uri) -> Option<String> {
    let host = target.host()?;
    let port = match target.port_u16() {
        _ if *method != Method::CONNECT && target.scheme() != Some(&Scheme::HTTP) => return None,
        None if *method != Method::CONNECT && target.port().is_none() => HTTP,
        port => port?,
    };
    Some(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_a_host_and_a_port() {
        for (method, target, name) in [
            (Method::CONNECT, "a.mesh:6379", Some("a.mesh:6379")),
            (Method::CONNECT, "a.mesh", None),
            (Method::GET, "http://A.mesh/x?y", Some("A.mesh:80")),
            (Method::POST, "http://a.mesh:8080", Some("a.mesh:8080")),
            (Method::GET, "http://user@a.mesh/", Some("a.mesh:80")),
            (Method::GET, "http://[::1]:81/", Some("[::1]:81")),
            (Method::GET, "http://a.mesh:/", Some("a.mesh:80")),
            (Method::GET, "https://a.mesh/", None),
            (Method::GET, "ftp://a.mesh/", None),
            (Method::GET, "/path", None),
            (Method::OPTIONS, "*", None),
        ] {
            let target: Uri = target.parse().unwrap_or_else(|e| panic!("{target}: {e}"));
            assert_eq!(
                destination(&method, &target).as_deref(),
                name,
                "{method} {target}"
            );
        }
    }
}
