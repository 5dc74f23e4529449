//! Decides which services call which by a waypoint: the links.

use std::collections::{BTreeMap, BTreeSet};

use super::images::stateful;
use super::model::{Config, Service};
use super::settings::{Calls, Settings};

/// Pairs of consumer and called service up to which every pair on a common network is linked. Above it, a consumer is
/// linked to what it names in `depends_on`, `links`, its environment or its command, because each link is a name that
/// Compose and the engine keep.
pub(super) const PAIRS_LIMIT: usize = 100;

/// For each consumer the names that it calls, and the called service of each.
pub(super) type Links = BTreeMap<String, BTreeMap<String, String>>;

/// The links, and whether their number was limited.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Linked {
    pub(super) links: Links,
    pub(super) limited: bool,
}

/// Links the project's services to those `called`. A service in the network namespace of another one cannot have
/// links: the namespace's owner gets them.
pub(super) fn links(
    config: &Config,
    settings: &BTreeMap<String, Settings>,
    called: &BTreeSet<String>,
) -> Result<Linked, String> {
    let mut pairs = BTreeSet::new();
    for (consumer, service) in &config.services {
        let Some(owner) = config.namespace_owner(consumer) else {
            continue;
        };
        let calls = &settings[consumer].calls;
        if let Calls::These(these) = calls
            && let Some(missing) = these.iter().find(|callee| !config.services.contains_key(*callee))
        {
            return Err(format!(
                "services.{consumer}: mesh.calls: `{missing}`: expected active services of the project"
            ));
        }
        let image = service.image.as_deref().unwrap_or_default();
        if *calls == Calls::Found && stateful(image) {
            continue;
        }
        let networks = &config.services[owner].networks;
        for callee in called {
            let reached = config.services[callee]
                .networks
                .keys()
                .any(|key| networks.contains_key(key));
            let wanted = match calls {
                Calls::These(these) => these.contains(callee),
                Calls::Found | Calls::All => true,
            };
            if callee != owner && reached && wanted {
                pairs.insert((consumer, owner, callee));
            }
        }
    }
    let limited = pairs.len() > PAIRS_LIMIT;
    let mut links = Links::new();
    for (consumer, owner, callee) in pairs {
        let kept = !limited
            || settings[consumer].calls != Calls::Found
            || names(&config.services[consumer], &config.services[callee], callee);
        if kept {
            let names = linked_names(config, owner, callee);
            let linked = links.entry(owner.to_owned()).or_default();
            linked.extend(names.into_iter().map(|name| (name, callee.clone())));
        }
    }
    links.retain(|_, names| !names.is_empty());
    Ok(Linked { links, limited })
}

/// Whether a service names the callee.
fn names(service: &Service, callee: &Service, name: &str) -> bool {
    let word = |name: &str| {
        let part = |character: char| character.is_alphanumeric() || "-_".contains(character);
        service
            .mentions
            .split(|character| !part(character))
            .any(|word| word == name)
    };
    let aliases = callee
        .networks
        .values()
        .flat_map(|attachment| &attachment.aliases);
    service.depends_on.contains_key(name)
        || service.links.values().any(|target| target == name)
        || word(name)
        || aliases.chain(&callee.container_name).any(|alias| word(alias))
}

/// The names by which `consumer` calls `callee`: its name, its aliases on common networks, the container's name, and the
/// consumer's own `links`. Left out are those that the consumer defines otherwise, and those of other services.
fn linked_names(config: &Config, consumer: &str, callee: &str) -> Vec<String> {
    let (from, to) = (&config.services[consumer], &config.services[callee]);
    let common = to
        .networks
        .iter()
        .filter(|(key, _)| from.networks.contains_key(*key));
    let aliases = common.flat_map(|(_, attachment)| attachment.aliases.clone());
    let own_links = from.links.iter().filter(|(_, target)| *target == callee);
    let mut names: BTreeSet<String> = std::iter::once(callee.to_owned())
        .chain(aliases)
        .chain(to.container_name.clone())
        .collect();
    names.retain(|name| !others_name(config, name, callee));
    // A name that the consumer links to another service means that service.
    names.retain(|name| from.links.get(name).is_none_or(|target| target == callee));
    names.extend(own_links.map(|(alias, _)| alias.clone()));
    names.retain(|name| !from.own_names.contains(name));
    names.into_iter().collect()
}

/// Whether a name also means a service other than `callee`.
fn others_name(config: &Config, name: &str, callee: &str) -> bool {
    config.services.iter().any(|(other, service)| {
        let mut aliases = service
            .networks
            .values()
            .flat_map(|attachment| &attachment.aliases);
        let own = other == name
            || service.container_name.as_deref() == Some(name)
            || aliases.any(|alias| alias == name);
        other != callee && own
    })
}
