//! Looking at sidecars' status pages so often that it is known when they changed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::cluster::mesh::Node;
use crate::cluster::mesh_view::{self, View};
use crate::error::Error;
use crate::http::Session;

/// Time between two looks.
const PERIOD: Duration = Duration::from_millis(2);
/// Time that a sidecar has to give its page.
const PAGE_LIMIT: Duration = Duration::from_secs(1);
/// Time that anything may take that is waited for.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// The status page of one sidecar.
#[derive(Debug)]
pub(super) struct Page {
    /// The member that it is of.
    pub(super) member: String,
    session: Session,
}

/// Something that a page did not show at first.
#[derive(Debug)]
pub(super) struct Seen<T> {
    /// What it was.
    pub(super) value: T,
    /// It was not there before this.
    pub(super) since: Instant,
    /// It was there by this.
    pub(super) by: Instant,
}

impl Page {
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
            session: Session::new(address),
        })
    }

    /// Looks until the page shows what is looked for; at `since` it did not. A page that does not come shows nothing.
    ///
    /// # Errors
    /// It does not within [`LIMIT`].
    pub(super) async fn until<T>(
        &mut self,
        mut since: Instant,
        what: &str,
        seen: impl Fn(&View) -> Option<T>,
    ) -> Result<Seen<T>, Error> {
        let begun = Instant::now();
        loop {
            let asked = Instant::now();
            let view = mesh_view::fetch_again(&mut self.session, PAGE_LIMIT).await;
            if let Some(value) = view.as_ref().ok().and_then(&seen) {
                let by = Instant::now();
                return Ok(Seen { value, since, by });
            }
            since = asked;
            if begun.elapsed() > LIMIT {
                let last = view.map_or_else(|error| error, |view| format!("{:?}", view.groups));
                let expected = format!("within {LIMIT:?} on the page of {}: {what}", self.member);
                return Err(Error::unmet(expected, last));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Looks until the sidecar gives connections of `group` to `address`, or with `up` false no longer does: since
    /// when it is known to.
    ///
    /// # Errors
    /// As [`Page::until`].
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
