//! Clients of a group with nothing but last choices: each tries two of them, and then they fail at once for a second.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use sidecar::balance::service::LastChoice;
use sidecar::balance::{LearnedServer, MAX_LAST_CHOICES, Method, OPEN_FOR, ServerGroup};
use sidecar::fault::Fault;
use sidecar::proxy::connect::{ConnectError, Connected, OnFailure, Reason, connect};

use super::support::{config, instance, refusing, silent};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn last_choices(addresses: impl IntoIterator<Item = std::net::SocketAddr>) -> Arc<ServerGroup> {
    let group = ServerGroup::new("g", config(), Method::Wrr);
    let servers = addresses
        .into_iter()
        .enumerate()
        .map(|(index, address)| LearnedServer {
            name: format!("s{index}"),
            address,
            weight: 10,
            last_choice: Some(LastChoice::NodeDown),
            at_node: true,
        });
    group.follow_mesh(servers, |_| false);
    group
}

async fn request(group: &Arc<ServerGroup>) -> Result<Connected, ConnectError> {
    connect(|tried| group.pick(CLIENT, tried), &[], OnFailure::TryNext).await
}

#[tokio::test]
async fn a_request_tries_two_last_choices_and_the_next_ones_none_for_a_second() {
    let held = [(); 4].map(|()| refusing());
    let group = last_choices(held.iter().map(|(_, address)| *address));
    let begun = Instant::now();
    let first = request(&group).await.unwrap_err();
    assert_eq!(
        (first.reason, first.attempts.len()),
        (Reason::NoInstance, MAX_LAST_CHOICES)
    );
    let rejected = request(&group).await.unwrap_err();
    // On a busy machine the second may be over.
    if begun.elapsed() < OPEN_FOR {
        assert_eq!(
            (rejected.reason, rejected.attempts.len()),
            (Reason::NoInstance, 0)
        );
    }
    tokio::time::sleep(OPEN_FOR).await;
    let later = request(&group).await.unwrap_err();
    assert_eq!(later.attempts.len(), MAX_LAST_CHOICES);
}

#[tokio::test]
async fn an_attempt_at_a_last_choice_is_bounded_by_the_groups_timeout() {
    let (_held, silent) = silent().await;
    let group = last_choices([silent]);
    let error = request(&group).await.unwrap_err();
    assert_eq!(error.reason, Reason::NoInstance);
    assert_eq!(error.attempts[0].fault, Fault::TimedOut);
}

#[tokio::test]
async fn a_last_choice_that_answers_serves() {
    let (_held, refusing) = refusing();
    let answers = instance("a").await;
    let group = last_choices([refusing, answers]);
    for _ in 0..3 {
        assert_eq!(request(&group).await.unwrap().address, answers);
    }
}
