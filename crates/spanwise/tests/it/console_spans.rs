//! The fields of spans in lines for people: once per span, when an event needs them.

use std::thread;

use crate::support::{Lines, install_console, live_bytes};
use spanwise::{Builder, Format, Preset, unit_span};
use tracing::{debug, field::Empty, info, info_span};

/// The lines behind their time and target.
fn shown(lines: &Lines) -> Vec<String> {
    let text = lines.text();
    let shown = text.lines().map(|line| {
        let rest = &line[13..];
        rest.replacen("INFO shop                ", "", 1)
            .trim_start()
            .to_owned()
    });
    shown.collect()
}

#[test]
fn pretty_shows_spans_on_a_line_before_their_event() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Pretty);
    let request = unit_span!(
        "http.request",
        http.request.method = "POST",
        http.route = "/orders/{id}",
        request_id = "01a1fd81-d90f-75a9-8914-dd55bc1bfe9c",
        tenant_id = "acme",
        span_id = "00f067aa0ba902b7",
        otel.kind = "server",
    );
    request.in_scope(|| {
        let create = info_span!("create_order", order_id = 42, total = Empty);
        let _inner = create.enter();
        info_span!("without events", secret = 1).in_scope(|| {});
        info!(target: "shop", "one");
        info!(target: "shop", "two");
        create.record("total", 19.5);
        spanwise::context::set("user_id", "ada");
        info!(target: "shop", "three");
        info!(target: "shop", "four");
    });
    assert_eq!(
        shown(&lines),
        [
            "▸ POST /orders/{id} tenant_id=acme ▸ create_order order_id=42 | …bc1bfe9c",
            "one | POST /orders/{id} …bc1bfe9c",
            "two | POST /orders/{id} …bc1bfe9c",
            "three ▸ user_id=ada ▸ create_order total=19.5 | POST /orders/{id} …bc1bfe9c",
            "four | POST /orders/{id} …bc1bfe9c",
        ]
    );
}

#[test]
fn outgoing_request_is_shown_once() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Pretty);
    let request = unit_span!(
        "http.request",
        http.request.method = "POST",
        http.route = "/orders",
        request_id = "r-1",
    );
    request.in_scope(|| {
        info!(target: "shop", "one");
        let call = info_span!(
            "http.client.request",
            otel.kind = "client",
            http.request.method = "POST",
            server.address = "pay.example.com",
            server.port = 443,
            url.path = "/charges",
            http.route = Empty,
        );
        let _call = call.enter();
        info!(target: "shop", "two");
        info!(target: "shop", "three");
        call.record("http.route", "/{kind}");
        info!(target: "shop", "four");
        info!(target: "shop", "five");
    });
    assert_eq!(
        shown(&lines),
        [
            "one | POST /orders r-1",
            "▸ POST pay.example.com:443/charges | POST /orders r-1",
            "two | POST /orders r-1",
            "three | POST /orders r-1",
            "four ▸ POST pay.example.com:443/{kind} | POST /orders r-1",
            "five | POST /orders r-1",
        ]
    );
}

/// Only a field that names the path better replaces it in the label.
#[test]
fn late_fields_do_not_worsen_the_label() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let request = unit_span!(
        "request",
        http.request.method = "GET",
        url.path = "/orders/42",
        url = Empty,
        http.route = Empty,
    );
    request.record("url", "https://pay.example.com/charges");
    request.in_scope(|| info!(target: "shop", "one"));
    request.record("http.route", "/orders/{id}");
    request.record("url", "https://pay.example.com/refunds");
    request.in_scope(|| info!(target: "shop", "two"));
    assert_eq!(
        shown(&lines),
        [
            "one | GET /orders/42 url=https://pay.example.com/charges",
            "two | GET /orders/{id} url=https://pay.example.com/refunds",
        ]
    );
}

#[test]
fn compact_shows_spans_on_their_first_event() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let job = unit_span!("job", job_id = "j-7", queue = "mail", attempt = Empty);
    job.in_scope(|| info!(target: "shop", "one"));
    job.record("attempt", 2);
    let send = job.in_scope(|| info_span!("send", to = "ada"));
    send.in_scope(|| info!(target: "shop", "two"));
    send.in_scope(|| info!(target: "shop", "three"));
    assert_eq!(
        shown(&lines),
        [
            "one | job job_id=j-7 queue=mail",
            "two | job:send job_id=j-7 attempt=2 ▸ send to=ada",
            "three | job:send job_id=j-7",
        ]
    );
}

#[test]
fn shortened_id_is_shown_whole_once() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let job = unit_span!("job", job_id = "import-0001-eu-central");
    job.in_scope(|| {
        info!(target: "shop", "one");
        info!(target: "shop", "two");
    });
    assert_eq!(
        shown(&lines),
        [
            "one | job job_id=…-central job_id=import-0001-eu-central",
            "two | job job_id=…-central",
        ]
    );
}

