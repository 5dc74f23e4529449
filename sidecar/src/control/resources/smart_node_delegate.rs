//! `smart-node-delegate`: offers a local instance to the mesh while its port accepts connections.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::api::Status;
use super::args::{Args, Words};
use super::smart_group_delegate::{SERVICE, ZONE};
use super::spec::{Key, Spec, TOP};
use super::{Api, Apply, Config, Configured, Id, Listing, Parent, Read, Resource, Unchangeable, no_mesh};
use crate::balance::service::{Instance, Offer, ServiceId};
use crate::control::error::CommandError;
use crate::control::registration::{Registration, place};
use crate::control::running::{ListenerHandle, Running};
use crate::control::values::{Weight, json};
use crate::interface::{Addresses, IpType};

/// Maximum number of local instances: other nodes do not accept more from one node.
const MAX_REGISTRATIONS: usize = 1024;

pub(super) const SPEC: Spec = Spec {
    word: "smart-node-delegate",
    short: None,
    help: "offers a local instance to the mesh",
    within: TOP,
    keys: &[
        SERVICE,
        ZONE,
        Key::required::<String>("nic", "the network interface that the instance listens on"),
        Key::default::<IpType>("ip-type", "v4", "which of the interface's addresses: v4 or v6")
            .field("ipType"),
        Key::optional::<u16>(
            "port",
            "the port that the instance listens on; by default, and for 0, a free one from 10000 to 29999 is chosen",
        )
        .field("exposedPort"),
        Key {
            updatable: false,
            ..super::spec::WEIGHT
        },
    ],
    foreign: &[],
};

/// `add smart-node-delegate NAME service .. zone .. nic .. [ip-type ..] [port ..] [weight ..]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Add {
    #[serde(deserialize_with = "json")]
    pub(super) name: String,
    #[serde(deserialize_with = "json")]
    pub(super) service: String,
    #[serde(deserialize_with = "json")]
    pub(super) zone: String,
    #[serde(deserialize_with = "json")]
    pub(super) nic: String,
    #[serde(default, deserialize_with = "json")]
    pub(super) ip_type: IpType,
    /// `None` until one is chosen.
    #[serde(default, rename = "exposedPort", deserialize_with = "json_port")]
    pub(super) port: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "json")]
    pub(super) weight: Weight,
}

pub(super) type Update = Unchangeable;

impl Add {
    pub(super) fn parse(args: &mut Args) -> Result<Self, CommandError> {
        Ok(Self {
            name: args.name()?,
            service: args.required("service")?,
            zone: args.required("zone")?,
            nic: args.required("nic")?,
            ip_type: args.optional("ip-type")?.unwrap_or_default(),
            port: args.optional("port")?.and_then(NonZeroU16::new),
            weight: args.optional("weight")?.unwrap_or_default(),
        })
    }
}

fn json_port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU16>, D::Error> {
    json(deserializer).map(NonZeroU16::new)
}

impl Configured for Add {
    fn id(&self) -> Id {
        Id::new(Resource::SmartNodeDelegate, &self.name)
    }

    fn check(&self, config: &Config) -> Result<(), CommandError> {
        if all(config).count() >= MAX_REGISTRATIONS {
            let message = format!("there are {MAX_REGISTRATIONS} smart-node-delegates already, the limit");
            return Err(CommandError::refused(&self.name, message));
        }
        Ok(())
    }

    fn settle(&mut self, running: &Running, addresses: &Addresses) -> Result<(), CommandError> {
        let taken = |address| running.registrations.values().any(|r| r.address() == address);
        let address = place(&self.nic, self.ip_type, self.port, addresses, taken)?;
        self.port = NonZeroU16::new(address.port());
        Ok(())
    }

    fn write(&self, words: &mut Words) {
        words
            .key("service", &self.service)
            .key("zone", &self.zone)
            .key("nic", &self.nic)
            .unless_default("ip-type", &self.ip_type)
            .optional("port", self.port.map(NonZeroU16::get).as_ref())
            .unless_default("weight", &self.weight);
    }

