//! Rules read values, and a value may panic, log, or never end.
//!
//! In a separate process, because the events of a value reach the layers only with a global
//! default.

mod support;

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use spanwise_core::ContextLayer;
use spanwise_sample::{EventMatcher, Limit, Rate, SampleExt, Sampler};
use support::{Lines, LinesExt as _};
use tracing::info;
use tracing_subscriber::prelude::*;

/// While a thread has a scoped default, `tracing` drops the events of values on any other thread.
static ALONE: Mutex<()> = Mutex::new(());

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("acme")?;
        panic!("in a Debug")
    }
}

struct Fails;

impl fmt::Debug for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("acme")?;
        Err(fmt::Error)
    }
}

/// Logs an event for the same rules while the rules read the value.
struct Logs;

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(tenant_id = "acme", "of a value");
        f.write_str("acme")
    }
}

struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        loop {
            f.write_str("and so on")?;
        }
    }
}

#[test]
fn hostile_value_costs_no_event() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // Do not print the intended panics.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.to_string().contains("in a Debug") {
            hook(info);
        }
    }));
    let (one, other) = (Lines::default(), Lines::default());
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::field("tenant_id", "acme").and_message("left"),
            Rate::per_second(0),
        )
        .rule(
            EventMatcher::message("few"),
            Rate::per_second(1).per_value_of("tenant_id"),
        )
        .rule(EventMatcher::any(), Limit::keep())
        .build();
    tracing_subscriber::registry()
        .with(ContextLayer::default())
        .with(one.layer().sampled(sampler.clone()))
        .with(other.layer().sampled(sampler.clone()))
        .init();

    info!(tenant_id = "acme", "left out");
    info!(tenant_id = ?Panics, "left in: panics");
    info!(tenant_id = ?Fails, "left in: fails");
    info!(tenant_id = ?Logs, "left out, but what it logs");
    for _ in 0..2 {
        info!(tenant_id = ?Panics, "few: panic");
    }
    info!(tenant_id = ?Logs, "few: log");
    // A value logs when it is formatted, so the order depends on the sink.
    let [messages, of_other] = [one, other].map(|lines| {
        let mut messages = lines.take_each("message");
        messages.sort_by_key(ToString::to_string);
        messages
    });
    assert_eq!(messages, of_other);
    let count = |message: &str| messages.iter().filter(|other| *other == message).count();
    assert_eq!(count("left out"), 0);
    assert_eq!(count("left in: panics"), 1);
    assert_eq!(count("left in: fails"), 1);
    assert_eq!(count("left out, but what it logs"), 0);
    assert_eq!(count("few: panic"), 1);
    assert_eq!(count("few: log"), 1);
    assert!(count("of a value") >= 2);
    sampler.emit_summaries();
}

#[test]
fn endless_value_is_read_as_far_as_needed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = Lines::default();
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::field("tenant_id", "acme"),
            Rate::per_second(0),
        )
        .rule(
            EventMatcher::any(),
            Rate::per_second(1).per_value_of("tenant_id"),
        )
        .build();
    let stack = tracing_subscriber::registry().with(lines.layer().sampled(sampler.clone()));
    tracing::subscriber::with_default(stack, || {
        for _ in 0..2 {
            info!(tenant_id = ?Endless, "endless");
        }
        assert_eq!(lines.take_objects().len(), 1);
        sampler.emit_summaries();
    });
}
