//! `pretty` and `compact`: what they show, and that nothing in a value can pass for a line of the
//! log.

use crate::support::Lines;
use tracing::{error, info, info_span};

#[test]
fn short_line_has_level_message_and_fields() {
    alone!();
    let lines = Lines::default();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Cli)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let request = info_span!("import", file = "a.csv", request_id = "r-1");
    request.in_scope(|| error!(row = 7, "cannot read\nline 2\u{1b}[31m"));
    error!("a = b");
    info!("not shown");
    assert_eq!(
        lines.text(),
        "ERROR cannot read\n      | line 2\\u{1b}[31m row=7 | import{file=a.csv} request_id=r-1\n\
         ERROR a = b\n"
    );
}

#[test]
fn compact_line_shows_context_once_and_short() {
    alone!();
    let lines = Lines::default();
    let _telemetry = spanwise::Builder::new(spanwise::Preset::Test)
        .with_writer(lines.clone())
        .context_key("order_id")
        .init()
        .unwrap();

    let request = info_span!(
        "request",
        path = "/pay",
        request_id = "01a1fd81-d90f-75a9-8914-dd55bc1bfe9c",
        tenant_id = "acme"
    );
    let _request = request.enter();
    let _pay = info_span!("pay", order_id = 42, provider = "some bank").entered();
    let cause = std::io::Error::other("reset");
    error!(target: "shop", error = &cause as &dyn std::error::Error, amount = 19.5, "payment failed");
    let text = lines.text();
    let expected = "ERROR shop: payment failed error=reset amount=19.5 | request{path=/pay}:pay{provider=\"some bank\"} \
                    request_id=…bc1bfe9c tenant_id=acme order_id=42\n";
    assert_eq!(text.split_once(' ').unwrap().1, expected);

    let halved =
        |annotations: &mut spanwise_core::EventContext| annotations.sample_rate = Some(0.5);
    let log = || info!(target: "sound", sample_rate = 44_100, "played");
    spanwise_core::EventContext::scope(halved, log);
    let played = lines.text().lines().last().unwrap().to_owned();
    assert!(
        played.contains("played fields.sample_rate=44100 sample_rate=0.5 |"),
        "{played}"
    );

    for forged in [
        "a\nb",
        "a\r\nb",
        "\u{1b}[31mred",
        "\u{9b}31m",
        "\u{2028}",
        "\u{202e}",
        "\0",
    ] {
        info!(target: "forged", display = %forged, debug = ?forged, text = forged, "{forged}");
    }
    let all = lines.text();
    assert_eq!(all.lines().count(), 9, "{all}");
    assert!(
        !all.contains(|c: char| c != '\n' && c.is_control()),
        "{all:?}"
    );
    assert!(!all.contains(['\u{2028}', '\u{202e}']));
}
