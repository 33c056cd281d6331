//! Tests what a service logs: captures events and spans across threads and tasks, and asserts on
//! them.
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
//! // In a #[test] or #[tokio::test], as many of them in parallel as the harness likes:
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
//! A failure says where, and shows what was there instead.
//! `logs.assert_never_logged("tok_4242424242")` would have said:
//!
//! ```text
//! "tok_…" (14 bytes) was logged, in 2 places:
//!     field `token` of the span `request` around the event INFO request{tenant_id="acme" token="[tok_…]"}: shop: order created order_id=42
//!     field `token` of the span request{tenant_id="acme" token="[tok_…]"}
//! ```
//!
//! A test that panics for another reason prints the list of what was captured, which the harness
//! shows with the failure. Assertions take a [`Pattern`]: a message, a regular expression
//! ([`matching`]) or a closure ([`when`]).
//!
//! # When to use it
//!
//! To test that something is logged, with which fields, in whose context; and that something is
//! not. What was captured is what the code logged, whatever a service in production would filter,
//! sample or redact: to test those, put a [`CaptureLayer`] into the service's own stack, behind the
//! same wrappers as its sinks.
//!
//! It does not test the output of other layers, and it measures nothing: spans have no times here.
//!
//! # What belongs to a capture
//!
//! Thread-local capture loses events: what runs on other threads, and callsites that another test
//! has switched off, since `tracing` keeps one interest per callsite for the whole process. So
//! there is one global subscriber, and each event finds its test:
//!
//! 1. An event in a span of a capture belongs to it, on whatever thread or task, and also where the
//!    span is an explicit parent. A span belongs to the capture that its parent, or else the span
//!    that is current, or else the thread belongs to.
//! 2. Else it belongs to the capture of its thread: of the thread that called [`capture`], or that
//!    called [`Handle::enter`]. Of several, the latest that lives.
//! 3. Else, if one capture alone lives, to that one: in a test that runs alone, a plain
//!    `std::thread::spawn` works.
//! 4. Else it is *unrouted*. [`Capture::assert_never_logged`] of every capture that lives checks
//!    it, so that no secret escapes; [`Capture::one`] and [`Capture::wait_for`] mention it where
//!    they find nothing else. So is what belongs to a capture that has ended, such as the rest of a
//!    task that outlives its test.
//!
//! In async code, carry the capture by a span: a future stays on no thread, so that [`capture`] and
//! [`Handle::enter`] inside a spawned task adopt whatever else its worker thread runs.
//!
//! # Behaviour
//!
//! * Values are formatted under no lock. A `Debug` that logs is captured, once; one that panics is
//!   `<panicked while formatting>`.
//! * Everything is held in memory until the [`Capture`] is dropped, texts up to 1 MiB each; nothing
//!   is held where no capture lives.
//! * Of a field that is logged twice, [`Event::field`] is the last.
//!
//! # Troubleshooting
//!
//! | symptom | cause |
//! | --- | --- |
//! | `cannot capture: the subscriber of this thread has no CaptureLayer` | The code under test installs a subscriber: add a [`CaptureLayer`] to it, or install none in tests. |
//! | an event is missing when tests run in parallel | Its thread belongs to no capture: enter a span of the test there, or [`Handle::enter`]. |
//! | [`Capture::wait_for`] times out in an async test | It blocks the only thread: use [`Capture::wait_for_async`]. |
//! | a test fails and prints no events | It returns an `Err`, or its capture was dropped before the panic. |
//! | records of the `log` crate are missing | The program has a logger, or a subscriber, of its own: call `spanwise_core::internal::log_bridge::install()`. |

mod assert;
mod capture;
mod encoded_line;
mod event;
mod fields;
mod layer;
mod pattern;
mod render;
mod route;
mod secret;
mod span;
#[doc(hidden)]
pub mod support;
mod value;
mod wait_for;

pub use capture::{Capture, Entered, Handle, capture};
pub use event::Event;
pub use layer::CaptureLayer;
pub use pattern::{Pattern, matching, when};
pub use span::Span;
pub use value::Value;
pub use wait_for::WaitFor;
