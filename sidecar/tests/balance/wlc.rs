//! Weighted least connections.

use proptest::prelude::*;
use std::time::Instant;

use sidecar::balance::{Lease, Method, Tried};

use super::{CLIENT, group, index_of, shares};

proptest! {
    #[test]
    fn the_server_with_the_least_connections_per_weight_is_next(
        weights in prop::collection::vec(1u32..10, 1..6), ends in prop::collection::vec(any::<u16>(), 1..80),
    ) {
        let group = group(Method::Wlc, &weights);
        let mut open: Vec<Lease> = Vec::new();
        let mut active = vec![0u32; weights.len()];
        for end in ends {
            // Two connections start for each that ends, so that load builds up.
            for _ in 0..2 {
                let lease = group.pick(CLIENT, &Tried::new(Instant::now())).unwrap();
                let chosen = index_of(lease.server().name());
                for other in 0..weights.len() {
                    prop_assert!(
                        active[chosen] * weights[other] <= active[other] * weights[chosen],
                        "s{} before s{} with {:?} of {:?}", chosen, other, active, weights
                    );
                }
                active[chosen] += 1;
                open.push(lease);
            }
            let ended = open.swap_remove(usize::from(end) % open.len());
            active[index_of(ended.server().name())] -= 1;
        }
    }

    #[test]
    fn equals_take_turns(weights in prop::collection::vec(1u32..20, 1..6)) {
        let group = group(Method::Wlc, &weights);
        let total = weights.iter().sum::<u32>() as usize;
        // Each connection ends before the next starts, so all loads are equal.
        prop_assert_eq!(shares(&group, weights.len(), total), weights);
    }
}
