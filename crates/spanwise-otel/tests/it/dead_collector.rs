//! A collector that refuses connections, or never answers.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::mpsc,
    thread,
    time::Duration,
};

use spanwise_otel::{ExportOptions, Otel, OtelBuilder, OtelGuard, OtelStats, Protocol};

use crate::support::{
    GUARD, assert_settled, builder, output_alone,
    receiver::{Behaviour, Receiver},
    record,
};

/// The deadline that a shutdown gets. Nothing measures how long it takes.
const TIMEOUT: Duration = Duration::from_millis(500);

const COUNT: usize = 1000;

const PROTOCOLS: &[Protocol] = &[
    Protocol::HttpProtobuf,
    #[cfg(feature = "grpc")]
    Protocol::Grpc,
];

fn without_metrics(builder: OtelBuilder, protocol: Protocol) -> OtelBuilder {
    builder
        .metrics(ExportOptions::off)
        .all_signals(|signal| signal.protocol(protocol))
}

/// Fails if `work` does not end.
#[track_caller]
fn ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    result.recv_timeout(GUARD).expect("it does not end")
}

#[track_caller]
fn assert_all_lost(stats: &OtelStats) {
    for signal in [&stats.traces, &stats.logs] {
        assert_eq!(signal.accepted, COUNT as u64, "{stats:?}");
        assert_eq!(signal.outcomes.delivered, 0, "{stats:?}");
        assert_eq!(signal.outcomes.lost(), COUNT as u64, "{stats:?}");
        assert_settled(signal);
    }
}

/// No server listens on this port. A port that was free before may be that of another test now.
const REFUSING_ENDPOINT: &str = "http://127.0.0.1:1";

#[test]
fn refused_connections_lose_everything() {
    for protocol in PROTOCOLS {
        let stats = ends(|| {
            let builder =
                Otel::builder(REFUSING_ENDPOINT).report(spanwise_core::SelfReport::silent());
            let (otel, guard) = without_metrics(builder, *protocol).build().unwrap();
            record(&otel, COUNT);
            // A longer deadline than that of the test: a refused connection is not waited for.
            guard.shutdown(10 * GUARD)
        });
        assert_all_lost(&stats);
        assert!(stats.logs.last_failure.is_some());
    }
}

#[test]
fn refused_connections_are_reported_once_per_signal() {
    let Some(output) =
        output_alone("dead_collector::refused_connections_are_reported_once_per_signal")
    else {
        for protocol in PROTOCOLS {
            let report = spanwise_core::SelfReport::new();
            let builder = Otel::builder(REFUSING_ENDPOINT).report(report.clone());
            let (otel, guard) = without_metrics(builder, *protocol).build().unwrap();
            record(&otel, COUNT);
            guard.shutdown(GUARD);
            let names = report.stats().sinks.into_iter().map(|sink| sink.name);
            drop(otel);
            assert_eq!(names.collect::<Vec<_>>(), ["otel traces", "otel logs"]);
        }
        return;
    };
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines = |text: &str| stderr.lines().filter(|line| line.contains(text)).count();
    let runs = PROTOCOLS.len();
    assert_eq!(lines("spanwise: flush failed: "), 2 * runs, "{stderr}");
    for signal in ["traces", "logs"] {
        let failed = format!("flush failed: cannot send to the collector of {signal}, retrying: ");
        assert_eq!(lines(&failed), runs, "{stderr}");
        let lost = format!("1000 events were not sent to the collector of {signal}");
        assert_eq!(lines(&lost), runs, "{stderr}");
    }
}

/// Calls `end` with an exporter whose collector never answers.
fn with_hanging(protocol: Protocol, end: impl FnOnce(Otel, OtelGuard) + Send + 'static) {
    let receiver = match protocol {
        Protocol::HttpProtobuf => Receiver::behaving(Behaviour::Hang),
        #[cfg(feature = "grpc")]
        _ => {
            let receiver = crate::support::grpc::start();
            receiver.behave(Behaviour::Hang);
            receiver
        }
        #[cfg(not(feature = "grpc"))]
        _ => unreachable!(),
    };
    let stats = ends(move || {
        let builder = without_metrics(builder(&receiver), protocol);
        let builder = builder.all_signals(|signal| signal.timeout(10 * GUARD));
        let (otel, guard) = builder.build().unwrap();
        record(&otel, COUNT);
        receiver.wait_for_requests(2);
        end(otel.clone(), guard);
        otel.stats()
    });
    assert_all_lost(&stats);
}

