//! Selection: which of a group's endpoints a connection gets, by the group's balancing method.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::endpoint::Endpoint;
use super::{rendezvous, wrr};

/// A balancing method: how a group chooses among its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// Weighted round robin, smooth and exact.
    #[default]
    Wrr,
    /// Weighted least connections: the fewest active connections per weight; among equals, as [`Method::Wrr`].
    Wlc,
    /// By the client's address: a client keeps its server while the server is up.
    Source,
}

/// A word that names no balancing method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a balancing method: expected wrr, wlc or source")]
pub struct UnknownMethod(pub String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(word: &str) -> Result<Self, UnknownMethod> {
        match word {
            "wrr" => Ok(Self::Wrr),
            "wlc" => Ok(Self::Wlc),
            "source" => Ok(Self::Source),
            _ => Err(UnknownMethod(word.to_owned())),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrr => "wrr",
            Self::Wlc => "wlc",
            Self::Source => "source",
        })
    }
}

impl Method {
    /// Selects one of the eligible endpoints, by its index.
    pub(super) fn select(
        self,
        endpoints: &mut [Endpoint],
        client: IpAddr,
        eligible: impl Fn(&Endpoint) -> bool,
    ) -> Option<usize> {
        match self {
            Self::Wrr => wrr::next(endpoints, eligible),
            Self::Wlc => {
                let loads = endpoints.iter().filter(|e| eligible(e)).map(Endpoint::load);
                let least = loads.min_by(|a, b| a.cmp(*b))?;
                // While the group is locked, connections can end but not begin: the least loaded endpoint has at most
                // this load.
                wrr::next(endpoints, |e| eligible(e) && e.load().cmp(least).is_le())
            }
            Self::Source => {
                let score = |e: &Endpoint| rendezvous::score(client, e.server.address(), e.weight);
                let eligible = endpoints.iter().enumerate().filter(|(_, e)| eligible(e));
                let scores = eligible.map(|(index, e)| (index, score(e)));
                scores
                    .max_by(|(_, a), (_, b)| a.total_cmp(b))
                    .map(|(index, _)| index)
            }
        }
    }
}
