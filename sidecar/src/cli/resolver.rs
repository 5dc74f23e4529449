//! The flags about server groups that are filled from DNS.

use std::net::SocketAddr;

use clap::Args;
use ipnet::IpNet;

use super::values::{address, network};
use crate::dns;

#[derive(Debug, Args)]
pub(super) struct ResolverArgs {
    /// Name server for server groups with `resolve`, for instance 127.0.0.11:53; by default those of /etc/resolv.conf
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    resolver: Option<SocketAddr>,
    /// Networks whose addresses count in server groups with `resolve`, separated by commas, for instance 10.0.0.0/8; by
    /// default those that the network interfaces are in, except loopback
    // One argument, because the target of a waypoint may follow.
    #[arg(long, value_name = "NETWORK[,NETWORK...]", value_delimiter = ',', value_parser = network)]
    resolve_networks: Vec<IpNet>,
}

impl ResolverArgs {
    pub(super) fn settings(self) -> dns::Settings {
        dns::Settings {
            server: self.resolver,
            networks: Some(self.resolve_networks).filter(|networks| !networks.is_empty()),
        }
    }
}
