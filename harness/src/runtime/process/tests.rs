//! The engine itself, with a shell script in the sidecar's place.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::super::logs::Logs;
use super::super::{Creation, RuntimeError, label};
use super::bench::{Bench, GRACE, IMAGE, SCRIPT, image, open, service};
use super::tree;
use crate::compose::Service;

#[tokio::test]
async fn a_container_from_its_making_to_its_removal() {
    let bench = Bench::new().await;
    let command = "--load /etc/sidecar/lb.conf --discovery-config /etc/sidecar/discovery.conf";
    let id = bench.create(&service("one", command)).await.unwrap();
    let made = bench.engine.container(&id).await.unwrap();
    assert_eq!(
        (made.state.as_str(), made.status.as_str()),
        ("created", "Created")
    );
    assert_eq!(made.command, format!("/bin/sidecar {command}"));
    assert!(made.ports.is_empty(), "nothing answers yet");

    bench.engine.start(&id, "one").await.unwrap();
    bench.engine.start(&id, "one").await.unwrap();
    bench.said(&id, "ready", 1).await;
    let up = bench.engine.container(&id).await.unwrap();
    assert!(up.running() && up.status.starts_with("Up "), "{}", up.status);
    let endpoint = up.endpoint(9090).unwrap();
    assert!(
        endpoint.ip().is_loopback() && endpoint.ip() != Ipv4Addr::LOCALHOST,
        "{endpoint}"
    );
    assert_eq!(up.address, Some(endpoint.ip()));
    let home = bench.engine.engine.home(&id);
    let began = format!(
        "began {}",
        command.replace("/etc/sidecar", home.configs().to_str().unwrap())
    );
    assert_eq!(bench.engine.last_lines(&id, 9).await, [began.as_str(), "ready"]);
    let text = |name: &str| std::fs::read_to_string(home.configs().join(name)).unwrap();
    assert_eq!(text("lb.conf"), format!("address {}:8081\n", endpoint.ip()));
    assert!(text("discovery.conf").contains(&format!("discovery.node_name = {}\n", up.short_id())));

    let used = bench.engine.processes(&id).await.unwrap();
    let count = |program: &str| used.iter().filter(|process| process.program == program).count();
    assert_eq!(count("sidecar"), 1, "{used:?}");
    assert!(
        count("sleep") >= 2 && used.iter().all(|process| process.resident_kib > 0),
        "{used:?}"
    );

    // A later harness process finds it, and ends it.
    let other = open(bench.directory.path());
    assert_eq!(
        other.containers("of=one").await.unwrap(),
        [other.container(&id).await.unwrap()]
    );
    assert!(other.containers("of=two").await.unwrap().is_empty());
    assert_eq!(other.stop(&id, GRACE).await.unwrap(), 3);
    assert!(tree::marked(&id).is_empty(), "what its program left ends with it");
    let ended = bench.ended(&id).await;
    assert!(ended.status.starts_with("Exited (3) "), "{}", ended.status);
    assert!(ended.ports.is_empty() && ended.address.is_none());
    assert_eq!(other.stop(&id, GRACE).await.unwrap(), 3, "it is stopped already");

    other.start(&id, "one").await.unwrap();
    bench.said(&id, "ready", 2).await;
    assert_eq!(
        bench.engine.container(&id).await.unwrap().endpoint(9090),
        Some(endpoint)
    );
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    assert!(tree::marked(&id).is_empty());
    assert!(other.all_containers().await.unwrap().is_empty());
    assert!(matches!(
        other.container(&id).await,
        Err(RuntimeError::Missing { .. })
    ));
    other.remove_network(&bench.network).await.unwrap();
    for part in ["containers", "networks", "tmp"] {
        let left = std::fs::read_dir(bench.directory.path().join("state").join(part)).unwrap();
        assert_eq!(left.count(), 0, "{part}");
    }
}

