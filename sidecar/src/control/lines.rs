//! A line about each thing, as `list-detail` shows it.

use super::command::ListenerName;
use super::values::ALLOW_ALL;
use super::view::{GroupView, ListenerView, RegistrationView, SecurityGroupView, SmartGroupView};
use crate::balance::ServerView;
use crate::proxy::SessionView;
use crate::proxy::access::Rule;

/// `NAME -> ABOUT`
pub(super) fn line(name: &str, about: &str) -> String {
    format!("{name} -> {about}")
}

pub(super) fn group(group: &GroupView) -> String {
    let check = &group.check;
    format!(
        "timeout {} period {} up {} down {} method {}",
        check.timeout.as_millis(),
        check.period.as_millis(),
        check.up,
        check.down,
        group.method
    )
}

pub(super) fn server(server: &ServerView) -> String {
    format!(
        "connect-to {} weight {} currently {}",
        server.address,
        server.weight,
        state(server.up)
    )
}

pub(super) fn listener(listener: &ListenerView) -> String {
    let security_group = listener.security_group.as_deref().unwrap_or(ALLOW_ALL);
    let bound = format!(
        "bind {} backends {} security-group {security_group}",
        listener.address, listener.backend
    );
    match (&listener.name, listener.allow_non_backend) {
        (ListenerName::TcpLb(_), _) => bound,
        (ListenerName::Socks5Server(_), true) => format!("{bound} allow-non-backend"),
        (ListenerName::Socks5Server(_), false) => format!("{bound} deny-non-backend"),
    }
}

pub(super) fn security_group(group: &SecurityGroupView) -> String {
    format!("default {}", group.default)
}

pub(super) fn rule(rule: &Rule) -> String {
    let (first, last) = rule.ports;
    format!(
        "{} {} protocol {} port [{first},{last}]",
        rule.verdict, rule.network, rule.protocol
    )
}

pub(super) fn smart_group(group: &SmartGroupView) -> String {
    let spec = &group.spec;
    format!(
        "service {} zone {} server-group {}",
        spec.service, spec.zone, spec.group
    )
}

pub(super) fn registration(registration: &RegistrationView) -> String {
    let spec = &registration.spec;
    format!(
        "service {} zone {} nic {} ip-type {} address {} weight {} currently {}",
        spec.service,
        spec.zone,
        spec.nic,
        spec.ip_type,
        registration.address,
        spec.weight,
        state(registration.announced)
    )
}

/// `CLIENT->INSTANCE`; a session that has no instance yet has nothing behind the arrow.
pub(super) fn session(session: &SessionView) -> String {
    let instance = session.instance.map(|i| i.to_string()).unwrap_or_default();
    format!("{}->{instance}", session.client)
}

/// The halves of a session, each `REMOTE/LOCAL`.
pub(super) fn connections(session: &SessionView) -> impl Iterator<Item = String> {
    let accepted = format!("{}/{}", session.client, session.local);
    let made = session
        .instance
        .zip(session.instance_local)
        .map(|(to, from)| format!("{to}/{from}"));
    std::iter::once(accepted).chain(made)
}

fn state(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}
