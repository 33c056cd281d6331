//! `compact` and `short`: what they show, and that nothing in a value can pass for a line of the
//! log.

use crate::support::{Lines, install_console};
use spanwise::Format;
use tracing::{error, info, info_span};

/// The line without its time.
fn after_time(line: &str) -> &str {
    line.split_once(' ').unwrap().1
}

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
    request.in_scope(|| error!("cannot read"));
    error!("a = b");
    info!("not shown");
    assert_eq!(
        lines.text(),
        "ERROR cannot read row=7 | import r-1 file=a.csv\n      | > line 2\\u{1b}[31m\n\
         ERROR cannot read | import r-1\n\
         ERROR a = b\n"
    );
}

#[test]
fn compact_line_shows_span_fields_once() {
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
        tenant_id = "acme",
        trace_id = "01a1fd81d90f75a98914dd55bc1bfe9c",
    );
    let _request = request.enter();
    let _pay = info_span!("pay", order_id = 42, provider = "some bank").entered();
    let cause = std::io::Error::other("reset");
    let log = || {
        error!(target: "shop", error = &cause as &dyn std::error::Error, amount = 19.5, "payment failed");
    };
    log();
    log();
    let text = lines.text();
    let event =
        "ERROR shop                 payment failed error=reset amount=19.5 | request:pay …bc1bfe9c";
    let shown: Vec<&str> = text.lines().map(after_time).collect();
    let fields = "tenant_id=acme path=/pay ▸ pay order_id=42 provider=\"some bank\"";
    assert_eq!(shown, [format!("{event} {fields}"), event.to_owned()]);
}

#[test]
fn compact_line_shows_its_sample_rate() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let halved =
        |annotations: &mut spanwise_core::EventContext| annotations.sample_rate = Some(0.5);
    let log = || info!(target: "sound", sample_rate = 44_100, "played");
    spanwise_core::EventContext::scope(halved, log);
    let text = lines.text();
    assert!(
        text.ends_with("played fields.sample_rate=44100 sample_rate=0.5\n"),
        "{text}"
    );
}

#[test]
fn hostile_texts_stay_in_their_compact_line() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
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
    assert_eq!(all.lines().count(), 7, "{all}");
    assert!(
        !all.contains(|c: char| c != '\n' && c.is_control()),
        "{all:?}"
    );
    assert!(!all.contains(['\u{2028}', '\u{202e}']));
}

/// With characters that a terminal does not show, a message could look like one with a context.
#[test]
fn invisible_characters_do_not_forge_the_context() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    for hidden in [
        '\u{200c}',
        '\u{200d}',
        '\u{34f}',
        '\u{fe00}',
        '\u{fe0f}',
        '\u{e0100}',
        '\u{3164}',
        '\u{115f}',
        '\u{1160}',
        '\u{ffa0}',
        '\u{2800}',
        '\u{1d173}',
        '\u{600}',
    ] {
        let context = format!("ok |{hidden} GET /admin {hidden}…deadbeef");
        let value = format!("ok{hidden}|{hidden}user=root");
        info!(target: "shop", value, "{context}");
        let text = lines.text();
        let escape = hidden.escape_default().to_string();
        assert_eq!(text.matches(&escape).count(), 4, "{text}");
        assert!(!text.contains(hidden), "{text:?}");
        lines.clear();
    }
    info!(target: "shop", "ok\u{a0}\u{a0}GET /admin");
    info!(target: "shop", "ok \u{3000}GET /admin");
    let text = lines.text();
    assert!(text.contains("\"ok\u{a0}\u{a0}GET /admin\""), "{text}");
    assert!(text.contains("\"ok \u{3000}GET /admin\""), "{text}");
}

#[test]
fn emoji_are_not_escaped() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let family = "\u{1f468}\u{200d}\u{1f469} \u{2764}\u{fe0f}\u{200d}\u{1f525}";
    info!(target: "shop", "\u{26a0}\u{fe0f} low {family}");
    info!(target: "shop", "\u{1f468}\u{200d} alone");
    let text = lines.text();
    assert!(
        text.contains(&format!(" \u{26a0}\u{fe0f} low {family}\n")),
        "{text}"
    );
    assert!(text.contains("\u{1f468}\\u{200d} alone"), "{text}");
}

#[test]
fn line_break_differs_from_its_escape() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    info!(target: "shop", "a\nb");
    info!(target: "shop", "a\\nb");
    let text = lines.text();
    let shown: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next_back())
        .collect();
    assert_eq!(shown, [r#""a\nb""#, r"a\nb"]);
}

#[test]
fn numbers_with_a_unit_are_durations() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    info!(target: "shop", duration_ms = 0.679, wait_s = 134, lock_us = 12_u64, "done");
    info!(target: "shop", bytes_per_s = 900, note_ms = "soon", skew_ms = -3, "done");
    info!(target: "shop", wait = 1, wait_ms = 2, "done");
    // The type of `Duration::as_millis`.
    info!(target: "shop", took_ms = 5_u128, lag_ms = 7_i128, "done");
    let text = lines.text();
    let shown: Vec<&str> = text
        .lines()
        .map(|line| line.rsplit("  ").next().unwrap())
        .collect();
    assert_eq!(
        shown,
        [
            " done duration=679µs wait=2m14s lock=12µs",
            " done bytes_per_s=900 note_ms=soon skew_ms=-3",
            " done wait=1 wait_ms=2",
            " done took=5ms lag=7ms",
        ]
        .map(str::trim_start)
    );
}

#[test]
fn debug_values_are_not_escaped_twice() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "`Debug` shows the fields")]
    struct Order {
        id: u32,
        note: &'static str,
    }

    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let order = Order {
        id: 42,
        note: "a \"gift\"",
    };
    info!(target: "shop", ?order, some = ?Some("two words"), said = "he said \"no\"", "done");
    let text = lines.text();
    let expected = "order=Order { id: 42, note: \"a \\\"gift\\\"\" } some=Some(\"two words\") \
                    said='he said \"no\"'\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn critical_events_have_a_level_of_their_own() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    tracing::event!(name: "critical", target: "shop", tracing::Level::ERROR, "disk is lost");
    let text = lines.text();
    assert_eq!(
        after_time(&text),
        " CRIT shop                 disk is lost\n"
    );
}

/// A summary takes only the fields that it shows.
#[test]
fn summary_of_a_request_keeps_what_it_does_not_show() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    tracing::event!(
        name: "http.access",
        target: "shop",
        tracing::Level::INFO,
        http.request.method = "GET",
        url.path = "/a",
        http.response.status_code = 200,
        outcome = "ok",
        duration_ms = "long",
        ttfb_ms = "short",
        response_bytes = "many",
    );
    let text = lines.text();
    let shown = " GET /a 200 ttfb_ms=short response_bytes=many duration_ms=long\n";
    assert!(text.ends_with(shown), "{text}");
}
