//! `pretty`: the event, then where it happened; a value of several lines is shown as several.

use crate::support::Lines;
use tracing::{info, info_span};

#[test]
fn pretty_writes_event_and_place_on_two_lines() {
    alone!();
    let lines = Lines::default();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Dev)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let _request = info_span!("request", request_id = "r-1").entered();
    info!(target: "shop", n = 1, "first\nsecond");
    let text = lines.text();
    let (_, text) = text.split_once(' ').unwrap();
    let expected = format!(
        " INFO first\n             | second n=1\n             shop at {}:{} in request request_id=r-1\n",
        file!(),
        line!() - 6
    );
    assert_eq!(text, expected);
}
