//! Lines show the fields of the registry's current span, in whatever order spans are entered and
//! exited.

use std::{mem, thread};

use spanwise_core::{Context, ContextLayer};
use spanwise_json::JsonLayer;
use tracing::{Dispatch, Span, dispatcher, info, info_span};
use tracing_subscriber::prelude::*;

use spanwise_testing::support::Lines;

/// A stack of JSON and context, installed on this thread until the guard is dropped.
fn stack() -> (Lines, Dispatch, dispatcher::DefaultGuard) {
    let lines = Lines::default();
    let json = JsonLayer::new()
        .without_timestamp()
        .with_writer(lines.clone());
    let layers = json.and_then(ContextLayer::default());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layers));
    let guard = dispatcher::set_default(&dispatch);
    (lines, dispatch, guard)
}

/// Returns the request of a line on this thread, and checks that `Context::current` has it too.
fn current(lines: &Lines) -> Option<String> {
    lines.clear();
    info!("here");
    let line = lines.only();
    let id = line
        .get("request_id")
        .map(|id| id.as_str().unwrap().to_owned());
    assert_eq!(
        id.as_deref(),
        Context::current().get("request_id"),
        "{line:?}"
    );
    assert_eq!(id.is_some(), line.get("span").is_some(), "{line:?}");
    id
}

#[expect(clippy::mem_forget, reason = "what a program may do")]
fn enter_and_forget(span: &Span) {
    mem::forget(span.enter());
}

/// Enters a span without a guard to exit it.
fn enter(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.enter(id));
}

fn exit(span: &Span) {
    span.with_subscriber(|(id, dispatch)| dispatch.exit(id));
}

fn on_another_thread(dispatch: &Dispatch, f: impl FnOnce() + Send) {
    let run = || dispatcher::with_default(dispatch, f);
    thread::scope(|scope| scope.spawn(run).join().unwrap());
}

#[test]
fn forgotten_guard_leaves_no_closed_span() {
    let (lines, _dispatch, _guard) = stack();
    let span = info_span!("request", request_id = "r-1");
    enter_and_forget(&span);
    assert_eq!(current(&lines).as_deref(), Some("r-1"));
    drop(span);
    assert_eq!(current(&lines), None);

    let job = info_span!("job");
    job.in_scope(|| {
        lines.clear();
        info!("in a new span");
        assert_eq!(lines.only().get("request_id"), None, "it inherits nothing");
    });
    assert_eq!(current(&lines), None);
}

#[test]
fn forgotten_guard_without_events_leaves_no_span() {
    let (lines, _dispatch, _guard) = stack();
    let span = info_span!("request", request_id = "r-1");
    enter_and_forget(&span);
    drop(span);
    assert_eq!(current(&lines), None);
}

#[test]
fn exit_on_another_thread_leaves_no_span() {
    let (lines, dispatch, _guard) = stack();
    let outer = info_span!("request", request_id = "outer");
    let _outer = outer.enter();
    let inner = info_span!("request", request_id = "inner");
    enter(&inner);
    assert_eq!(current(&lines).as_deref(), Some("inner"));
    on_another_thread(&dispatch, || exit(&inner));
    // This thread never exited it.
    assert_eq!(current(&lines).as_deref(), Some("inner"));
    on_another_thread(&dispatch, move || drop(inner));
    // Like the registry: the last span entered is closed, the one below it is not.
    assert_eq!(current(&lines), None);
}

#[test]
fn spans_may_close_in_any_order() {
    let (lines, _dispatch, _guard) = stack();
    let spans = ["a", "b", "c"].map(|id| info_span!(parent: None, "request", request_id = id));
    spans.iter().for_each(enter);
    let [a, b, c] = spans;
    assert_eq!(current(&lines).as_deref(), Some("c"));
    exit(&b);
    drop(b);
    assert_eq!(current(&lines).as_deref(), Some("c"));
    exit(&c);
    assert_eq!(current(&lines).as_deref(), Some("a"));
    drop(a);
    assert_eq!(current(&lines), None);
    drop(c);
    assert_eq!(current(&lines), None);
}

#[test]
fn span_on_two_threads_stays_until_both_are_done() {
    let (lines, dispatch, _guard) = stack();
    let span = info_span!("request", request_id = "r-1");
    let clone = span.clone();
    enter(&span);
    let other = lines.clone();
    on_another_thread(&dispatch, move || {
        let _entered = clone.entered();
        assert_eq!(current(&other).as_deref(), Some("r-1"));
    });
    assert_eq!(current(&lines).as_deref(), Some("r-1"));
    exit(&span);
    assert_eq!(current(&lines), None);
}

#[test]
fn reentered_span_needs_one_exit_per_entry() {
    let (lines, _dispatch, _guard) = stack();
    let [a, b] = ["a", "b"].map(|id| info_span!(parent: None, "request", request_id = id));
    let _a = a.enter();
    let _b = b.enter();
    let again = a.enter();
    assert_eq!(current(&lines).as_deref(), Some("b"));
    drop(again);
    assert_eq!(current(&lines).as_deref(), Some("b"));
}

#[test]
fn reused_id_means_the_new_span() {
    let (lines, _dispatch, _guard) = stack();
    let first = info_span!("request", request_id = "first");
    enter(&first);
    assert_eq!(current(&lines).as_deref(), Some("first"));
    let id = first.id();
    drop(first);
    // The registry counts the uses of a slot in some bits of the id.
    let again = (0..1_000_000).find_map(|_| {
        let span = info_span!("request", request_id = "again");
        (span.id() == id).then_some(span)
    });
    let again = again.expect("the ids of a slot come round");
    assert_eq!(current(&lines).as_deref(), Some("again"));
    drop(again);
    assert_eq!(current(&lines), None);
}
