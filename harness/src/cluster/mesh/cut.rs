//! A mesh whose members do not reach each other: packets between them vanish, while their published ports answer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use futures_util::future::join_all;

use super::Mesh;
use crate::engine::NetworkCut;
use crate::error::Error;

/// Who does not reach whom, by the members' names: from the first to the second of each pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut(pub BTreeSet<(String, String)>);

impl Cut {
    /// Nothing goes from `from` to `to`; the other direction stays open.
    pub fn one_way(from: &str, to: &str) -> Self {
        Self(BTreeSet::from([(from.to_owned(), to.to_owned())]))
    }

    /// Nothing goes between the two.
    pub fn pair(one: &str, other: &str) -> Self {
        Self::split(&[one], &[other])
    }

    /// Nothing goes between any of `side` and any of `other`.
    pub fn split(side: &[&str], other: &[&str]) -> Self {
        let both = side
            .iter()
            .flat_map(|one| other.iter().flat_map(move |two| [(*one, *two), (*two, *one)]));
        let apart = both.filter(|(one, two)| one != two);
        Self(apart.map(|(one, two)| (one.to_owned(), two.to_owned())).collect())
    }

    /// Nothing goes between `node` and any other of `all`.
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
    /// Cuts the network until [`Mesh::heal`]; all of it is in force when this returns.
    ///
    /// # Errors
    /// The runtime cannot do that, there is no such member, or the engine's. Nothing of it is cut then.
    pub async fn cut(&mut self, cut: &Cut) -> Result<(), Error> {
        let mut actions = Vec::new();
        for (from, to) in cut.by_sender() {
            actions.push((from.to_owned(), NetworkCut::Block(self.addresses(&to)?)));
        }
        self.act(actions).await
    }

    /// Undoes all that [`Mesh::cut`] did.
    ///
    /// # Errors
    /// The engine's.
    pub async fn heal(&mut self) -> Result<(), Error> {
        let netcuts = std::mem::take(&mut self.netcuts);
        let healed = join_all(netcuts.iter().map(|netcut| self.engine.heal_network(netcut))).await;
        Ok(healed.into_iter().collect::<Result<(), _>>()?)
    }

    async fn act(&mut self, actions: Vec<(String, NetworkCut)>) -> Result<(), Error> {
        let ground = self.ground()?;
        let made = actions.iter().map(async |(member, action)| {
            let node = self.node(member)?;
            ground.cut_network(&self.engine, &node.container.id, action).await
        });
        // A helper that cannot be ended goes with the run.
        let undo = async |netcut: String| drop(self.engine.heal_network(&netcut).await);
        let made = all_or_none(made, undo).await?;
        self.netcuts.extend(made);
        Ok(())
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

/// What all of `works` have made; or their first error, when all are over and what the others have made is undone.
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
    async fn what_is_under_way_when_another_fails_is_undone() {
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
    fn a_cut_names_both_directions_except_where_one_is_asked_for() {
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
    fn each_sender_is_told_all_that_it_does_not_reach() {
        let cut = Cut::split(&["a"], &["b", "c"]);
        let senders = cut.by_sender();
        assert_eq!(senders["a"], ["b", "c"]);
        assert_eq!(senders["b"], ["a"]);
    }
}