#[tokio::test]
async fn a_kill_ends_all_its_processes() {
    let bench = Bench::new().await;
    let id = bench.running("one", "").await;
    assert!(tree::marked(&id).len() >= 4);
    bench.engine.kill(&id).await.unwrap();
    assert!(tree::marked(&id).is_empty());
    let container = bench.engine.container(&id).await.unwrap();
    assert!(
        container.status.starts_with("Exited (137) "),
        "{}",
        container.status
    );
    assert!(
        bench
            .engine
            .kill(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("does not run")
    );
    assert!(bench.engine.processes(&id).await.is_err());
}

#[tokio::test]
async fn what_does_not_stop_in_time_is_killed() {
    let bench = Bench::new().await;
    let id = bench.running("one", "stubborn").await;
    assert_eq!(
        bench.engine.stop(&id, Duration::from_millis(50)).await.unwrap(),
        137
    );
    assert!(tree::marked(&id).is_empty());
}

#[tokio::test]
async fn a_paused_container_stands_still_until_it_is_unpaused_or_stopped() {
    let bench = Bench::new().await;
    let id = bench.running("one", "").await;
    assert!(
        bench
            .engine
            .unpause(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("not paused")
    );
    bench.engine.pause(&id).await.unwrap();
    let container = bench.engine.container(&id).await.unwrap();
    assert_eq!(container.state, "paused");
    assert!(container.status.ends_with("(Paused)") && !container.ports.is_empty());
    assert!(tree::marked(&id).iter().all(|process| process.stopped));
    assert!(
        bench
            .engine
            .pause(&id)
            .await
            .unwrap_err()
            .to_string()
            .contains("already")
    );
    bench.engine.unpause(&id).await.unwrap();
    assert_eq!(bench.state(&id).await, "running");
    assert!(tree::marked(&id).iter().all(|process| !process.stopped));
    bench.engine.pause(&id).await.unwrap();
    assert_eq!(bench.engine.stop(&id, GRACE).await.unwrap(), 3);
    assert!(bench.engine.pause(&id).await.is_err(), "it does not run");
    bench.engine.start(&id, "one").await.unwrap();
    bench.said(&id, "ready", 2).await;
    bench.engine.pause(&id).await.unwrap();
    bench.engine.kill(&id).await.unwrap();
    assert!(tree::marked(&id).is_empty());
}

#[tokio::test]
async fn the_exit_code_of_one_that_ends_by_itself_is_kept() {
    let bench = Bench::new().await;
    let id = bench.create(&service("one", "exit 7")).await.unwrap();
    bench.engine.start(&id, "one").await.unwrap();
    let ended = bench.ended(&id).await;
    assert!(ended.status.starts_with("Exited (7) "), "{}", ended.status);
    assert_eq!(bench.engine.last_lines(&id, 9).await, ["began exit 7"]);
}

#[tokio::test]
async fn names_images_and_networks_must_be_right() {
    let bench = Bench::new().await;
    let other = Bench {
        directory: tempfile::tempdir().unwrap(),
        engine: open(bench.directory.path()),
        network: bench.network.clone(),
    };
    let one = service("one", "");
    let made = join_all(
        (0..8)
            .map(|n| if n % 2 == 0 { &bench } else { &other })
            .map(|bench| bench.create(&one)),
    );
    let (made, refused): (Vec<_>, Vec<_>) = made.await.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for error in refused {
        assert!(
            matches!(error, Err(RuntimeError::NameTaken { ref name }) if name == "one"),
            "{error:?}"
        );
    }
    let stranger = Service {
        image: "unknown".to_owned(),
        ..service("two", "")
    };
    let error = bench.create(&stranger).await.unwrap_err();
    assert!(error.to_string().contains("no image unknown"), "{error}");
    assert!(
        bench.engine.remove_network(&bench.network).await.is_err(),
        "a container is attached"
    );
    bench.engine.remove(made[0].as_ref().unwrap()).await.unwrap();
    bench.engine.remove_network(&bench.network).await.unwrap();
    bench.engine.remove_network(&bench.network).await.unwrap();
    let error = bench.create(&one).await.unwrap_err();
    assert!(error.to_string().contains("no network"), "{error}");
    for id in ["", "..", "../images"] {
        assert!(
            matches!(
                bench.engine.container(id).await,
                Err(RuntimeError::Missing { .. })
            ),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_fixed_host_port_that_is_held_is_told() {
    let bench = Bench::new().await;
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bound = holder.local_addr().unwrap();
    let mut fixed = service("one", "");
    fixed.ports[0].host_port = Some(bound.port());
    let id = bench.create(&fixed).await.unwrap();
    let error = bench.engine.start(&id, "one").await.unwrap_err();
    assert!(
        matches!(error, RuntimeError::PortHeld { ref container, .. } if container == "one"),
        "{error:?}"
    );
    assert_eq!(bench.state(&id).await, "created");
    drop(holder);
    bench.engine.start(&id, "one").await.unwrap();
    assert_eq!(
        bench.engine.container(&id).await.unwrap().endpoint(9090),
        Some(bound)
    );
}

#[tokio::test]
async fn networks_do_not_overlap_and_addresses_are_not_given_again_at_once() {
    let bench = Bench::new().await;
    let labels = BTreeMap::from([("of".to_owned(), "x".to_owned())]);
    let second = bench.engine.create_network("net", &labels).await.unwrap();
    let found = bench.engine.networks("of").await.unwrap();
    assert_eq!(
        (found.len(), found[0].id.as_str(), found[0].name.as_str()),
        (1, second.as_str(), "net")
    );
    let mut seen = Vec::new();
    for (number, network) in [&bench.network, &bench.network, &second].into_iter().enumerate() {
        let one = service(&format!("c{number}"), "");
        let creation = Creation {
            service: &one,
            network,
            labels: &labels,
            lifeline: false,
        };
        let id = bench.engine.create(creation).await.unwrap();
        seen.push(bench.engine.engine.record(&id, "").unwrap().address.octets());
        bench.engine.remove(&id).await.unwrap();
    }
    assert_eq!(seen[0][..3], seen[1][..3]);
    assert_ne!(seen[0][..3], seen[2][..3]);
    assert_eq!([seen[0][3], seen[1][3], seen[2][3]], [2, 3, 2]);
}

#[tokio::test]
async fn an_image_stays_while_it_has_a_name_or_a_container() {
    let bench = Bench::new().await;
    let changes = |digest: &str| vec!["USER 1:1".to_owned(), format!("LABEL {}={digest}", label::DIGEST)];
    let import = async |name: &str, digest: &str| {
        bench
            .engine
            .import_image(name, image(SCRIPT), changes(digest))
            .await
            .unwrap();
        bench.engine.image(name).await.unwrap().unwrap()
    };
    let first = import(IMAGE, "1").await;
    assert_eq!(first.labels[label::DIGEST], "1");
    assert!(first.size > 0);
    assert_eq!(import(IMAGE, "1").await, first);
    let id = bench.create(&service("one", "")).await.unwrap();
    assert_eq!(bench.engine.container(&id).await.unwrap().image_id, first.id);
    let second = import("fake:latest", "2").await;
    assert_ne!(first.id, second.id);
    assert_eq!(bench.engine.image(IMAGE).await.unwrap().unwrap().id, second.id);
    bench.engine.remove_outdated_images().await.unwrap();
    assert!(bench.engine.image(&first.id).await.unwrap().is_some(), "in use");
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove_outdated_images().await.unwrap();
    assert!(bench.engine.image(&first.id).await.unwrap().is_none());
    assert!(bench.engine.image(&second.id).await.unwrap().is_some());
    assert!(bench.engine.image("unknown").await.unwrap().is_none());
    assert!(
        bench
            .engine
            .import_image("broken", Bytes::from("no tar"), Vec::new())
            .await
            .is_err()
    );
    assert!(bench.engine.image("broken").await.unwrap().is_none());
}

#[tokio::test]
async fn a_log_is_followed_to_the_end() {
    let bench = Bench::new().await;
    let id = bench.running("one", "x").await;
    let follow = bench
        .engine
        .logs(&id, Some(1), true)
        .map(|line| line.unwrap().text);
    let mut follow = std::pin::pin!(follow);
    assert_eq!(follow.next().await.as_deref(), Some("ready"));
    let dated = bench
        .engine
        .dated_logs(&id, None, true)
        .map(|line| line.unwrap().text);
    let stop = bench.engine.stop(&id, GRACE);
    let (followed, dated, code) = tokio::join!(follow.collect::<Vec<_>>(), dated.collect::<Vec<_>>(), stop);
    assert_eq!(code.unwrap(), 3);
    assert_eq!(followed, ["stopping"]);
    let texts: Vec<&str> = dated
        .iter()
        .map(|line| line.split_once("Z ").unwrap().1)
        .collect();
    assert_eq!(texts, ["began x", "ready", "stopping"]);
    assert!(dated.iter().all(|line| line.find('Z') == Some(29)), "{dated:?}");
    let gone = bench.engine.logs("0", None, false).collect::<Vec<_>>().await;
    assert!(
        matches!(gone[..], [Err(RuntimeError::Missing { .. })]),
        "{gone:?}"
    );
}

#[tokio::test]
async fn a_lifeline_is_held_open_and_let_go_of() {
    let bench = Bench::new().await;
    let one = service("one", "x");
    let creation = Creation {
        service: &one,
        network: &bench.network,
        labels: &BTreeMap::new(),
        lifeline: true,
    };
    let id = bench.engine.create(creation).await.unwrap();
    bench.engine.start(&id, "one").await.unwrap();
    bench.said(&id, "began --end-with-stdin x", 1).await;
    assert_eq!(bench.state(&id).await, "running");
    // What the end of this process does.
    bench.engine.engine.lifelines().clear();
    let ended = bench.ended(&id).await;
    assert!(ended.status.starts_with("Exited (5) "), "{}", ended.status);
}

#[tokio::test]
async fn what_happens_to_a_run_is_told_in_its_order() {
    let bench = Bench::new().await;
    let labels = |run: &str| BTreeMap::from([(label::RUN.to_owned(), run.to_owned())]);
    let create = async |name: &str, run: &str| {
        let creation = Creation {
            service: &service(name, ""),
            network: &bench.network,
            labels: &labels(run),
            lifeline: false,
        };
        bench.engine.create(creation).await.unwrap()
    };
    let mut events = std::pin::pin!(bench.engine.events("r"));
    let other = create("other", "another").await;
    bench.engine.start(&other, "other").await.unwrap();
    let id = create("one", "r").await;
    bench.engine.start(&id, "one").await.unwrap();
    bench.said(&id, "ready", 1).await;
    bench.engine.pause(&id).await.unwrap();
    bench.engine.unpause(&id).await.unwrap();
    bench.engine.stop(&id, GRACE).await.unwrap();
    bench.engine.start(&id, "one").await.unwrap();
    bench.said(&id, "ready", 2).await;
    bench.engine.kill(&id).await.unwrap();
    bench.engine.start(&id, "one").await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "destroy") {
        let event = tokio::time::timeout(GRACE, events.next()).await.unwrap();
        let event = event.unwrap().unwrap();
        assert_eq!((&event.id, event.name.as_str()), (&id, "one"));
        told.push(event.action.to_string());
    }
    assert_eq!(
        told,
        [
            "create",
            "start",
            "pause",
            "unpause",
            "kill (signal 15)",
            "die (exit code 3)",
            "stop",
            "start",
            "kill (signal 9)",
            "die (exit code 137)",
            "start",
            "die (exit code 137)",
            "destroy"
        ]
    );
}

#[tokio::test]
async fn an_end_that_nobody_asked_for_is_told() {
    let bench = Bench::new().await;
    let creation = Creation {
        service: &service("one", "exit 7"),
        network: &bench.network,
        labels: &BTreeMap::from([(label::RUN.to_owned(), "r".to_owned())]),
        lifeline: false,
    };
    let id = bench.engine.create(creation).await.unwrap();
    let mut events = std::pin::pin!(bench.engine.events("r"));
    bench.engine.start(&id, "one").await.unwrap();
    for expected in ["start", "die (exit code 7)"] {
        let event = tokio::time::timeout(GRACE, events.next()).await.unwrap();
        assert_eq!(event.unwrap().unwrap().action.to_string(), expected);
    }
}
