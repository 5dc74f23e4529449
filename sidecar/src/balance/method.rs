//! The balancing methods: what they are called and how each chooses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::endpoint::Endpoint;
use super::lease::Tried;
use super::{source, wrr};

/// How a group chooses among its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Method {
    /// Weighted round robin, smooth and exact.
    #[default]
    Wrr,
    /// Weighted least connections: the fewest active connections for its weight; equals take turns as in
    /// [`Method::Wrr`].
    Wlc,
    /// By the client's address: a client keeps its server while that is up.
    Source,
}

/// A word that names no method.
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
    /// The index of the one chosen among the candidates that stand best.
    pub(super) fn choose(self, members: &mut [Endpoint], client: IpAddr, tried: &Tried) -> Option<usize> {
        let best = members.iter().filter_map(|m| m.standing(tried)).max()?;
        let eligible = |m: &Endpoint| m.standing(tried) == Some(best);
        match self {
            Self::Wrr => wrr::next(members, eligible),
            Self::Wlc => {
                let loads = members.iter().filter(|m| eligible(m)).map(Endpoint::load);
                let least = loads.min_by(|a, b| a.cmp(*b))?;
                // Connections may end meanwhile, none can begin: who had the least has no more now.
                wrr::next(members, |m| eligible(m) && m.load().cmp(least).is_le())
            }
            Self::Source => {
                let bid = |m: &Endpoint| source::score(client, m.server.address(), m.weight);
                let bids = members.iter().enumerate().filter(|(_, m)| eligible(m));
                let bids = bids.map(|(index, m)| (index, bid(m)));
                bids.max_by(|(_, a), (_, b)| a.total_cmp(b))
                    .map(|(index, _)| index)
            }
        }
    }
}
