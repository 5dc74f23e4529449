//! Network partitions: packets between members are lost, while their published ports still work.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures_util::future::join_all;

use super::Mesh;
use crate::engine::NetworkCut;
use crate::error::Error;

/// Pairs of members by name: packets from the first to the second are lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut(pub BTreeSet<(String, String)>);

impl Cut {
    /// Cuts the direction from `from` to `to` only.
    pub fn one_way(from: &str, to: &str) -> Self {
        Self(BTreeSet::from([(from.to_owned(), to.to_owned())]))
    }

    /// Cuts both directions between two members.
    pub fn pair(one: &str, other: &str) -> Self {
        Self::split(&[one], &[other])
    }

    /// Cuts both directions between each member of `side` and each member of `other`.
    pub fn split(side: &[&str], other: &[&str]) -> Self {
        let both = side
            .iter()
            .flat_map(|one| other.iter().flat_map(move |two| [(*one, *two), (*two, *one)]));
        let apart = both.filter(|(one, two)| one != two);
        Self(apart.map(|(one, two)| (one.to_owned(), two.to_owned())).collect())
    }

    /// Cuts both directions between `node` and each other member of `all`.
    pub fn node(node: &str, all: &[&str]) -> Self {
        Self::split(&[node], all)
    }

    fn by_sender(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut senders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (from, to) in &self.0 {
            senders.entry(from).or_default().push(to);
        }
        senders
    }
}

impl Mesh {
    /// Cuts the network until [`Mesh::heal`]; the whole cut is in force when this returns.
    ///
    /// # Errors
    /// The engine does not support cuts, there is no such member, or the engine fails. Nothing is cut then.
    pub async fn cut(&mut self, cut: &Cut) -> Result<(), Error> {
        let spec = self.spec()?;
        let mut cuts = Vec::new();
        for (from, to) in cut.by_sender() {
            cuts.push((self.node(from)?, NetworkCut::Block(self.addresses(&to)?)));
        }
        let cutting = cuts
            .iter()
            .map(async |(node, cut)| spec.cut_network(&self.engine, &node.container.id, cut).await);
        // A helper that cannot be stopped is removed with the run.
        let undo = async |helper: String| drop(self.engine.heal_network(&helper).await);
        let helpers = all_or_none(cutting, undo).await?;
        self.netcuts.extend(helpers);
        Ok(())
    }

    /// Heals all cuts of [`Mesh::cut`].
    ///
    /// # Errors
    /// The engine fails.
    pub async fn heal(&mut self) -> Result<(), Error> {
        let helpers = std::mem::take(&mut self.netcuts);
        let healed = join_all(helpers.iter().map(|helper| self.engine.heal_network(helper))).await;
        Ok(healed.into_iter().collect::<Result<(), _>>()?)
    }

    fn addresses(&self, members: &[&str]) -> Result<Vec<IpAddr>, Error> {
        let address = |name: &&str| {
            let container = &self.node(name)?.container;
            container.address.ok_or_else(|| {
                Error::environment(
                    format!("{} has no address on the mesh's network", container.name),
                    "check whether it is still running",
                )
            })
        };
        members.iter().map(address).collect()
    }
}

/// The results of all `works`. If one fails, waits for the others, undoes them, and returns the first error.
async fn all_or_none<T, E>(
    works: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
    undo: impl AsyncFn(T),
) -> Result<Vec<T>, E> {
    let (mut made, mut failed) = (Vec::new(), None);
    for result in join_all(works).await {
        match result {
            Ok(one) => made.push(one),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        None => Ok(made),
        Some(error) => {
            join_all(made.into_iter().map(|one| undo(one))).await;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn completed_work_is_undone_if_other_work_fails() {
        let undone = RefCell::new(Vec::new());
        let undo = async |one: u64| undone.borrow_mut().push(one);
        let work = async |after: u64| {
            tokio::time::sleep(Duration::from_secs(after)).await;
            if after % 2 == 1 { Err(after) } else { Ok(after) }
        };
        assert_eq!(all_or_none([4, 2].map(work), undo).await, Ok(vec![4, 2]));
        assert!(undone.take().is_empty());
        assert_eq!(all_or_none([4, 1, 2, 3].map(work), undo).await, Err(1));
        assert_eq!(undone.take(), [4, 2]);
    }

    fn pairs(cut: &Cut) -> Vec<String> {
        cut.0.iter().map(|(from, to)| format!("{from}>{to}")).collect()
    }

    #[test]
    fn a_cut_has_both_directions_unless_it_is_one_way() {
        assert_eq!(pairs(&Cut::one_way("a", "b")), ["a>b"]);
        assert_eq!(pairs(&Cut::pair("a", "b")), ["a>b", "b>a"]);
        assert_eq!(
            pairs(&Cut::node("a", &["a", "b", "c"])),
            ["a>b", "a>c", "b>a", "c>a"]
        );
        assert_eq!(
            pairs(&Cut::split(&["a", "b"], &["c"])),
            ["a>c", "b>c", "c>a", "c>b"]
        );
    }

    #[test]
    fn a_cut_is_grouped_by_sender() {
        let cut = Cut::split(&["a"], &["b", "c"]);
        let senders = cut.by_sender();
        assert_eq!(senders["a"], ["b", "c"]);
        assert_eq!(senders["b"], ["a"]);
    }
}
