//! Parses the values of flags.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port, for instance 127.0.0.1:18080 or [::1]:18080")
}

pub(super) fn network(text: &str) -> Result<IpNet, &'static str> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address
        .or_else(|_| text.parse())
        .map_err(|_| "expected an IP address or a network, for instance 192.0.2.7 or 192.0.2.0/24")
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|s| (0.0..=3600.0).contains(s))
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a number of seconds from 0 to 3600, for instance 2.5".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn an_invalid_address_is_refused_with_an_example() {
        for flag in ["--http-controller", "--resp-controller", "--status"] {
            for text in ["127.0.0.1:18080", "[::1]:18080"] {
                assert!(
                    Cli::try_parse_from(["sidecar", flag, text]).is_ok(),
                    "{flag} {text}"
                );
            }
            for text in ["localhost:18080", "18080", "127.0.0.1"] {
                let error = Cli::try_parse_from(["sidecar", flag, text]).unwrap_err();
                let message = error.to_string();
                assert!(message.contains("expected an IP address and a port"), "{message}");
            }
        }
    }
}