    fn start(&self, at: &mut Apply<'_>) -> Result<(), CommandError> {
        at.instances.ok_or_else(|| no_mesh(&self.name))?;
        let offer = Offer {
            id: ServiceId {
                service: self.service.clone(),
                zone: self.zone.clone(),
            },
            instance: Instance {
                address: place(&self.nic, self.ip_type, self.port, at.addresses, |_| false)?,
                weight: self.weight.0,
                at_node: true,
            },
        };
        if let Some(other) = at.offers.announcing(&offer) {
            let message = format!(
                "smart-node-delegate {other} offers the same service, zone, address and port already"
            );
            return Err(CommandError::invalid(&self.name, message));
        }
        let interface = at.addresses.follow(&self.nic, self.ip_type);
        let registration = Registration::start(offer, interface, at.offers.of(&self.name));
        at.running.registrations.insert(self.name.clone(), registration);
        Ok(())
    }

    fn stop(&self, at: &mut Apply<'_>) -> Result<Option<Arc<ListenerHandle>>, CommandError> {
        at.running.registrations.remove(&self.name);
        Ok(None)
    }
}

fn all(config: &Config) -> impl Iterator<Item = &Add> {
    let all = config.all(Resource::SmartNodeDelegate);
    all.filter_map(|add| match add {
        super::Add::SmartNodeDelegate(delegate) => Some(delegate),
        _ => None,
    })
}

/// A local instance that is offered to the mesh.
#[derive(Debug, Clone)]
pub struct RegistrationView {
    /// Its name.
    pub name: String,
    /// The service's name.
    pub service: String,
    /// The service's zone.
    pub zone: String,
    /// The network interface that it listens on.
    pub nic: String,
    /// Which of the interface's addresses.
    pub ip_type: IpType,
    /// Its share of the service's connections.
    pub weight: u32,
    /// The address that the instance listens on, or is to listen on.
    pub address: SocketAddr,
    /// Whether it is announced to the mesh now.
    pub announced: bool,
}

pub(in crate::control) fn views(read: &Read<'_>) -> Vec<RegistrationView> {
    let views = all(read.config).filter_map(|add| {
        let registration = read.running.registrations.get(&add.name)?;
        Some(RegistrationView {
            name: add.name.clone(),
            service: add.service.clone(),
            zone: add.zone.clone(),
            nic: add.nic.clone(),
            ip_type: add.ip_type,
            weight: add.weight.0,
            address: registration.address(),
            announced: registration.is_announced(),
        })
    });
    views.collect()
}

pub(super) fn list(read: &Read<'_>, _: &[Parent], detail: bool) -> Result<Listing, CommandError> {
    let rows = views(read).into_iter().map(|view| {
        let RegistrationView {
            name,
            service,
            zone,
            nic,
            ip_type,
            weight,
            address,
            announced,
        } = view;
        let currently = Status::word(announced);
        let about = format!(
            "service {service} zone {zone} nic {nic} ip-type {ip_type} address {address} weight {weight} \
             currently {currently}"
        );
        (name, about)
    });
    Ok(Listing::of(rows, detail))
}

pub(super) fn api() -> Api {
    fn short(read: &Read<'_>, _: &str) -> Result<Vec<SmartNode>, CommandError> {
        Ok(views(read).into_iter().map(SmartNode::from).collect())
    }
    Api::module(short, short)
}

/// A local instance that is offered to the mesh.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    #[cfg_attr(test, schema(maximum = 65535))]
    exposed_port: u16,
    /// Its share of the service's connections.
    weight: u32,
    /// Whether it is announced to the mesh now.
    status: Status,
}

impl From<RegistrationView> for SmartNode {
    fn from(view: RegistrationView) -> Self {
        Self {
            name: view.name,
            service: view.service,
            zone: view.zone,
            nic: view.nic,
            ip_type: view.ip_type.to_string(),
            exposed_port: view.address.port(),
            weight: view.weight,
            status: view.announced.into(),
        }
    }
}
