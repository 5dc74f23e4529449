//! Networks and the addresses on them.

use std::collections::BTreeMap;

use super::super::fixture::{Fixture, service};
use crate::engine::ContainerSpec;

#[tokio::test]
async fn networks_do_not_overlap_and_a_free_address_is_not_reused_at_once() {
    let fixture = Fixture::new().await;
    let labels = BTreeMap::from([("of".to_owned(), "x".to_owned())]);
    let second = fixture.engine.create_network("net", &labels).await.unwrap();
    let found = fixture.engine.networks("of").await.unwrap();
    assert_eq!(
        (found.len(), found[0].id.as_str(), found[0].name.as_str()),
        (1, second.as_str(), "net")
    );
    let mut seen = Vec::new();
    for (number, network) in [&fixture.network, &fixture.network, &second]
        .into_iter()
        .enumerate()
    {
        let spec = ContainerSpec {
            service: service(&format!("c{number}"), ""),
            network: network.clone(),
            labels: labels.clone(),
            lifeline: false,
        };
        let id = fixture.engine.create(spec).await.unwrap();
        seen.push(fixture.engine.core.record(&id, "").unwrap().address.octets());
        fixture.engine.remove(&id).await.unwrap();
    }
    assert_eq!(seen[0][..3], seen[1][..3]);
    assert_ne!(seen[0][..3], seen[2][..3]);
    assert_eq!([seen[0][3], seen[1][3], seen[2][3]], [2, 3, 2]);
}
