//! Smooth weighted round robin, as in nginx. Each pick adds every item's weight to its current weight, takes the item
//! with the highest current weight, and subtracts the total weight from it. In a cycle as long as the sum of the
//! weights, each item is picked as often as its weight says, evenly spread; equal weights alternate strictly.

/// An item with a weight.
pub(super) trait Weighted {
    /// Its share of picks relative to the other items.
    fn weight(&self) -> u32;
    /// Its current weight, kept between picks.
    fn current_weight(&mut self) -> &mut i64;
}

/// Picks the next of the eligible items, and returns its index; of equals, the lowest.
pub(super) fn next<T: Weighted>(items: &mut [T], eligible: impl Fn(&T) -> bool) -> Option<usize> {
    let mut total = 0;
    let mut highest: Option<(usize, i64)> = None;
    for (index, item) in items.iter_mut().enumerate() {
        if !eligible(item) {
            continue;
        }
        let weight = i64::from(item.weight());
        total += weight;
        let current = item.current_weight();
        *current += weight;
        if highest.is_none_or(|(_, most)| *current > most) {
            highest = Some((index, *current));
        }
    }
    let (index, _) = highest?;
    *items[index].current_weight() -= total;
    Some(index)
}

/// Starts a new cycle, so that shares are exact from the first pick after a change.
pub(super) fn restart<T: Weighted>(items: &mut [T]) {
    for item in items {
        *item.current_weight() = 0;
    }
}
