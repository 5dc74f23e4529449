//! The command line of the frontend program: see [`example_services::frontend`].

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use example_services::frontend::{self, Config};
use example_services::name::Name;
use example_services::program;
use example_services::upstream::{self, Backend, LoadBalancer};
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
    lbs: Vec<LoadBalancer>,
    /// The sidecar's load balancer of HTTP requests to one of these services (for ?via=http); repeat for each
    #[arg(long = "http-lb", value_name = "NAME=ADDRESS")]
    http_lbs: Vec<LoadBalancer>,
}

impl FrontendArgs {
    pub(crate) fn run(self) -> ExitCode {
        program::run(async move |stop| {
            let backends = backends(self.lbs, &self.http_lbs)?;
            let listener = TcpListener::bind(self.listen).await.with_context(|| {
                format!(
                    "cannot listen on {} (set another address with --listen)",
                    self.listen
                )
            })?;
            let config = Config {
                socks5: self.socks5,
                backends,
                timeout: upstream::TIMEOUT,
            };
            frontend::run(listener, config, stop).await
        })
    }
}

/// The services with their load balancers. Refuses a second one of a service, which would not be used.
fn backends(lbs: Vec<LoadBalancer>, http_lbs: &[LoadBalancer]) -> anyhow::Result<Vec<Backend>> {
    for (flag, named) in [("--lb", &lbs[..]), ("--http-lb", http_lbs)] {
        for (i, lb) in named.iter().enumerate() {
            let name = &lb.service;
            if named[..i].iter().any(|other| other.service == *name) {
                bail!("{flag} names the service {name} twice; expected each once");
            }
        }
    }
    let http = |name: &Name| http_lbs.iter().find(|lb| lb.service == *name);
    if let Some(unknown) = http_lbs
        .iter()
        .find(|http| lbs.iter().all(|lb| lb.service != http.service))
    {
        bail!(
            "--http-lb names the service {}; expected one that --lb names",
            unknown.service
        );
    }
    let backend = |lb: LoadBalancer| {
        let http = http(&lb.service).map(|lb| lb.address);
        Backend::new(lb, http)
    };
    Ok(lbs.into_iter().map(backend).collect())
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
        let named = |words: &[&str]| {
            let parsed = parsed(words).unwrap();
            backends(parsed.lbs, &parsed.http_lbs).map_err(|error| error.to_string())
        };
        assert_eq!(named(&[]).unwrap().len(), 2);
        named(&["--lb", "a=127.0.0.1:1", "--lb", "b=127.0.0.1:1"]).unwrap();
        for flag in ["--lb", "--http-lb"] {
            let error = named(&[flag, "a=127.0.0.1:1", flag, "a=127.0.0.1:2"]).unwrap_err();
            let expected = format!("{flag} names the service a twice; expected each once");
            assert_eq!(error, expected);
        }
        let both = named(&["--http-lb", "b=127.0.0.1:3"]).unwrap();
        let http: Vec<_> = both
            .iter()
            .map(|backend| backend.http.map(|at| at.port()))
            .collect();
        assert_eq!(http, [None, Some(3)]);
        let error = named(&["--http-lb", "c=127.0.0.1:3"]).unwrap_err();
        assert_eq!(
            error,
            "--http-lb names the service c; expected one that --lb names"
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
