//! The packet loss that results from all active network faults. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fault::Fault;

/// Packet loss in percent from one member to another. Pairs without loss are left out.
pub type Losses = BTreeMap<(String, String), u8>;

/// The loss of a cut connection, in percent.
pub const ALL: u8 = 100;

/// The losses between `members` while `faults` are active. If several faults affect a pair, the highest loss applies.
pub fn losses<'a>(faults: impl IntoIterator<Item = &'a Fault>, members: &[&str]) -> Losses {
    let mut losses = Losses::new();
    for fault in faults {
        for (from, to, percent) in affected(fault, members) {
            let loss = losses.entry((from.to_owned(), to.to_owned())).or_default();
            *loss = percent.max(*loss);
        }
    }
    losses
}

/// The pairs that a fault affects, with the loss of each.
fn affected<'a>(fault: &'a Fault, members: &[&'a str]) -> Vec<(&'a str, &'a str, u8)> {
    let around = |member: &'a str, percent| {
        let others = members.iter().copied().filter(move |other| *other != member);
        let both = move |other| [(member, other, percent), (other, member, percent)];
        others.flat_map(both).collect()
    };
    match fault {
        Fault::CutNode { member } => around(member, ALL),
        Fault::Lose { member, percent } => around(member, *percent),
        Fault::CutPair { a, b } => vec![(a, b, ALL), (b, a, ALL)],
        Fault::CutOneWay { from, to } => vec![(from, to, ALL)],
        _ => Vec::new(),
    }
}

/// The addresses of the members to which packets from `from` are lost, grouped by the loss. Members without an address
/// are left out: they are not running.
pub fn of_sender(
    losses: &Losses,
    from: &str,
    addresses: &BTreeMap<String, IpAddr>,
) -> BTreeMap<u8, Vec<IpAddr>> {
    let mut by_loss: BTreeMap<u8, Vec<IpAddr>> = BTreeMap::new();
    for ((sender, to), percent) in losses {
        if sender == from
            && let Some(address) = addresses.get(to)
        {
            by_loss.entry(*percent).or_default().push(*address);
        }
    }
    by_loss
}

#[cfg(test)]
mod tests;
