//! A panic that a hook logs dumps its unit, and the events outside of units.

#![allow(clippy::unwrap_used, reason = "a test ends where something is wrong")]

#[allow(dead_code, unreachable_pub, reason = "each test uses some of it")]
mod support;

use std::{panic, thread};

use spanwise_recorder::Recorder;
use support::stack;
use tracing::{debug, dispatcher, error, info_span};

#[test]
fn panic_dumps_earlier_events() {
    let (dispatch, lines, recorder, _) = stack(Recorder::builder());
    dispatcher::set_global_default(dispatch).unwrap();
    panic::set_hook(Box::new(|info| {
        let message = info.payload().downcast_ref::<&str>().unwrap();
        error!("panicked: {message}");
    }));
    debug!("outside");
    error!("an error outside shows nothing");
    let work = || {
        let _request = info_span!("request").entered();
        debug!("inside");
        panic!("on purpose");
    };
    assert!(thread::spawn(work).join().is_err());
    let outside = "flight recorder: buffered events outside of requests follow";
    let expected = [
        "an error outside shows nothing",
        "flight recorder: buffered events of this request follow",
        "inside",
        outside,
        "outside",
        "panicked: on purpose",
    ];
    assert_eq!(lines.messages(), expected);
    assert_eq!(lines.values_of("reason"), ["panic", "panic"]);

    // Later events outside of units are buffered again, until the next panic.
    debug!("outside again");
    assert_eq!(lines.messages(), expected);
    assert!(thread::spawn(|| panic!("again")).join().is_err());
    let shown = lines.messages();
    assert_eq!(shown[6..], [outside, "outside again", "panicked: again"]);
    let stats = recorder.stats();
    assert_eq!((stats.captured, stats.written, stats.memory), (3, 3, 0));
}
