//! Errors as services have them: one field, in every sink.

use std::{cell::Cell, error::Error, fmt};

use serde_json::json;
use spanwise::{Builder, Format, Preset, err, layer::JsonLayer, record::Recorder};
use tracing::{debug, error, info_span};

use crate::support::Lines;

thread_local! {
    static DEBUG_CALLS: Cell<u32> = const { Cell::new(0) };
}

/// Counts each `Debug` that continues after the name of the type.
struct Declined {
    card: &'static str,
}

impl fmt::Debug for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Declined(")?;
        DEBUG_CALLS.set(DEBUG_CALLS.get() + 1);
        f.write_str("…)")
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the bank declined {}", self.card)
    }
}

impl Error for Declined {}

/// Logs an error of each type.
fn log_all() {
    let declined = || Declined {
        card: "4111111111111111",
    };
    error!(error = err(&declined()), "concrete");
    let dynamic: &dyn Error = &declined();
    error!(error = err(dynamic), "dynamic");
    let boxed: Box<dyn Error + Send + Sync> = declined().into();
    error!(error = err(&boxed), "boxed");
    let order = anyhow::Error::new(declined()).context("order 7");
    error!(error = err(&order), "anyhow");
    let order = eyre::Report::new(declined()).wrap_err("order 7");
    error!(error = err(&order), "eyre");
    // The error as a field of `tracing`, without `err`.
    error!(error = dynamic, "plain");
}

const SHOWN: &str = "the bank declined [REDACTED]";

fn check_json(lines: &Lines) {
    let error = |message| {
        let mut error = lines.with_message(message)["error"].clone();
        // The environment of the tests decides about it.
        error.as_object_mut().unwrap().remove("backtrace");
        error
    };
    let known = json!({ "type": "it::errors::Declined", "message": SHOWN, "chain": [] });
    let unknown = json!({ "message": SHOWN, "chain": [] });
    let context = json!({ "message": "order 7", "chain": [SHOWN] });
    assert_eq!(error("concrete"), known);
    for message in ["dynamic", "boxed", "plain"] {
        assert_eq!(error(message), unknown, "{message}");
    }
    for message in ["anyhow", "eyre"] {
        assert_eq!(error(message), context, "{message}");
    }
}

#[test]
fn every_sink_shows_every_type_without_its_debug() {
    alone!();
    let (json, added) = (Lines::default(), Lines::default());
    let _telemetry = Builder::new(Preset::Prod)
        .recorder(Recorder::default())
        .with_writer(json.clone())
        .layer(JsonLayer::new().with_writer(added.clone()))
        .init()
        .unwrap();
    info_span!("request", request_id = "r-1").in_scope(|| {
        let declined = anyhow::Error::new(Declined {
            card: "4111111111111111",
        });
        debug!(error = err(&declined), "first try");
        log_all();
    });
    check_json(&json);
    check_json(&added);
    let buffered = json.with_message("first try");
    assert_eq!(buffered["error"]["message"], SHOWN);
    assert_eq!(DEBUG_CALLS.get(), 0);
}

#[test]
fn console_shows_the_chain() {
    alone!();
    let lines = Lines::default();
    let _telemetry = Builder::new(Preset::Prod)
        .format(Format::Compact)
        .with_writer(lines.clone())
        .init()
        .unwrap();
    log_all();
    let text = lines.text();
    let shown = |error: &str| {
        // The environment of the tests decides whether a backtrace follows.
        let (alone, with_backtrace) = (
            format!("error=\"{error}\"\n"),
            format!("error=\"{error}\\n"),
        );
        text.matches(&alone).count() + text.matches(&with_backtrace).count()
    };
    assert_eq!(shown(SHOWN), 4, "{text}");
    assert_eq!(shown(&format!("order 7: {SHOWN}")), 2, "{text}");
    assert_eq!(DEBUG_CALLS.get(), 0);
}

#[cfg(feature = "sentry")]
#[test]
fn sentry_has_an_exception_for_each_cause() {
    use std::time::Duration;

    alone!();
    let receiver = crate::receiver::Receiver::start();
    let vars = [("LOG_PRESET", "prod"), ("SENTRY_DSN", &*receiver.dsn())];
    let telemetry = Builder::from_vars(vars)
        .unwrap()
        .with_writer(std::io::sink)
        .init()
        .unwrap();
    log_all();
    telemetry.shutdown(Duration::from_secs(60));
    let events = receiver.events();
    let chain = |message: &str| {
        let event = events.iter().find(|event| event["message"] == message);
        let values = event.unwrap()["exception"]["values"].as_array().unwrap();
        let shown = values.iter().map(|value| {
            let [ty, module, text] = ["type", "module", "value"].map(|name| value[name].as_str());
            (ty.unwrap(), module, text.unwrap())
        });
        shown
            .map(|(ty, module, text)| format!("{module:?} {ty}: {text}"))
            .collect::<Vec<_>>()
    };
    let known = format!("Some(\"it::errors\") Declined: {SHOWN}");
    let unknown = format!("None Declined: {SHOWN}");
    assert_eq!(chain("concrete"), [known]);
    for message in ["dynamic", "boxed", "plain"] {
        assert_eq!(chain(message), [&*unknown], "{message}");
    }
    for message in ["anyhow", "eyre"] {
        let order = "None Error: order 7".to_owned();
        assert_eq!(chain(message), [unknown.clone(), order], "{message}");
    }
    // Only the names were formatted.
    assert_eq!(DEBUG_CALLS.get(), 0);
}
