//! `smart-group-delegate` and `smart-node-delegate`.

use super::Found;
use super::groups::ServerGroupDetail;
use crate::control::controller::Controller;
use crate::control::error::CommandError;
use crate::control::grammar::Resource;
use crate::control::http::shape::{Status, shapes};
use crate::control::view::{RegistrationView, SmartGroupView};

shapes! {
    /// Keeps a server group filled with the mesh's instances of a service.
    struct SmartGroup {
        /// Its name.
        name: String,
        /// The service's name.
        service: String,
        /// The service's zone.
        zone: String,
        /// The server-group that it fills.
        handled_group: String,
    }

    /// Keeps a server group filled with the mesh's instances of a service, in detail.
    struct SmartGroupDetail {
        /// Its name.
        name: String,
        /// The service's name.
        service: String,
        /// The service's zone.
        zone: String,
        /// The server-group that it fills.
        handled_group: ServerGroupDetail,
    }

    /// A local instance that is offered to the mesh.
    struct SmartNode {
        /// Its name.
        name: String,
        /// The service's name.
        service: String,
        /// The service's zone.
        zone: String,
        /// The network interface that the instance listens on.
        nic: String,
        /// Which of the interface's addresses: v4 or v6.
        ip_type: String,
        /// The port that the instance listens on, or is to listen on.
        exposed_port: u16,
        /// Its share of the service's connections.
        weight: u32,
        /// Whether the mesh is told of it now.
        status: Status,
    }
}

impl From<RegistrationView> for SmartNode {
    fn from(view: RegistrationView) -> Self {
        Self {
            name: view.name,
            service: view.spec.service,
            zone: view.spec.zone,
            nic: view.spec.nic,
            ip_type: view.spec.ip_type.to_string(),
            exposed_port: view.address.port(),
            weight: view.spec.weight,
            status: view.announced.into(),
        }
    }
}

pub(in crate::control::http) fn smart_groups(controller: &Controller, _: &str) -> Found<Vec<SmartGroup>> {
    let short = |view: SmartGroupView| SmartGroup {
        name: view.name,
        service: view.spec.service,
        zone: view.spec.zone,
        handled_group: view.spec.group,
    };
    Ok(controller.smart_groups().into_iter().map(short).collect())
}

pub(in crate::control::http) fn smart_groups_in_detail(
    controller: &Controller,
    _: &str,
) -> Found<Vec<SmartGroupDetail>> {
    let detail = |view: SmartGroupView| {
        let group = controller
            .groups()
            .into_iter()
            .find(|g| g.name == view.spec.group);
        let gone = || CommandError::not_found(Resource::SmartGroupDelegate, &view.name);
        Ok(SmartGroupDetail {
            handled_group: group.ok_or_else(gone)?.into(),
            name: view.name,
            service: view.spec.service,
            zone: view.spec.zone,
        })
    };
    controller.smart_groups().into_iter().map(detail).collect()
}

pub(in crate::control::http) fn smart_nodes(controller: &Controller, _: &str) -> Found<Vec<SmartNode>> {
    let nodes = controller.registrations().into_iter();
    Ok(nodes.map(SmartNode::from).collect())
}
