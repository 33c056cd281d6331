//! The levels decide only about events. At every level, each event has the ids of its request.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use spanwise::{Builder, Format, Preset, record::Recorder};
use spanwise_testing::{CaptureLayer, capture};
use tracing::{Level, Span, debug, error, info, info_span, level_filters::LevelFilter, warn};

use crate::support::Lines;

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a request as a span of this crate, and a request as a span of another crate. Short lines
/// show eight characters of an id.
fn requests(number: usize) -> [(String, Span); 2] {
    let (own, foreign) = (format!("{number:02}-own"), format!("{number:02}-hyper"));
    [
        (
            own.clone(),
            info_span!("http.request", request_id = own.as_str()),
        ),
        (
            foreign.clone(),
            info_span!(target: "hyper::server", "http.request", request_id = foreign.as_str()),
        ),
    ]
}

/// Logs inside each of the requests, and returns the ids.
fn log_in(requests: &[(String, Span)], errors: &mut Vec<String>) {
    for (id, span) in requests {
        span.in_scope(|| {
            error!("failed {}", errors.len());
            info!("no info");
            debug!("no debug");
        });
        errors.push(id.clone());
    }
}

/// Asserts that the lines are the errors, each with the id of its request.
#[track_caller]
fn assert_ids(sink: &str, text: &str, errors: &[String]) {
    let mut events: Vec<String> = Vec::new();
    for line in text.lines() {
        match events.last_mut() {
            // `pretty` writes further lines below the message.
            Some(event) if !line.contains("failed ") => event.push_str(line),
            _ => events.push(line.to_owned()),
        }
    }
    assert_eq!(events.len(), errors.len(), "{sink}:\n{text}");
    for (event, id) in events.iter().zip(errors) {
        assert!(event.contains(id), "{sink}: {id} in {event}");
    }
    for none in ["no info", "no debug"] {
        assert!(!text.contains(none), "{sink}:\n{text}");
    }
}

/// Checks the format in the output and in a file, a user's layer, the capture of tests, and Sentry.
fn every_sink_has_the_ids(format: &Format) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("shop.log");
    let (output, fmt) = (Lines::default(), Lines::default());
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(fmt.clone());
    #[cfg(feature = "sentry")]
    let receiver = crate::receiver::Receiver::start();
    let vars = [
        ("LOG_PRESET", "prod".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
        ("LOG_FILE", path.to_str().unwrap().to_owned()),
        #[cfg(feature = "sentry")]
        ("SENTRY_DSN", receiver.dsn()),
    ];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .format(format.clone())
        .with_writer(output.clone())
        .layer(layer)
        .layer(CaptureLayer::default())
        .init()
        .unwrap();
    let (handle, logs) = (telemetry.handle(), capture());
    let mut errors = Vec::new();
    let running = requests(0);
    log_in(&running, &mut errors);
    for levels in ["error", "off,it=error", "warn"] {
        for is_for_a_while in [false, true] {
            if is_for_a_while {
                handle.set_levels_for(HOUR, levels).unwrap();
            } else {
                handle.set_levels(levels).unwrap();
            }
            assert!(!tracing::enabled!(Level::INFO), "{levels}");
            assert!(!log::log_enabled!(log::Level::Info), "{levels}");
            assert!(log::max_level() < log::LevelFilter::Info, "{levels}");
            log::info!("no info");
            log_in(&running, &mut errors);
            log_in(&requests(errors.len()), &mut errors);
        }
    }
    assert_eq!(errors.len(), 26);
    let captured = logs.events();
    drop(telemetry);

    assert_ids(&format.to_string(), &output.text(), &errors);
    assert_ids("a file", &fs::read_to_string(path).unwrap(), &errors);
    assert_ids("fmt", &fmt.text(), &errors);
    assert_eq!(captured.len(), errors.len());
    for (event, id) in captured.iter().zip(&errors) {
        event.assert_context("request_id", id);
    }
    if matches!(format, Format::Json) {
        let lines = output.objects();
        for (line, id) in lines.iter().zip(&errors) {
            assert_eq!(line["request_id"], **id, "{line}");
        }
    }
    #[cfg(feature = "sentry")]
    {
        let events = receiver.events();
        assert_eq!(events.len(), errors.len());
        for (event, id) in events.iter().zip(&errors) {
            assert_eq!(event["tags"]["request_id"], **id, "{event}");
        }
    }
}

/// Several threads serve requests while another thread changes the levels. Each line has the id of
/// its own request.
#[test]
fn ids_stay_while_the_levels_change() {
    alone!();
    const THREADS: usize = 4;
    const REQUESTS: usize = 200;
    let (json, fmt) = (Lines::default(), Lines::default());
    let layer = tracing_subscriber::fmt::layer().with_ansi(false);
    let telemetry = Builder::new(Preset::Prod)
        .levels("warn")
        .with_writer(json.clone())
        .layer(layer.with_writer(fmt.clone()))
        .init()
        .unwrap();
    let handle = telemetry.handle();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let mut changes = 0_u64;
            for levels in ["error", "warn", "info", "debug,hyper=off", "off,it=error"]
                .iter()
                .cycle()
            {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                handle.set_levels(levels).unwrap();
                changes += 1;
            }
            changes
        });
        let serve = |thread| {
            for number in 0..REQUESTS {
                let id = format!("r-{thread}-{number}");
                let request = info_span!("http.request", request_id = id.as_str());
                request.in_scope(|| {
                    info!("begin");
                    info_span!("query").in_scope(|| error!("failed {id}"));
                });
            }
        };
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || serve(thread)))
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        is_done.store(true, Ordering::Relaxed);
        assert!(changes.join().unwrap() > 0);
    });
    drop(telemetry);
    let lines = json.objects();
    let errors: Vec<_> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR")
        .collect();
    assert_eq!(errors.len(), THREADS * REQUESTS);
    for line in &lines {
        let id = line["request_id"]
            .as_str()
            .unwrap_or_else(|| panic!("no id: {line}"));
        let message = line["message"].as_str().unwrap();
        assert!(
            message == "begin" || message == format!("failed {id}"),
            "{line}"
        );
    }
    let fmt = fmt.text();
    let errors: Vec<_> = fmt
        .lines()
        .filter(|line| line.contains("failed "))
        .collect();
    assert_eq!(errors.len(), THREADS * REQUESTS);
    for line in errors {
        let (_, id) = line.rsplit_once("failed ").unwrap();
        assert!(line.contains(&format!("request_id=\"{id}\"")), "{line}");
    }
}

