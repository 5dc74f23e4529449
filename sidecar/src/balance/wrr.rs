//! Smooth weighted round robin: each turn everybody gains their weight, the richest is chosen and pays
//! what all gained. So a cycle of as many turns as the weights' sum gives each exactly its weight, spread
//! evenly, and equal weights alternate strictly.

/// Somebody who takes turns.
pub(super) trait Turns {
    /// The share of turns relative to the others.
    fn weight(&self) -> u32;
    /// What has been gained and not yet paid.
    fn credit(&mut self) -> &mut i64;
}

/// Takes one turn among the eligible: the index of whose it is, the earlier one where credits are equal.
pub(super) fn next<T: Turns>(all: &mut [T], eligible: impl Fn(&T) -> bool) -> Option<usize> {
    let mut total = 0;
    let mut richest: Option<(usize, i64)> = None;
    for (index, one) in all.iter_mut().enumerate() {
        if !eligible(one) {
            continue;
        }
        let weight = i64::from(one.weight());
        total += weight;
        let credit = one.credit();
        *credit += weight;
        if richest.is_none_or(|(_, most)| *credit > most) {
            richest = Some((index, *credit));
        }
    }
    let (index, _) = richest?;
    *all[index].credit() -= total;
    Some(index)
}

/// Starts a fresh cycle, so that shares are exact from the first turn after a change.
pub(super) fn restart<T: Turns>(all: &mut [T]) {
    for one in all {
        *one.credit() = 0;
    }
}
