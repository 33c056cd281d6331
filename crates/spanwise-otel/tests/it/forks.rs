//! Forked processes: each sends its own records.

use std::{
    panic::{self, AssertUnwindSafe},
    time::{Duration, Instant},
};

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use spanwise_core::{Flush as _, SinkControl};
use spanwise_otel::{ExportOptions, LogOptions, Protocol, TraceSampler};
use tracing::{info, info_span, warn};

use crate::support::{
    GUARD, builder, output_alone,
    receiver::{Behaviour, Receiver, attribute, body, text},
    subscriber,
};

fn check(receiver: &Receiver, protocol: Protocol) {
    let builder = builder(receiver)
        .metrics(ExportOptions::off)
        .all_signals(|signal| signal.protocol(protocol).delay(Duration::from_secs(3600)));
    let (otel, guard) = builder.build().unwrap();
    let _default = tracing::dispatcher::set_default(&subscriber(&otel));
    info!("in the parent, sent");
    otel.flush_by(Instant::now() + GUARD).unwrap();
    info!("in the parent, waiting");
    in_child(|| {
        assert_eq!(otel.stats().logs.accepted, 0);
        info!("in the child");
        assert_eq!(otel.stats().logs.accepted, 1);
        otel.flush_by(Instant::now() + GUARD).unwrap();
        assert_eq!(otel.stats().logs.outcomes.delivered, 1);
    });
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.logs.outcomes.delivered, 2, "{stats:?}");

    let logs = receiver.logs();
    let bodies: Vec<&str> = logs.iter().map(|log| body(&log.item.body)).collect();
    let expected = [
        "in the parent, sent",
        "in the child",
        "in the parent, waiting",
    ];
    assert_eq!(bodies, expected);
    let of = |number: usize, key| attribute(&logs[number].resource.attributes, key);
    assert_eq!(of(0, "process.pid"), of(2, "process.pid"));
    assert_ne!(of(0, "process.pid"), of(1, "process.pid"));
    let id = |number: usize| text(&logs[number].resource.attributes, "service.instance.id");
    assert_eq!(id(0), id(2));
    assert_ne!(id(0), id(1));
}

#[test]
fn child_sends_its_own_records() {
    if output_alone("forks::child_sends_its_own_records").is_none() {
        check(&Receiver::start(), Protocol::HttpProtobuf);
    }
}

#[cfg(feature = "grpc")]
#[test]
fn child_has_a_channel_of_its_own() {
    if output_alone("forks::child_has_a_channel_of_its_own").is_none() {
        check(&crate::support::grpc::start(), Protocol::Grpc);
    }
}

#[expect(unsafe_code, reason = "nothing safe forks")]
fn in_child(work: impl FnOnce()) {
    // SAFETY: the child runs `work` and exits. The code under test supports forked children of
    // processes with threads.
    unsafe {
        match libc::fork() {
            -1 => panic!("cannot fork"),
            0 => {
                // A child that hangs ends, with a status that is not 0.
                libc::alarm(60);
                let worked = panic::catch_unwind(AssertUnwindSafe(work));
                libc::_exit(i32::from(worked.is_err()));
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                assert_eq!(status, 0, "the child failed");
            }
        }
    }
}

#[test]
fn child_leaves_open_spans_to_its_parent() {
    if output_alone("forks::child_leaves_open_spans_to_its_parent").is_some() {
        return;
    }
    let receiver = Receiver::start();
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .logs(ExportOptions::off);
    let (otel, guard) = builder.build().unwrap();
    let _default = tracing::dispatcher::set_default(&subscriber(&otel));
    let mut closed = Some(info_span!("closed in both"));
    let mut of_api = Some(
        otel.tracer_provider()
            .unwrap()
            .tracer("client")
            .start("of api"),
    );
    let _open = info_span!("open");
    in_child(|| {
        drop((closed.take(), of_api.take()));
        drop(info_span!("of the child"));
        SinkControl::shutdown_by(&otel, Instant::now() + GUARD);
        assert_eq!(otel.stats().traces.outcomes.delivered, 1);
    });
    drop((closed, of_api));
    assert_eq!(guard.shutdown(GUARD).traces.outcomes.delivered, 3);
    let spans = receiver.spans();
    let mut names: Vec<&str> = spans.iter().map(|span| &*span.item.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["closed in both", "of api", "of the child", "open"]);
}

#[test]
fn child_counts_nothing_of_its_parent() {
    if output_alone("forks::child_counts_nothing_of_its_parent").is_some() {
        return;
    }
    let receiver = Receiver::behaving(Behaviour::status(400));
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .span_options(|spans| spans.sampler(TraceSampler::always_off()))
        .log_options(LogOptions::only_sampled_traces);
    let (otel, guard) = builder.build().unwrap();
    let _default = tracing::dispatcher::set_default(&subscriber(&otel));
    let counts = || {
        let stats = otel.stats();
        let unsampled = (stats.unsampled_spans, stats.unsampled_logs);
        (
            unsampled,
            stats.open_spans,
            stats.logs.last_failure.is_some(),
        )
    };
    info_span!("closed").in_scope(|| info!("unsampled"));
    let of_parent = info_span!("open");
    warn!("refused");
    otel.flush_by(Instant::now() + GUARD).unwrap();
    assert_eq!(counts(), ((1, 1), 1, true));
    in_child(|| {
        assert_eq!(counts(), ((0, 0), 0, false));
        for _ in 0..2 {
            info_span!("closed").in_scope(|| info!("unsampled"));
        }
        let _open = info_span!("open");
        warn!("refused");
        otel.flush_by(Instant::now() + GUARD).unwrap();
        assert_eq!(counts(), ((2, 2), 1, true));
    });
    assert_eq!(counts(), ((1, 1), 1, true));
    drop(of_parent);
    guard.shutdown(GUARD);
}
