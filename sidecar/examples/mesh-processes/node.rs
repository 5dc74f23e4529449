//! One sidecar process, its status and its resources.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

const STATUS: u16 = 9090;
const DISCOVERY: u16 = 31000;
const TIMEOUT: Duration = Duration::from_secs(10);

/// A process, killed when dropped.
pub(crate) struct Node {
    process: Child,
    status: SocketAddr,
}

impl Node {
    /// Starts a sidecar on an address of its own.
    pub(crate) fn start(
        program: &Path,
        directory: &Path,
        address: [u8; 4],
        instances: u32,
    ) -> anyhow::Result<Self> {
        let address = Ipv4Addr::from(address);
        let discovery = directory.join(format!("{address}.discovery"));
        std::fs::write(
            &discovery,
            format!(
                "discovery.nic = lo\ndiscovery.address = {address}\ndiscovery.node_name = {address}\n\
                 discovery.search.mask = 24\n"
            ),
        )?;
        let mut offers = String::new();
        for number in 0..instances {
            // Offered instances must accept connections; the discovery port does.
            writeln!(
                offers,
                "add smart-node-delegate n{number} service s{number} zone scale nic lo port {DISCOVERY}"
            )?;
        }
        let load = directory.join(format!("{address}.conf"));
        std::fs::write(&load, offers)?;
        let status = SocketAddr::new(address.into(), STATUS);
        let process = Command::new(program)
            .args(["--end-with-stdin", "--workers", "1", "--discovery-config"])
            .arg(discovery)
            .arg("--load")
            .arg(load)
            .args(["--status", &status.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { process, status })
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.process.id())?).context("no process")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Numbers of nodes and instances that it reports as up.
    pub(crate) fn sees(&self) -> anyhow::Result<(f64, f64)> {
        let nodes = self.counted("sidecar_mesh_nodes{", "state=\"up\"")?;
        Ok((nodes, self.counted("sidecar_mesh_instances ", "")?))
    }

    /// The sum of a counter's samples with this label.
    pub(crate) fn counted(&self, name: &str, label: &str) -> anyhow::Result<f64> {
        let counters = self.counters(name)?;
        let labelled = counters
            .into_iter()
            .filter(|(counter, _)| counter.contains(label));
        Ok(labelled.map(|(_, value)| value).sum())
    }

    /// All samples whose name begins with this.
    pub(crate) fn counters(&self, name: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let page = self.get("/metrics")?;
        let lines = page.lines().filter(|line| line.starts_with(name));
        lines
            .map(|line| {
                let (counter, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
                Ok((
                    counter.to_owned(),
                    value.parse().with_context(|| line.to_owned())?,
                ))
            })
            .collect()
    }

    /// User and system CPU time.
    pub(crate) fn processor_seconds(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name in parentheses may contain spaces.
        let rest = text.rsplit(')').next().unwrap_or_default();
        let mut fields = rest.split_whitespace().skip(11);
        let mut ticks = || {
            fields
                .next()
                .and_then(|field| field.parse::<f64>().ok())
                .context("ticks")
        };
        #[allow(clippy::cast_precision_loss, reason = "it is 100")]
        let per_second = rustix::param::clock_ticks_per_second() as f64;
        Ok((ticks()? + ticks()?) / per_second)
    }

    /// Resident memory.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text
            .lines()
            .find(|line| line.starts_with("VmRSS:"))
            .context("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).context("VmRSS")?.parse()?;
        Ok(kib / 1024.0)
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.status, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.status
        );
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
            _ => bail!("{path}: {answer:.100}"),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
