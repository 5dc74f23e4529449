//! One request and its answer, from the request's head to the answer's last byte.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::http::uri::Uri;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{Cause, GRPC_STATUS};
use super::client::Client;
use super::instance::Instance;
use super::upgrade::Upgrade;
use crate::balance::{Lease, Outcome};

/// One request and its answer. The request counts as active on its client and its instance until this is dropped.
pub(super) struct Exchange {
    client: Arc<Client>,
    began: Instant,
    method: Method,
    /// What is logged of the request, if requests are logged.
    logged: Option<Box<Logged>>,
    /// That of the answer, if there is one.
    status: Option<StatusCode>,
    grpc_status: Option<HeaderValue>,
    cause: Option<Cause>,
    retries: u32,
    /// The instance that has it.
    lease: Option<Lease>,
    /// The connection that carries it, for the next request.
    instance: Option<Instance>,
    state: State,
}

/// How far the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its end is not known.
    Open,
    /// It was passed on as a whole.
    Complete,
    /// The instance broke it off.
    Broken,
}

struct Logged {
    target: Uri,
    traceparent: Option<HeaderValue>,
}

impl Exchange {
    /// A request that has arrived.
    pub(super) fn begin(client: Arc<Client>, request: &Request<Incoming>) -> Self {
        client.enter();
        let listener = client.connection.listener();
        listener.http.count();
        listener.requests.enter();
        let logged = tracing::enabled!(tracing::Level::DEBUG).then(|| {
            Box::new(Logged {
                target: request.uri().clone(),
                traceparent: request.headers().get("traceparent").cloned(),
            })
        });
        Self {
            client,
            began: Instant::now(),
            method: request.method().clone(),
            logged,
            status: None,
            grpc_status: None,
            cause: None,
            retries: 0,
            lease: None,
            instance: None,
            state: State::Open,
        }
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// When an instance must have answered that gets the request now.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timeout = self.client.connection.listener().http.request_timeout();
        (!timeout.is_zero()).then(|| Instant::now() + timeout)
    }

    pub(super) fn is_connect(&self) -> bool {
        self.method == Method::CONNECT
    }

    /// Records the instance that answers, and the connection.
    pub(super) fn carried(&mut self, lease: Lease, instance: Instance) {
        self.lease = Some(lease);
        self.instance = Some(instance);
    }

    /// Records an instance that has not answered.
    pub(super) fn failed_at(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    /// Has the client's connection become one with the instance's after the answer.
    pub(super) fn upgraded(&mut self, on: OnUpgrade) {
        self.instance = None;
        if let Some(lease) = self.lease.take() {
            let status = match self.method {
                Method::CONNECT => StatusCode::OK,
                _ => StatusCode::SWITCHING_PROTOCOLS,
            };
            lease.request_ended(self.method.as_str(), Some(status.as_u16()), self.began.elapsed());
            lease.record(Outcome::Succeeded, Instant::now());
            self.client.upgrade(Upgrade::Agreed { on, lease });
        }
    }

    /// Records the head of the answer.
    pub(super) fn answered(&mut self, answer: &Response<Incoming>) {
        self.status = Some(answer.status());
        self.find_grpc_status(answer.headers());
    }

    fn find_grpc_status(&mut self, fields: &HeaderMap) {
        if let Some(status) = fields.get(GRPC_STATUS) {
            self.grpc_status = Some(status.clone());
        }
    }

    /// Records that the sidecar answers itself, a call of gRPC or another request.
    pub(super) fn failed(&mut self, cause: Cause, is_grpc: bool) {
        self.grpc_status = is_grpc.then(|| HeaderValue::from_static(cause.grpc_status()));
        self.cause = Some(cause);
        self.status = Some(cause.status());
        self.state = State::Complete;
    }

    /// Takes a retry from the listener's budget, for a request that an instance may have acted on. A second one is not made:
    /// the request itself may be what the instances do not survive.
    pub(super) fn may_retry(&mut self) -> bool {
        let listener = self.client.connection.listener();
        let may = self.retries == 0 && listener.http.take_retry(self.began);
        #[cfg(feature = "failpoints")]
        let may = may && crate::failpoints::may_retry();
        if may {
            self.retries += 1;
            listener.requests.retried();
            if let Some(lease) = &self.lease {
                lease.retried();
                lease.record(Outcome::Failed, Instant::now());
            }
        }
        may
    }

    /// Records that a frame of the answer's body was passed on, or its end.
    pub(super) fn passed(&mut self, frame: Option<&Result<Frame<Bytes>, hyper::Error>>) {
        match frame {
            None => self.state = State::Complete,
            Some(Err(_)) => self.state = State::Broken,
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.find_grpc_status(trailers);
                }
            }
        }
    }
}

impl Exchange {
    /// Counts that it has ended.
    fn count(&self) {
        let now = Instant::now();
        let (took, method) = (now - self.began, self.method.as_str());
        let status = self.status.map(|status| status.as_u16());
        let requests = &self.client.connection.listener().requests;
        requests.leave();
        requests.ended(method, status, took);
        if let Some(status) = &self.grpc_status {
            requests.grpc_ended(status.as_bytes());
            if let (Some(lease), None) = (&self.lease, self.cause) {
                lease.grpc_ended(status.as_bytes());
            }
        }
        let Some(lease) = &self.lease else { return };
        // The status of the sidecar's own answer is none of the instance.
        let status = status.filter(|_| self.cause.is_none());
        lease.request_ended(method, status, took);
        let failed = self.cause.is_some() || self.state == State::Broken;
        match status {
            _ if failed => lease.record(Outcome::Failed, now),
            Some(500..) => lease.record(Outcome::Failed, now),
            Some(_) => lease.record(Outcome::Succeeded, now),
            // The client has left.
            None => {}
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(instance) = self.instance.take()
            && self.state == State::Complete
        {
            instance.put_back();
        }
        self.client.leave();
        self.count();
        let Some(logged) = self.logged.take() else {
            return;
        };
        let client = &self.client.connection;
        tracing::debug!(
            peer = %client.peer(),
            destination = %client.destination(),
            instance = self.lease.as_ref().map(|lease| tracing::field::display(lease.address())),
            server = self.lease.as_ref().map(|lease| lease.server().name()),
            method = %self.method,
            target = %logged.target,
            traceparent = logged.traceparent.as_ref().and_then(|value| value.to_str().ok()),
            status = self.status.map(|status| status.as_u16()),
            retries = self.retries,
            duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason = match (self.cause, self.state) {
                (Some(cause), _) => cause.text(),
                (None, State::Complete) => "finished",
                (None, State::Broken) => "the instance broke off its answer",
                (None, State::Open) => "the client left",
            },
            "request ended"
        );
    }
}
