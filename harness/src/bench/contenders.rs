//! Who is measured at what.

use super::peer::{Program, Rival};

/// How a proxy is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// It connects to its backend.
    Tcp,
    /// By SOCKS5, asked for the backend's address.
    Socks5,
    /// By SOCKS5, asked for the backend's name.
    Socks5Name,
}

/// A proxy in one of its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contender {
    /// Its name in reports.
    pub name: &'static str,
    /// What it is.
    pub program: Program,
    /// How it is spoken to.
    pub door: Door,
    /// Whether it lets the kernel move the bytes, where that is a setting.
    pub splice: bool,
}

const fn contender(name: &'static str, program: Program, door: Door) -> Contender {
    Contender {
        name,
        program,
        door,
        splice: false,
    }
}

const SIDECAR: Contender = contender("sidecar", Program::Sidecar, Door::Tcp);
const NGINX: Contender = contender("nginx", Program::Rival(Rival::Nginx), Door::Tcp);
const HAPROXY: Contender = contender("haproxy", Program::Rival(Rival::Haproxy), Door::Tcp);

/// Those that balance TCP.
pub const TCP: &[Contender] = &[SIDECAR, NGINX, HAPROXY];

/// The same, for much data.
pub const BULK: &[Contender] = &[
    SIDECAR,
    NGINX,
    HAPROXY,
    Contender {
        name: "haproxy-splice",
        splice: true,
        ..HAPROXY
    },
];

const SIDECAR_SOCKS5: Contender = contender("sidecar", Program::Sidecar, Door::Socks5);
const MICROSOCKS: Contender = contender("microsocks", Program::Rival(Rival::Microsocks), Door::Socks5);
const DANTE: Contender = contender("dante", Program::Rival(Rival::Dante), Door::Socks5);

/// Those that speak SOCKS5.
pub const SOCKS5: &[Contender] = &[
    SIDECAR_SOCKS5,
    contender("sidecar-name", Program::Sidecar, Door::Socks5Name),
    MICROSOCKS,
    DANTE,
];

/// The same with connections that are open already: how they were asked for makes no difference any more.
pub const IDLE_SOCKS5: &[Contender] = &[SIDECAR_SOCKS5, MICROSOCKS, DANTE];
