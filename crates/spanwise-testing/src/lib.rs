//! Captures events and spans in tests, across threads and tasks, and asserts on them.
//!
//! ```
//! use tracing::{Instrument as _, Level};
//!
//! async fn create_order() {
//!     tracing::info!(order_id = 42, "order created");
//! }
//!
//! # let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
//! # runtime.block_on(async {
//! // In a #[test] or #[tokio::test]. Any number of them may run in parallel:
//! let logs = spanwise_testing::capture();
//!
//! let request = tracing::info_span!("request", tenant_id = "acme", token = "tok_4242424242");
//! tokio::spawn(create_order().instrument(request)).await?;
//!
//! logs.one("order created")
//!     .assert_level(Level::INFO)
//!     .assert_field("order_id", 42)
//!     .assert_context("tenant_id", "acme")
//!     .assert_in_span("request");
//! logs.none(spanwise_testing::matching("rejected|refused"));
//! logs.no_errors();
//! logs.assert_never_logged("4111111111111111");
//! # let leak = std::panic::AssertUnwindSafe(|| logs.assert_never_logged("tok_4242424242"));
//! # assert!(std::panic::catch_unwind(leak).is_err());
//! # Ok::<(), tokio::task::JoinError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A failed assertion shows its location in the test, and the events that it is about.
//! `logs.assert_never_logged("tok_4242424242")` fails with:
//!
//! ```text
//! "tok_…" (14 bytes) was logged, in 2 places:
//!     field `token` of the span `request` around the event INFO request{tenant_id="acme" token="[tok_…]"}: shop: order created order_id=42
//!     field `token` of the span request{tenant_id="acme" token="[tok_…]"}
//! ```
//!
//! If a test panics for another reason, its capture prints the captured events, and the test
//! harness shows them with the failure. Assertions accept a [`Pattern`]: a message, a regular
//! expression ([`matching`]) or a closure ([`when`]).
//!
//! # When to use it
//!
//! Use this crate to test that an event is logged with certain fields and context, or that it is
//! not logged. A capture contains events before the service filters, samples or redacts them. To
//! include these steps in a test, put a [`CaptureLayer`] into the service's own stack, wrapped as
//! its sinks are, for example with `.redacted(policy)`.
//!
//! This crate does not test the output of other layers, and it does not measure time.
//!
//! # What belongs to a capture
//!
//! A thread-local capture would lose events of other threads. It would also lose events of
//! callsites that another test has disabled, because `tracing` caches one interest per callsite for
//! the whole process. So there is one global subscriber, and each event is routed to its test. A
//! capture is *live* until it is dropped:
//!
//! 1. An event in a span of a live capture belongs to that capture, on any thread or task. The span
//!    may be an explicit parent. A span belongs to the capture of its parent, or else of the
//!    current span, or else of the thread.
//! 2. Otherwise the event belongs to the capture of its thread: the live capture for which the
//!    thread called [`capture`] or [`CaptureHandle::enter`]. If there are several, the
//!    event belongs to the capture of the latest call.
//! 3. Otherwise, if only one capture is live, the event belongs to it. The exception is an event
//!    whose span or thread belongs to a capture that has ended. So in a test that runs alone, a
//!    plain `std::thread::spawn` works.
//! 4. Otherwise the event is *unrouted*, for example an event of a task that outlives its test.
//!    [`Capture::assert_never_logged`] of every live capture also searches unrouted events, so that
//!    no secret escapes. If [`Capture::one`] or [`Capture::wait_for`] finds no event, the failure
//!    lists the unrouted events that match.
//!
//! In async code, carry the capture in a span (`future.instrument(span)`). [`capture`] and
//! [`CaptureHandle::enter`] apply to the thread, not to the task. If a spawned task calls them, the
//! capture also gets the events of other tasks on that worker thread. When the task moves to
//! another thread, the capture loses the events of the task.
//!
//! # Behaviour and limits
//!
//! * No lock is held while values are formatted. Each value is formatted twice. If its `Debug` logs
//!   events, they are captured only once. A `Debug` that panics becomes
//!   `<panicked while formatting>`.
//! * A [`Capture`] keeps all its events in memory until it is dropped, with texts up to 1 MiB each.
//!   Without a live capture, no event is kept.
//! * If a field is logged twice, [`Event::field`] returns the last value.
//!
//! # Troubleshooting
//!
//! | symptom | cause |
//! | --- | --- |
//! | `cannot capture: the subscriber of this thread has no CaptureLayer` | The code under test installs a subscriber. Add a [`CaptureLayer`] to it, or do not install it in tests. |
//! | an event is missing if tests run in parallel | Its thread does not belong to a capture. Enter a span of the test on this thread, or call [`CaptureHandle::enter`]. |
//! | [`Capture::wait_for`] times out in an async test | `wait_for` blocks the only thread of the runtime. Use [`Capture::wait_for_async`]. |
//! | a test fails and prints no events | The test returns an `Err` without a panic, or its capture was dropped before the panic. |
//! | records of the `log` crate are missing | The application installs its own logger, or a subscriber without a bridge for `log`. Install `tracing_log::LogTracer` in tests instead. |

mod assert;
mod capture_guard;
mod encoded_line;
mod event;
mod field_value;
mod fields;
mod layer;
mod pattern;
mod render;
mod route;
mod secret;
mod span;
#[doc(hidden)]
pub mod support;
mod wait_for;

pub use capture_guard::{Capture, CaptureHandle, Entered, capture};
pub use event::Event;
pub use field_value::FieldValue;
pub use layer::CaptureLayer;
pub use pattern::{Pattern, matching, when};
pub use span::Span;
pub use wait_for::WaitFor;