#[test]
fn only_requests_have_the_label_of_a_request() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Pretty);
    let job = unit_span!("job", job_id = "j-7");
    job.in_scope(|| {
        let cache = info_span!("cache", method = "DELETE", key = "k");
        cache.in_scope(|| info!(target: "shop", "one"));
    });
    let served = unit_span!(
        "serve",
        otel.kind = "server",
        http.request.method = "GET",
        http.route = "/a",
        server.address = "shop.example",
    );
    served.in_scope(|| info!(target: "shop", "two"));
    let update = unit_span!("update");
    update.in_scope(|| {
        let call = info_span!(
            "call",
            otel.kind = "client",
            http.request.method = "GET",
            url.path = "/b",
        );
        call.in_scope(|| info!(target: "shop", "three"));
    });
    assert_eq!(
        shown(&lines),
        [
            "▸ job ▸ cache method=DELETE key=k | job_id=j-7",
            "one | job:cache job_id=j-7",
            "▸ GET /a server.address=shop.example",
            "two | GET /a",
            "▸ update ▸ GET /b",
            "three | update:call",
        ]
    );
}

#[test]
fn lines_of_interleaved_requests_have_their_ids() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let request = |id: &'static str, path: &'static str| {
        unit_span!("request", method = "GET", path, request_id = id)
    };
    let (one, two) = (request("r-1", "/a"), request("r-2", "/b"));
    for _ in 0..2 {
        one.in_scope(|| info!(target: "shop", "working"));
        two.in_scope(|| info!(target: "shop", "working"));
    }
    let (one, two) = ("working | GET /a r-1", "working | GET /b r-2");
    assert_eq!(shown(&lines), [one, two, one, two]);
}

#[test]
fn fields_are_shown_once_by_many_threads() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Compact);
    let job = unit_span!("job", job_id = "j-7", queue = "mail");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _job = job.enter();
                for _ in 0..100 {
                    info!(target: "shop", "working");
                }
            });
        }
    });
    let text = lines.text();
    assert_eq!(text.lines().count(), 800);
    assert_eq!(text.matches("queue=mail").count(), 1, "{text}");
    assert_eq!(text.matches("job_id=j-7").count(), 800);
}

/// A buffered line may never be written, so it does not count as shown.
#[test]
fn buffered_lines_do_not_use_up_the_fields() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .format(Format::Compact)
        .recorder("debug")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let job = unit_span!("job", queue = "mail");
    job.in_scope(|| {
        debug!(target: "shop", "looked up");
        info!(target: "shop", "started");
        tracing::error!(target: "shop", "failed");
    });
    let text = lines.text();
    let line = |message: &str| text.lines().find(|line| line.contains(message)).unwrap();
    assert!(line("started").ends_with("| job queue=mail"), "{text}");
    assert!(
        line("looked up").ends_with("buffered=true | job queue=mail"),
        "{text}"
    );
    assert!(line("failed").ends_with("failed | job"), "{text}");
}

/// Each output is read without the others, so each shows the fields.
#[test]
fn each_output_shows_the_fields() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let (all, errors) = (
        directory.path().join("all.log"),
        directory.path().join("errors.log"),
    );
    let telemetry = Builder::new(Preset::Prod)
        .format(Format::Compact)
        .output(spanwise::Output::None)
        .file(&all)
        .error_file(&errors)
        .init()
        .unwrap();
    let job = unit_span!("job", queue = "mail");
    job.in_scope(|| {
        info!(target: "shop", "started");
        tracing::error!(target: "shop", "failed");
    });
    telemetry.shutdown(std::time::Duration::from_secs(60));
    let all = std::fs::read_to_string(all).unwrap();
    let errors = std::fs::read_to_string(errors).unwrap();
    assert_eq!(all.matches("queue=mail").count(), 1, "{all}");
    assert_eq!(errors.matches("queue=mail").count(), 1, "{errors}");
}

#[test]
fn closed_spans_leave_nothing_behind() {
    alone!();
    let (lines, _telemetry) = install_console(Format::Pretty);
    let long = "x".repeat(1000);
    let round = || {
        for index in 0..100 {
            let job = unit_span!("job", index, long = %long, late = Empty);
            let step = job.in_scope(|| info_span!("step", long = %long));
            job.record("late", &*long);
            if index % 2 == 0 {
                step.in_scope(|| info!("working"));
            }
        }
        lines.clear();
    };
    round();
    let before = live_bytes();
    (0..10).for_each(|_| round());
    let after = live_bytes();
    assert!(after - before < 100_000, "{before} and then {after}");
}
