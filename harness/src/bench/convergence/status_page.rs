//! Polls sidecars' status pages to measure the time of a change.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::mesh::Node;
use crate::cluster::mesh_view::{self, View};
use crate::error::Error;
use crate::http::{Session, Version};

/// Polling interval of a page.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Timeout for one request.
const PAGE_TIMEOUT: Duration = Duration::from_secs(1);
/// Timeout for any change.
pub(super) const CHANGE_TIMEOUT: Duration = Duration::from_secs(30);

/// The status page of one sidecar.
#[derive(Debug)]
pub(super) struct StatusPage {
    /// Name of the sidecar's member.
    pub(super) member: String,
    session: Session,
}

/// A value that appeared on a page between two requests.
#[derive(Debug)]
pub(super) struct PageChange<T> {
    /// The value.
    pub(super) value: T,
    /// Time at which the last request without it was sent.
    pub(super) after: Instant,
    /// Time at which the first response with it was read.
    pub(super) by: Instant,
}

impl StatusPage {
    /// The page of `node`'s sidecar.
    ///
    /// # Errors
    /// Its port is not published.
    pub(super) fn of(node: &Node) -> Result<Self, Error> {
        let port = node.member.status_port;
        let address = node.container.endpoint(port).ok_or_else(|| {
            let what = format!("{} does not publish port {port}", node.container.name);
            Error::environment(what, "check whether it is still running")
        })?;
        Ok(Self {
            member: node.member.name().to_owned(),
            session: Session::new(address, Version::Http1),
        })
    }

    /// Polls until `find` finds a value in the page. The value must not have been on the page at `after`. Failed
    /// requests are ignored.
    ///
    /// # Errors
    /// The value, described by `what`, is not found within [`CHANGE_TIMEOUT`].
    pub(super) async fn until<T>(
        &mut self,
        mut after: Instant,
        what: &str,
        find: impl Fn(&View) -> Option<T>,
    ) -> Result<PageChange<T>, Error> {
        let started_at = Instant::now();
        loop {
            let asked = Instant::now();
            let view = mesh_view::fetch_again(&self.session, PAGE_TIMEOUT).await;
            if let Some(value) = view.as_ref().ok().and_then(&find) {
                let by = Instant::now();
                return Ok(PageChange { value, after, by });
            }
            after = asked;
            if started_at.elapsed() > CHANGE_TIMEOUT {
                let last = view.map_or_else(|error| error, |view| format!("{:?}", view.groups));
                let expected = format!("within {CHANGE_TIMEOUT:?} on the page of {}: {what}", self.member);
                return Err(Error::unmet(expected, last));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Polls until `address` is up in `group` or, if `up` is false, is not. Returns the time of that response.
    ///
    /// # Errors
    /// As [`StatusPage::until`].
    pub(super) async fn until_up(
        &mut self,
        up: bool,
        group: &str,
        address: SocketAddr,
    ) -> Result<Instant, Error> {
        let what = format!("{address} of {group} {}", if up { "UP" } else { "not UP" });
        let shows = |view: &View| (view.up(group, address) == up).then_some(());
        Ok(self.until(Instant::now(), &what, shows).await?.by)
    }
}
