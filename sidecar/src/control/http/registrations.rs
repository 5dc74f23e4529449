//! `smart-node-delegate`: how a service registers itself (control plane: registering a service).

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Serialize;

use super::body::{self, Field, Holds};
use super::{changed, http, no_such, refused};
use crate::control::command::{Command, Remove};
use crate::control::controller::{Controller, RegistrationView};
use crate::control::grammar::{Key, Resource};
use crate::http::Answer;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

const FIELDS: &[Field] = &[
    Field {
        key: Key::Service,
        holds: Holds::Text,
        required: true,
        hint: "the service's name in the mesh",
    },
    Field {
        key: Key::Zone,
        holds: Holds::Text,
        required: true,
        hint: "the service's zone in the mesh",
    },
    Field {
        key: Key::Nic,
        holds: Holds::Text,
        required: true,
        hint: "the network interface it listens on",
    },
    Field {
        key: Key::IpType,
        holds: Holds::Text,
        required: false,
        hint: "v4 (the default) or v6",
    },
    Field {
        key: Key::Port,
        holds: Holds::Number,
        required: false,
        hint: "the port it listens on; by default the sidecar picks a free one",
    },
    Field {
        key: Key::Weight,
        holds: Holds::Number,
        required: false,
        hint: "its share of the service's connections; 10 by default",
    },
];

/// A registration as callers see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    service: String,
    zone: String,
    nic: String,
    ip_type: String,
    exposed_port: u16,
    weight: u32,
    status: &'static str,
}

impl From<RegistrationView> for Shown {
    fn from(view: RegistrationView) -> Self {
        Self {
            name: view.name,
            service: view.spec.service,
            zone: view.spec.zone,
            nic: view.spec.nic,
            ip_type: view.spec.ip_type.to_string(),
            exposed_port: view.address.port(),
            weight: view.spec.weight,
            status: if view.announced { "UP" } else { "DOWN" },
        }
    }
}

pub(super) fn list(controller: &Controller) -> Answer {
    let all: Vec<Shown> = controller.registrations().into_iter().map(Shown::from).collect();
    http::json(StatusCode::OK, &all)
}

pub(super) fn get(controller: &Controller, name: &str) -> Answer {
    match controller.registrations().into_iter().find(|r| r.name == name) {
        Some(view) => http::json(StatusCode::OK, &Shown::from(view)),
        None => no_such(Resource::SmartNodeDelegate, name),
    }
}

pub(super) async fn add(controller: &Arc<Controller>, request: Request<Incoming>) -> Answer {
    let body = match http::body(request, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return refused(&error.to_string()),
    };
    match body::addition(Resource::SmartNodeDelegate, FIELDS, &body) {
        Ok(sentence) => changed(Command::from_sentence(sentence).and_then(|c| controller.apply(c))),
        Err(fault) => fault.into(),
    }
}

pub(super) fn remove(controller: &Controller, name: &str) -> Answer {
    let command = Command::Remove(Remove::SmartNodeDelegate {
        name: name.to_owned(),
    });
    changed(controller.apply(command))
}
