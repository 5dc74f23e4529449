//! Bodies for the HTTP controller, over a connection.

use crate::door::{Door, recorded};
use crate::mutation::Mutations;
use crate::{SEED, Shown};

/// Changed bodies, each of which takes a round trip.
const BODIES: usize = 2_000;

#[tokio::test]
async fn bodies() {
    let mut door = Door::open().await;
    let requests = recorded();
    let seeds = requests.iter().map(|it| it.body.clone()).collect();
    for (number, body) in Mutations::new(seeds, SEED).take(BODIES).enumerate() {
        let _shown = Shown(&body);
        door.send(&requests[number % requests.len()], &body).await;
    }
}
