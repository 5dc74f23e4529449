#![no_main]

#[path = "../../sidecar/tests/parsers/door.rs"]
mod door;

use std::cell::RefCell;

use door::{Door, Recorded, recorded};
use tokio::runtime::{Builder, Runtime};

thread_local! {
    // One thread runs both ends, so that what it covers belongs to one input.
    static STATE: RefCell<(Runtime, Door, Vec<Recorded>)> = {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let door = runtime.block_on(Door::open());
        RefCell::new((runtime, door, recorded()))
    };
}

// The first byte numbers the request.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    STATE.with_borrow_mut(|(runtime, door, requests)| {
        if let Some((number, body)) = bytes.split_first()
            && let Some(request) = requests.get(usize::from(*number))
        {
            runtime.block_on(door.send(request, body));
        }
    });
});