fn in_runtime(mut runtime: tokio::runtime::Builder) {
    for protocol in PROTOCOLS {
        let runtime = runtime.enable_all().build().unwrap();
        with_hanging(*protocol, move |_, guard| {
            runtime.block_on(async {
                guard.shutdown(TIMEOUT);
            });
        });
    }
}

fn worker_threads(count: usize) -> tokio::runtime::Builder {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(count);
    builder
}

#[test]
fn hanging_is_left_without_a_runtime() {
    for protocol in PROTOCOLS {
        with_hanging(*protocol, |_, guard| {
            guard.shutdown(TIMEOUT);
        });
    }
}

#[test]
fn hanging_is_left_on_current_thread() {
    in_runtime(tokio::runtime::Builder::new_current_thread());
}

#[test]
fn hanging_is_left_on_one_worker() {
    in_runtime(worker_threads(1));
}

#[test]
fn hanging_is_left_on_four_workers() {
    in_runtime(worker_threads(4));
}

#[test]
fn hanging_is_left_in_a_task() {
    for protocol in PROTOCOLS {
        let runtime = worker_threads(1).enable_all().build().unwrap();
        with_hanging(*protocol, move |_, guard| {
            let task = runtime.spawn(async move {
                guard.shutdown(TIMEOUT);
            });
            runtime.block_on(task).unwrap();
        });
    }
}

#[test]
fn hanging_is_left_in_a_panic() {
    for protocol in PROTOCOLS {
        with_hanging(*protocol, |_, guard| {
            let unwinding = panic::catch_unwind(AssertUnwindSafe(|| {
                let _guard = guard;
                panic::resume_unwind(Box::new("a panic"));
            }));
            assert!(unwinding.is_err());
        });
    }
}

#[test]
fn hanging_is_left_in_drop() {
    for protocol in PROTOCOLS {
        with_hanging(*protocol, |_, guard| drop(guard));
    }
}

#[test]
fn one_dead_signal_does_not_stop_the_other() {
    let (healthy, hanging) = (Receiver::start(), Receiver::behaving(Behaviour::Hang));
    let builder = without_metrics(builder(&healthy), Protocol::HttpProtobuf)
        .traces(|traces| traces.endpoint(format!("{}/v1/traces", hanging.endpoint())));
    let (otel, guard) = builder.build().unwrap();
    record(&otel, COUNT);
    healthy.wait_for_logs(COUNT);
    let stats = ends(move || guard.shutdown(TIMEOUT));
    assert_eq!(stats.logs.outcomes.delivered, COUNT as u64);
    assert_eq!(stats.traces.outcomes.lost_at_shutdown, COUNT as u64);
}

#[test]
fn healthy_is_served_from_current_thread() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    for protocol in PROTOCOLS {
        let receiver = match protocol {
            Protocol::HttpProtobuf => Receiver::start(),
            #[cfg(feature = "grpc")]
            _ => crate::support::grpc::start(),
            #[cfg(not(feature = "grpc"))]
            _ => unreachable!(),
        };
        let builder = without_metrics(builder(&receiver), *protocol);
        let stats = runtime.block_on(async {
            let (otel, guard) = builder.build().unwrap();
            record(&otel, COUNT);
            guard.shutdown(GUARD)
        });
        assert_eq!(stats.logs.outcomes.delivered, COUNT as u64);
        assert_eq!(stats.traces.outcomes.delivered, COUNT as u64);
    }
}

#[test]
fn wrong_certificates_are_named() {
    use crate::support::tls::{self, Clients, OTHER_CA};

    let Some(output) = output_alone("dead_collector::wrong_certificates_are_named") else {
        for protocol in PROTOCOLS {
            let receiver = match protocol {
                Protocol::HttpProtobuf => tls::start(Clients::All),
                #[cfg(feature = "grpc")]
                _ => crate::support::grpc::start_tls(Clients::All),
                #[cfg(not(feature = "grpc"))]
                _ => unreachable!(),
            };
            let builder =
                Otel::builder(receiver.endpoint()).report(spanwise_core::SelfReport::new());
            let builder = without_metrics(builder, *protocol)
                .all_signals(|signal| signal.root_certificates(OTHER_CA));
            let (otel, guard) = builder.build().unwrap();
            record(&otel, COUNT);
            assert_all_lost(&guard.shutdown(GUARD));
            assert!(receiver.requests().is_empty());
        }
        return;
    };
    let stderr = String::from_utf8(output.stderr).unwrap();
    let named = stderr.lines().filter(|line| {
        line.contains("invalid peer certificate: UnknownIssuer")
            && line.contains("set OTEL_EXPORTER_OTLP_CERTIFICATE")
    });
    // Each of the two signals.
    assert_eq!(named.count(), 2 * PROTOCOLS.len(), "{stderr}");
}
