//! The command line of the frontend program: see [`example_services::frontend`].

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use example_services::frontend::{self, Config};
use example_services::program;
use example_services::upstream::{self, Backend};
use tokio::net::TcpListener;

#[derive(clap::Args)]
pub(crate) struct FrontendArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080", value_parser = upstream::address)]
    listen: SocketAddr,
    /// The sidecar's SOCKS5 server
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1080", value_parser = upstream::address)]
    socks5: SocketAddr,
    /// A service to offer, with the sidecar's load balancer for it (for ?via=lb); repeat for each service.
    /// Through SOCKS5 the service is requested as NAME.my.service.com:80
    #[arg(long = "lb", value_name = "NAME=ADDRESS", default_values = ["a=127.0.0.1:8081", "b=127.0.0.1:8082"])]
    backends: Vec<Backend>,
}

impl FrontendArgs {
    pub(crate) fn run(self) -> ExitCode {
        program::run(async move |stop| {
            distinct(&self.backends)?;
            let listener = TcpListener::bind(self.listen).await.with_context(|| {
                format!(
                    "cannot listen on {} (set another address with --listen)",
                    self.listen
                )
            })?;
            let config = Config {
                socks5: self.socks5,
                backends: self.backends,
                timeout: upstream::TIMEOUT,
            };
            frontend::run(listener, config, stop).await
        })
    }
}

/// Refuses two services with the same name: only the first would be used.
fn distinct(backends: &[Backend]) -> anyhow::Result<()> {
    for (i, backend) in backends.iter().enumerate() {
        if backends[..i].iter().any(|other| other.name == backend.name) {
            bail!(
                "--lb names the service {} twice; expected each once",
                backend.name
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        frontend: FrontendArgs,
    }

    fn parsed(words: &[&str]) -> Result<FrontendArgs, clap::Error> {
        let line = Line::try_parse_from(["frontend"].iter().chain(words));
        line.map(|line| line.frontend)
    }

    #[test]
    fn a_service_named_twice_is_refused() {
        let named = |words: &[&str]| distinct(&parsed(words).unwrap().backends);
        named(&[]).unwrap();
        named(&["--lb", "a=127.0.0.1:1", "--lb", "b=127.0.0.1:1"]).unwrap();
        let error = named(&["--lb", "a=127.0.0.1:1", "--lb", "a=127.0.0.1:2"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--lb names the service a twice; expected each once"
        );
    }

    #[test]
    fn a_malformed_address_is_refused_with_an_example() {
        for flag in ["--listen", "--socks5"] {
            assert!(parsed(&[flag, "127.0.0.1:1080"]).is_ok(), "{flag}");
            for text in ["localhost:1080", "1080", "127.0.0.1"] {
                let message = parsed(&[flag, text]).err().unwrap().to_string();
                assert!(message.contains("expected an IP address and a port"), "{message}");
            }
        }
    }
}
