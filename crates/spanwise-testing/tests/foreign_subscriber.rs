//! The only test of this file, because it installs the global subscriber.

use spanwise_testing::capture;

#[test]
#[should_panic(expected = "the subscriber of this thread has no `CaptureLayer`")]
fn subscriber_without_the_layer_is_refused() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    let _logs = capture();
}