#[test]
fn json_has_the_ids() {
    alone!();
    every_sink_has_the_ids(&Format::Json);
}

#[test]
fn json_nested_has_the_ids() {
    alone!();
    every_sink_has_the_ids(&Format::JsonNested);
}

#[test]
fn pretty_has_the_ids() {
    alone!();
    every_sink_has_the_ids(&Format::Pretty);
}

#[test]
fn compact_has_the_ids() {
    alone!();
    every_sink_has_the_ids(&Format::Compact);
}

/// Logs one error in each of two requests, with these variables. Returns the lines, and whether
/// each span is enabled.
fn lines_of(vars: [(&str, &str); 3]) -> (Vec<serde_json::Value>, [bool; 2]) {
    let output = Lines::default();
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(output.clone()).init().unwrap();
    let requests = requests(1);
    log_in(&requests, &mut Vec::new());
    drop(telemetry);
    let are_enabled = [0, 1].map(|index: usize| !requests[index].1.is_disabled());
    (output.objects(), are_enabled)
}

#[test]
fn spans_that_are_off_give_no_ids() {
    alone!();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("RUST_LOG", "warn"),
        ("LOG_SPANS", "off"),
    ];
    let (lines, are_enabled) = lines_of(vars);
    assert_eq!((lines.len(), are_enabled), (2, [false, false]));
    assert!(lines.iter().all(|line| line["request_id"].is_null()));
}

#[test]
fn target_that_is_off_has_no_spans() {
    alone!();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("RUST_LOG", "warn,hyper=off"),
        ("LOG_SPANS", "info"),
    ];
    let (lines, are_enabled) = lines_of(vars);
    assert_eq!((lines.len(), are_enabled), (2, [true, false]));
    assert_eq!(lines[0]["request_id"], "01-own");
    assert!(lines[1]["request_id"].is_null());
}

#[test]
fn code_beats_the_variable_for_spans() {
    alone!();
    let vars = [("LOG_PRESET", "prod"), ("LOG_SPANS", "off")];
    let builder = Builder::from_vars(vars).unwrap();
    let builder = builder.span_levels(LevelFilter::WARN);
    let explained = builder.explain().to_string();
    assert!(explained.contains("LOG_SPANS = warn (code)"), "{explained}");
    let _telemetry = builder.with_writer(Lines::default()).init().unwrap();
    assert!(info_span!("request").is_disabled());
    assert!(!tracing::warn_span!("request").is_disabled());
}

#[test]
fn recorder_buffers_below_event_levels() {
    alone!();
    let (output, fmt) = (Lines::default(), Lines::default());
    let layer = tracing_subscriber::fmt::layer().with_writer(fmt.clone());
    let telemetry = Builder::new(Preset::Prod)
        .levels("warn")
        .recorder(Recorder::default())
        .with_writer(output.clone())
        .layer(layer.with_ansi(false))
        .init()
        .unwrap();
    info_span!("http.request", request_id = "r-1").in_scope(|| {
        debug!("a step");
        info!("another step");
        error!("failed");
    });
    info_span!("http.request", request_id = "r-2").in_scope(|| {
        debug!("not shown");
        warn!("odd");
    });
    drop(telemetry);
    let lines = output.objects();
    let line = |line: &serde_json::Value| {
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        (text("message"), text("request_id"))
    };
    let lines: Vec<_> = lines.iter().map(line).collect();
    let expected = [
        (
            "flight recorder: buffered events of this request follow",
            "r-1",
        ),
        ("a step", "r-1"),
        ("another step", "r-1"),
        ("failed", "r-1"),
        ("odd", "r-2"),
    ];
    let expected = expected.map(|(message, id)| (message.to_owned(), id.to_owned()));
    assert_eq!(lines, expected);
    let fmt = fmt.text();
    assert_eq!(fmt.lines().count(), 2, "{fmt}");
    assert!(fmt.contains("request_id=\"r-1\"") && fmt.contains("request_id=\"r-2\""));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn request_that_is_served_has_its_id() {
    use axum::{Router, body::Body, http::Request, routing::get};
    use tower::ServiceExt as _;

    alone!();
    let output = Lines::default();
    let vars = [("LOG_PRESET", "prod"), ("RUST_LOG", "warn")];
    let builder = Builder::from_vars(vars).unwrap();
    let telemetry = builder.with_writer(output.clone()).init().unwrap();
    let app = Router::new()
        .route("/orders/{id}", get(async || error!("order lost")))
        .layer(telemetry.http_server());
    let request = Request::get("/orders/42").body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap();
    let id = id.to_owned();
    let _ = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    drop(telemetry);
    let lines = output.objects();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["request_id"], id);
    assert_eq!(lines[0]["http.route"], "/orders/{id}");
}
