//! `add`.

use super::rest::Rest;
use crate::balance::CheckConfig;
use crate::control::command::{
    Add, DEFAULT_WEIGHT, ListenerSpec, ServerGroupSpec, SmartGroupSpec, SmartNodeSpec,
};
use crate::control::error::CommandError;
use crate::control::grammar::{Action, Key, Resource};
use crate::control::values;
use crate::proxy::access::Rule;

pub(super) fn add(name: String, rest: &mut Rest) -> Result<Add, CommandError> {
    Ok(match rest.resource {
        Resource::ServerGroups => Add::ServerGroups { name },
        Resource::ServerGroup => match rest.take_place(Resource::ServerGroups) {
            Some(groups) => Add::ServerGroupTo {
                name,
                groups,
                weight: rest.weight()?.unwrap_or(DEFAULT_WEIGHT),
            },
            None => Add::ServerGroup {
                name,
                spec: server_group(rest)?,
            },
        },
        Resource::Server => Add::Server {
            name,
            group: rest.required_place(Resource::ServerGroup, "to")?,
            address: rest.required(Key::Address, &values::ADDRESS)?,
            weight: rest.weight()?.unwrap_or(DEFAULT_WEIGHT),
        },
        Resource::TcpLb => Add::TcpLb {
            name,
            spec: listener(rest)?,
        },
        Resource::Socks5Server => Add::Socks5Server {
            name,
            spec: listener(rest)?,
            allow_non_backend: rest.allow_non_backend()?.unwrap_or(false),
        },
        Resource::SecurityGroup => Add::SecurityGroup {
            name,
            default: rest.required(Key::Default, &values::VERDICT)?,
        },
        Resource::SecurityGroupRule => Add::SecurityGroupRule {
            name,
            group: rest.required_place(Resource::SecurityGroup, "to")?,
            rule: Rule {
                network: rest.required(Key::Network, &values::NETWORK)?,
                protocol: rest.required(Key::Protocol, &values::PROTOCOL)?,
                ports: rest.required(Key::PortRange, &values::PORT_RANGE)?,
                verdict: rest.required(Key::Default, &values::VERDICT)?,
            },
        },
        Resource::SmartGroupDelegate => Add::SmartGroupDelegate {
            name,
            spec: SmartGroupSpec {
                service: rest.required(Key::Service, &values::NAME)?,
                zone: rest.required(Key::Zone, &values::NAME)?,
                group: rest.required(Key::ServerGroup, &values::NAME)?,
            },
        },
        Resource::SmartNodeDelegate => Add::SmartNodeDelegate {
            name,
            spec: SmartNodeSpec {
                service: rest.required(Key::Service, &values::NAME)?,
                zone: rest.required(Key::Zone, &values::NAME)?,
                nic: rest.required(Key::Nic, &values::NAME)?,
                ip_type: rest.optional(Key::IpType, &values::IP_TYPE)?.unwrap_or_default(),
                port: rest.optional(Key::Port, &values::PORT)?,
                weight: rest.weight()?.unwrap_or(DEFAULT_WEIGHT),
            },
        },
        Resource::BindServer
        | Resource::Connection
        | Resource::Session
        | Resource::BytesIn
        | Resource::BytesOut
        | Resource::AcceptedConnCount => return Err(rest.cannot(Action::Add, "it is there to be read")),
    })
}

fn server_group(rest: &mut Rest) -> Result<ServerGroupSpec, CommandError> {
    let check = CheckConfig {
        timeout: rest.required(Key::Timeout, &values::MILLIS)?,
        period: rest.required(Key::Period, &values::MILLIS)?,
        up: rest.required(Key::Up, &values::TIMES)?,
        down: rest.required(Key::Down, &values::TIMES)?,
    };
    let method = rest.optional(Key::Method, &values::METHOD)?.unwrap_or_default();
    Ok(ServerGroupSpec { check, method })
}

fn listener(rest: &mut Rest) -> Result<ListenerSpec, CommandError> {
    Ok(ListenerSpec {
        address: rest.required(Key::Address, &values::ADDRESS)?,
        backend: rest.required(Key::ServerGroups, &values::NAME)?,
        security_group: rest
            .optional(Key::SecurityGroup, &values::SECURITY_GROUP)?
            .flatten(),
    })
}
