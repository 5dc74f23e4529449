//! The command line of the service program: see [`example_services::service`].

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use example_services::name::Name;
use example_services::program;
use example_services::registration::{Registration, Sidecar, Token};
use example_services::service::{self, Config};

#[derive(clap::Args)]
pub(crate) struct ServiceArgs {
    /// The service's name: NAME is registered as my-service-NAME
    name: Name,
    /// Weight relative to the other instances; the sidecar's default is 10
    #[arg(long, value_name = "N")]
    weight: Option<u32>,
    /// Zone to register in
    #[arg(long, default_value = "example")]
    zone: Name,
    /// Network interface whose address the sidecar announces
    #[arg(long, default_value = "eth0")]
    nic: String,
    /// The sidecar's HTTP controller
    #[arg(long, value_name = "URL", default_value_t = Sidecar::default())]
    sidecar: Sidecar,
    /// A file with the token that the sidecar's controller requires; or set SIDECAR_HTTP_TOKEN
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Address to listen on; the sidecar allocates the port
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    listen: IpAddr,
    /// Host in the responses; by default the host's name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Timeout for the registration, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 30_000, hide = true)]
    registration_limit: u64,
}

impl ServiceArgs {
    pub(crate) fn run(self) -> ExitCode {
        program::run(|stop| async move {
            let token = Token::given(self.token_file.as_deref())?;
            let config = Config {
                registration: Registration::new(&self.name, &self.zone, &self.nic, self.weight),
                name: self.name,
                sidecar: self.sidecar.with_token(token),
                listen: self.listen,
                host: self.host,
                registration_timeout: Duration::from_millis(self.registration_limit),
            };
            Box::pin(service::run(config, stop)).await
        })
    }
}
