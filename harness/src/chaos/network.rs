//! What the faults of a network that are on come to, together: pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::fault::Fault;

/// The share in percent that is lost of all that one member sends to another; those of which nothing is lost are left
/// out.
pub type Losses = BTreeMap<(String, String), u8>;

/// Percent of what arrives nowhere.
pub const ALL: u8 = 100;

/// The losses on the ways between `members` while `faults` are on. Where several say something of one way, the worst
/// holds.
pub fn losses<'a>(faults: impl IntoIterator<Item = &'a Fault>, members: &[&str]) -> Losses {
    let mut losses = Losses::new();
    for fault in faults {
        for (from, to, percent) in ways(fault, members) {
            let loss = losses.entry((from.to_owned(), to.to_owned())).or_default();
            *loss = percent.max(*loss);
        }
    }
    losses
}

fn ways<'a>(fault: &'a Fault, members: &[&'a str]) -> Vec<(&'a str, &'a str, u8)> {
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

/// What is to be lost of that which `from` sends, by the share: the addresses of whom it is sent to. Members without an
/// address are not there to hear anything.
pub fn of_sender(
    losses: &Losses,
    from: &str,
    addresses: &BTreeMap<String, IpAddr>,
) -> BTreeMap<u8, Vec<IpAddr>> {
    let mut shares: BTreeMap<u8, Vec<IpAddr>> = BTreeMap::new();
    for ((sender, to), percent) in losses {
        if sender == from
            && let Some(address) = addresses.get(to)
        {
            shares.entry(*percent).or_default().push(*address);
        }
    }
    shares
}

#[cfg(test)]
mod tests;
