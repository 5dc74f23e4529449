//! What the mesh offers instead of a service that a delegate waits for.

use super::suggestion::closest;
use crate::balance::service::{Instances, ServiceId};

/// Services that a message names.
const MAX_NAMED: usize = 5;

/// What the mesh offers instead of a service: the same name in other zones, a similar name, or the first services.
pub(super) fn instead_of(id: &ServiceId, instances: &Instances) -> String {
    let ServiceId { service, zone } = id;
    let offered = || {
        instances
            .offered
            .iter()
            .filter(|(_, all)| !all.is_empty())
            .map(|(id, _)| id)
    };
    let zones: Vec<_> = offered()
        .filter(|it| it.service == *service)
        .map(|it| it.zone.as_str())
        .collect();
    if !zones.is_empty() {
        return format!("the mesh has it in {}", listed(&zones));
    }
    let names = || {
        offered()
            .filter(|it| it.zone == *zone)
            .map(|it| it.service.as_str())
    };
    if let Some(similar) = closest(service, names()) {
        return format!("the mesh has {similar} there");
    }
    let all: Vec<_> = offered()
        .map(|it| format!("{} in {}", it.service, it.zone))
        .collect();
    match all.as_slice() {
        [] => "the mesh has no service at all".to_owned(),
        all => format!("the mesh has {}", listed(all)),
    }
}

fn listed<T: AsRef<str>>(all: &[T]) -> String {
    let named: Vec<_> = all.iter().take(MAX_NAMED).map(AsRef::as_ref).collect();
    match all.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::service::Instance;

    fn id(service: &str, zone: &str) -> ServiceId {
        ServiceId {
            service: service.to_owned(),
            zone: zone.to_owned(),
        }
    }

    fn offered(ids: &[(&str, &str)]) -> Instances {
        let instance = Instance {
            address: "10.0.0.1:80".parse().unwrap(),
            weight: 10,
            at_node: true,
        };
        let offered = ids
            .iter()
            .map(|(service, zone)| (id(service, zone), vec![instance.clone()]));
        Instances {
            offered: offered.collect(),
            ..Instances::default()
        }
    }

    #[test]
    fn the_nearest_service_is_named() {
        let mesh = offered(&[("hello", "shop"), ("cart", "shop"), ("hello", "test")]);
        for (wanted, expected) in [
            (id("hello", "shopp"), "the mesh has it in shop, test"),
            (id("helo", "shop"), "the mesh has hello there"),
            (
                id("pay", "shop"),
                "the mesh has cart in shop, hello in shop, hello in test",
            ),
        ] {
            assert_eq!(instead_of(&wanted, &mesh), expected);
        }
        let mut none = offered(&[("hello", "shop")]);
        none.offered.values_mut().for_each(Vec::clear);
        assert_eq!(
            instead_of(&id("hello", "shop"), &none),
            "the mesh has no service at all"
        );
        let zones: Vec<_> = (0..9).map(|n| format!("z{n}")).collect();
        let many: Vec<_> = zones.iter().map(|zone| ("s", zone.as_str())).collect();
        assert_eq!(
            instead_of(&id("s", "x"), &offered(&many)),
            "the mesh has it in z0, z1, z2, z3, z4 and 4 more"
        );
    }
}
