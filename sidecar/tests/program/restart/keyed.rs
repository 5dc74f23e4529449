//! A mesh with a key under load: its rotation, and restarts.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::load::{Load, Service};
use super::mesh::{BALANCED, Member, host, lacks, member, offered};
use super::{file, get, listener, name, restart, serves, watch, watched};
use crate::{command, eventually};

/// A key that `sidecar key` makes.
fn key() -> String {
    let output = command(&["key"]).output().expect("the sidecar runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_rotation_and_restarts_lose_no_node_and_no_request() {
    let service = Service::start(&format!("{}:0", host(17)));
    let [old, new] = [key(), key()];
    let files = [(); 3].map(|()| file(&old));
    let keyed = |number: usize| format!("discovery.key_file = {}\n", name(&files[number]));
    let mut members = [
        member(17, &offered(service.address.port()), &keyed(0)),
        member(18, BALANCED, &keyed(1)),
        member(19, BALANCED, &keyed(2)),
    ];
    let is_complete = |member: &Member| lacks(&get(member.status, "/mesh"), service.address).is_none();
    for member in &members {
        eventually("the mesh is complete", || is_complete(member));
    }
    let listener = listener(members[1].controller);
    serves(listener);
    let stop = Arc::new(AtomicBool::new(false));
    let watchers = members.each_ref().map(|member| {
        let (status, instance) = (member.status, service.address);
        watch(&stop, move || {
            lacks(&get(status, "/mesh"), instance).map_or(Ok(()), Err)
        })
    });
    let load = Load::start(listener);
    for step in [old.clone() + &new, new.clone() + &old, new] {
        for (member, file) in members.iter_mut().zip(&files) {
            fs::write(file.path(), &step).expect("written");
            member.sidecar.signal("-HUP");
            member.sidecar.logged("the mesh key has changed");
            load.goes_on();
        }
        // One with the first key of before, and one with that of now, in each step.
        restart(&mut members[0].sidecar);
        load.goes_on();
    }
    fs::write(files[2].path(), "no key\n").expect("written");
    members[2].sidecar.signal("-HUP");
    let warning = members[2].sidecar.logged("the key file cannot be used");
    assert!(warning.contains(":1: expected a key of 32 bytes"), "{warning}");
    load.goes_on();
    let (requests, failures) = load.end();
    assert!(failures.is_empty(), "of {requests}: {failures:#?}");
    stop.store(true, Ordering::Relaxed);
    watchers.into_iter().for_each(watched);
    let seen = &members[2].sidecar.seen;
    assert!(!seen.contains("is not a member"), "{seen}");
}
