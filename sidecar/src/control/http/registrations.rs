//! `smart-node-delegate`: how a service registers itself (control plane: registering a service).

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::Serialize;

use super::body::{Body, Fault, Field, Holds};
use super::{changed, http, no_such, refused};
use crate::control::command::{Add, Command, DEFAULT_WEIGHT, Remove, SmartNodeSpec};
use crate::control::controller::Controller;
use crate::control::grammar::Resource;
use crate::control::values;
use crate::control::view::RegistrationView;
use crate::http::Answer;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

const FIELDS: &[Field] = &[
    Field {
        name: "name",
        holds: Holds::Text,
        required: true,
        hint: "alias of the RESOURCE",
    },
    Field {
        name: "service",
        holds: Holds::Text,
        required: true,
        hint: "the service's name in the mesh",
    },
    Field {
        name: "zone",
        holds: Holds::Text,
        required: true,
        hint: "the service's zone in the mesh",
    },
    Field {
        name: "nic",
        holds: Holds::Text,
        required: true,
        hint: "the network interface it listens on",
    },
    Field {
        name: "ipType",
        holds: Holds::Text,
        required: false,
        hint: "v4 (the default) or v6",
    },
    Field {
        name: "exposedPort",
        holds: Holds::Number,
        required: false,
        hint: "the port it listens on; by default the sidecar picks a free one",
    },
    Field {
        name: "weight",
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
    match registration(&body) {
        Ok(add) => changed(controller.execute(Command::Add(add)).await),
        Err(fault) => fault.into(),
    }
}

pub(super) async fn remove(controller: &Controller, name: &str) -> Answer {
    let what = Remove::SmartNodeDelegate(name.to_owned());
    changed(controller.execute(Command::Remove { what, force: false }).await)
}

fn registration(body: &[u8]) -> Result<Add, Fault> {
    let resource = Resource::SmartNodeDelegate;
    let body = Body::parse(body, resource, FIELDS)?;
    Ok(Add::SmartNodeDelegate {
        name: body.name(resource)?,
        spec: SmartNodeSpec {
            service: body.required("service", &values::NAME)?,
            zone: body.required("zone", &values::NAME)?,
            nic: body.required("nic", &values::NAME)?,
            ip_type: body.optional("ipType", &values::IP_TYPE)?.unwrap_or_default(),
            port: body.optional("exposedPort", &values::PORT)?,
            weight: body
                .optional("weight", &values::WEIGHT)?
                .unwrap_or(DEFAULT_WEIGHT),
        },
    })
}
