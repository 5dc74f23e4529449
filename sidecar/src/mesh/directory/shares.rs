//! Shares of a table that is full: each address may fill as much of it as any other (max-min fairness). Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// Lists that were shortened to make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The address of their nodes.
    pub address: IpAddr,
    /// How many service nodes were dropped.
    pub services: usize,
}

/// Adds to what was cut at an address.
pub(super) fn note(cuts: &mut Vec<Cut>, address: IpAddr, services: usize) {
    match cuts.iter_mut().find(|cut| cut.address == address) {
        Some(cut) => cut.services += services,
        None => cuts.push(Cut { address, services }),
    }
}

/// The lists that are to be shortened so that all fit, and to what length. Of each the address, its key and its length is
/// given. The address that holds most is cut first, and of its lists the longest: none is cut to less than an equal share.
pub(super) fn cuts<K: Ord + Clone>(
    lists: impl IntoIterator<Item = (IpAddr, K, usize)>,
    capacity: usize,
) -> Vec<(K, usize)> {
    let mut holders: BTreeMap<IpAddr, Vec<(K, usize)>> = BTreeMap::new();
    for (address, key, length) in lists {
        holders.entry(address).or_default().push((key, length));
    }
    let held = |lists: &[(K, usize)]| lists.iter().map(|(_, length)| length).sum();
    let holdings = holders
        .iter()
        .map(|(address, lists)| (*address, held(lists)))
        .collect();
    let cut = shortened(holdings, capacity);
    cut.into_iter()
        .flat_map(|(address, share)| shortened(holders.remove(&address).unwrap_or_default(), share))
        .collect()
}

/// Those of these sizes that exceed their fair share of the capacity, with their share.
fn shortened<K: Ord>(mut sizes: Vec<(K, usize)>, capacity: usize) -> Vec<(K, usize)> {
    sizes.sort_by(|(a, of_a), (b, of_b)| (of_a, a).cmp(&(of_b, b)));
    let (mut room, mut left) = (capacity, sizes.len());
    let mut shortened = Vec::new();
    // The small ones leave what they do not use to the larger ones.
    for (key, size) in sizes {
        let share = size.min(room / left);
        room -= share;
        left -= 1;
        if share < size {
            shortened.push((key, share));
        }
    }
    shortened
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(host: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, host])
    }

    /// The lengths of these lists after the cuts, by key.
    fn after(lists: &[(IpAddr, usize, usize)], capacity: usize) -> BTreeMap<usize, usize> {
        let mut lengths: BTreeMap<_, _> = lists.iter().map(|(_, key, length)| (*key, *length)).collect();
        lengths.extend(cuts(lists.iter().copied(), capacity));
        lengths
    }

    proptest! {
        #[test]
        fn all_fit_and_no_address_is_cut_below_an_equal_share(
            lists in proptest::collection::vec((0..6_u8, 0..40_usize), 1..40),
            capacity in 0..400_usize,
        ) {
            let lists: Vec<_> = lists
                .into_iter()
                .enumerate()
                .map(|(key, (host, length))| (address(host), key, length))
                .collect();
            let before: usize = lists.iter().map(|(_, _, length)| length).sum();
            let lengths = after(&lists, capacity);
            prop_assert_eq!(lengths.values().sum::<usize>(), before.min(capacity), "all room is used");
            let (mut held, mut kept) = (BTreeMap::new(), BTreeMap::new());
            for (address, key, length) in &lists {
                prop_assert!(lengths[key] <= *length);
                *held.entry(*address).or_insert(0) += length;
                *kept.entry(*address).or_insert(0) += lengths[key];
            }
            let largest = kept.values().max().copied().unwrap_or_default();
            let equal = capacity / held.len();
            for (address, kept) in kept {
                let cut = kept < held[&address];
                prop_assert!(!cut || kept >= equal, "{address} keeps {kept} of {}", held[&address]);
                prop_assert!(!cut || kept + 1 >= largest, "{address} keeps {kept}, another {largest}");
            }
        }
    }

    #[test]
    fn of_one_address_the_longest_lists_are_cut() {
        let lists = [(address(1), 0, 30), (address(1), 1, 5), (address(1), 2, 25)];
        let expected = BTreeMap::from([(0, 17), (1, 5), (2, 16)]);
        let found = after(&lists, 38);
        assert_eq!(found.values().sum::<usize>(), 38);
        assert!(found[&0].abs_diff(found[&2]) <= 1, "{found:?}");
        assert_eq!(found[&1], expected[&1]);
    }
}
