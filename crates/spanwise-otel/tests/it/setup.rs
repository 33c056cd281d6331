//! Options of the builder, and the errors of wrong ones.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use spanwise_core::{Clock, Fault, ParseError, SelfReport};
use spanwise_otel::{
    ExportOptions, Otel, OtelBuilder, OtelError, OtelSetting, SignalKind, TraceSampler,
};

use crate::support::{
    GUARD, builder,
    receiver::{Receiver, text},
    record,
    tls::{CA, CLIENT, CLIENT_KEY},
};

fn silent(endpoint: &str) -> OtelBuilder {
    Otel::builder(endpoint).report(SelfReport::silent())
}

#[track_caller]
fn errors(builder: OtelBuilder) -> Vec<String> {
    match builder.build() {
        Err(OtelError::Options(invalid)) => invalid.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it is valid"),
    }
}

#[test]
fn wrong_options_are_reported_together() {
    let builder = silent("http://collector:4318").all_signals(|signal| {
        signal
            .header("a b", "x")
            .header("host", "x")
            .header("Content-Type", "x")
            .header("api-key", "secret\n")
            .max_queue_len(10)
            .max_batch_len(11)
            .client_key(CLIENT_KEY)
            .root_certificates(CA)
    });
    let errors = errors(builder.traces(|traces| traces.endpoint("ftp://collector")));
    let text = errors.join("\n");
    assert!(!text.contains("secret"), "{text}");
    for part in [
        "traces: endpoint: `ftp://collector` has an unknown scheme",
        "header: a key of 3 bytes is not the name of a header",
        "header: `host` is a header that the exporter sets",
        "header: `Content-Type` is a header that the exporter sets",
        "header: the value of the header `api-key` (hidden) has a character",
        "max_batch_len: a batch of 11 records does not fit into the queue of 10",
        "client_certificate: the client key has no certificate",
        "is an endpoint without TLS, which needs no certificates",
    ] {
        let times = errors.iter().filter(|error| error.contains(part)).count();
        // The endpoints without TLS are two.
        let expected = if part.starts_with("is an endpoint") {
            2
        } else {
            1
        };
        assert_eq!(times, expected, "{part}: {text}");
    }
}

#[test]
fn certificate_without_tls_is_named() {
    let builder = silent("http://collector:4318")
        .logs(|logs| logs.client_certificate(CLIENT).client_key(CLIENT_KEY));
    let text = errors(builder).join("\n");
    let expected = "logs: client_certificate: `http://collector:4318/v1/logs` is an endpoint";
    assert!(text.starts_with(expected), "{text}");
}

fn apply(builder: &mut OtelBuilder, name: &str, text: &str) -> Result<(), ParseError> {
    let setting = OtelSetting::all().find(|setting| setting.def.name == name);
    builder.apply(setting.unwrap(), text)
}

#[test]
fn sampler_in_code_overrides_the_variable() {
    let receiver = Receiver::start();
    let mut builder = builder(&receiver).metrics(ExportOptions::off);
    apply(&mut builder, "OTEL_TRACES_SAMPLER", "traceidratio").unwrap();
    apply(&mut builder, "OTEL_TRACES_SAMPLER_ARG", "1").unwrap();
    let builder = builder.span_options(|spans| spans.sampler(TraceSampler::always_off()));
    let (otel, guard) = builder.build().unwrap();
    record(&otel, 1);
    guard.shutdown(GUARD);
    assert_eq!(receiver.spans().len(), 0);
}

#[test]
fn variables_choose_the_sampler_and_its_ratio() {
    let exported = |name: &str, argument: &str| {
        let receiver = Receiver::start();
        let mut builder = builder(&receiver).metrics(ExportOptions::off);
        apply(&mut builder, "OTEL_TRACES_SAMPLER", name).unwrap();
        if !argument.is_empty() {
            apply(&mut builder, "OTEL_TRACES_SAMPLER_ARG", argument).unwrap();
        }
        let (otel, guard) = builder.build().unwrap();
        record(&otel, 1);
        guard.shutdown(GUARD);
        receiver.spans().len()
    };
    assert_eq!(exported("always_off", ""), 0);
    assert_eq!(exported("traceidratio", "0"), 0);
    assert_eq!(exported("parentbased_traceidratio", ""), 1);

    let mut builder = silent("http://collector:4318");
    apply(&mut builder, "OTEL_TRACES_SAMPLER_ARG", "0.5").unwrap();
    let errors = errors(builder);
    assert!(
        errors[0].starts_with("traces: sampler_argument: "),
        "{errors:?}"
    );
}

#[test]
fn listener_in_code_overrides_the_variables() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut builder = Otel::builder_without_endpoint().report(SelfReport::silent());
    apply(&mut builder, "OTEL_METRICS_EXPORTER", "prometheus").unwrap();
    apply(&mut builder, "OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1").unwrap();
    apply(
        &mut builder,
        "OTEL_EXPORTER_PROMETHEUS_PORT",
        &port.to_string(),
    )
    .unwrap();
    let of_variables = builder.clone().build();
    assert!(
        matches!(of_variables, Err(OtelError::Listener(_))),
        "{of_variables:?}"
    );
    let builder = builder.metrics_options(|metrics| metrics.prometheus("127.0.0.1", 0));
    let (otel, guard) = builder.build().unwrap();
    assert!(otel.prometheus_address().is_some());
    guard.shutdown(GUARD);
}

/// A key is shown only if it is a token: otherwise a part of a value may be in it.
#[test]
fn headers_show_no_part_of_a_value() {
    for text in [
        "Authorization: Basic dXNlcjpodW50ZXIy==",
        "Bearer hunter2=",
        "Bearer hunter2=%zz",
        "api-key=hunter2%",
        "hunter2",
        "=hunter2",
        "api-key=hunter2%0A",
    ] {
        let mut builder = silent("http://collector:4318");
        let problems = match apply(&mut builder, "OTEL_EXPORTER_OTLP_HEADERS", text) {
            Err(error) => error.to_string(),
            Ok(()) => errors(builder).join("\n"),
        };
        assert!(!problems.contains("hunter"), "{text}: {problems}");
        assert!(!problems.contains("dXNl"), "{text}: {problems}");
    }
}

#[test]
fn headers_have_values_and_attributes_may_be_empty() {
    let mut builder = silent("http://collector:4318");
    let error = apply(&mut builder, "OTEL_EXPORTER_OTLP_HEADERS", "a=1,b=, c = ").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`b` has no value: write `key=value`; `c` has no value: write `key=value`"
    );
    apply(&mut builder, "OTEL_RESOURCE_ATTRIBUTES", "a=1,b=").unwrap();
}

/// Quotes and brackets have a meaning in other lists.
#[test]
fn each_comma_ends_a_pair() {
    let receiver = Receiver::start();
    let mut builder = builder(&receiver).metrics(ExportOptions::off);
    let headers = "api-key=a[b,x-team=\"shop, x-zone = {eu%2C1}";
    apply(&mut builder, "OTEL_EXPORTER_OTLP_HEADERS", headers).unwrap();
    let (otel, guard) = builder.build().unwrap();
    record(&otel, 1);
    guard.shutdown(GUARD);
    let request = receiver.requests().remove(0);
    let header = |name| request.header(name);
    assert_eq!(header("api-key"), Some("a[b"));
    assert_eq!(header("x-team"), Some("\"shop"));
    assert_eq!(header("x-zone"), Some("{eu,1}"));
}

#[test]
fn keys_of_attributes_are_percent_decoded() {
    let attributes = resource(|mut builder| {
        let text = "a%2Cb%3D=1%2C2,c={d";
        apply(&mut builder, "OTEL_RESOURCE_ATTRIBUTES", text).unwrap();
        builder
    });
    assert_eq!(text(&attributes, "a,b="), Some("1,2"));
    assert_eq!(text(&attributes, "c"), Some("{d"));

    let mut builder = silent("http://collector:4318");
    let error = apply(&mut builder, "OTEL_RESOURCE_ATTRIBUTES", "k=v,100%=secret").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`100%` is not percent-encoded: write `%25` for a percent sign"
    );
    assert_eq!(error.problems()[0].range, Some(4..15));
}

/// By the specification, upper and lower case are alike in values that name a choice.
#[test]
fn words_may_be_in_upper_case() {
    for (name, text) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/Protobuf"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "None"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "OTLP"),
        ("OTEL_METRICS_EXPORTER", "Otlp,Prometheus"),
        ("OTEL_METRICS_EXPORTER", "NONE"),
        ("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio"),
        ("OTEL_PROPAGATORS", "TraceContext, BAGGAGE"),
        ("OTEL_PROPAGATORS", "None"),
        ("OTEL_LOG_LEVEL", "INFO"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
            "LowMemory",
        ),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "Always_On"),
    ] {
        let applied = apply(&mut silent("http://collector:4318"), name, text);
        assert_eq!(applied, Ok(()), "{name}={text}");
    }

    let mut builder = silent("http://collector:4318").metrics(ExportOptions::off);
    apply(&mut builder, "OTEL_TRACES_EXPORTER", "None").unwrap();
    apply(&mut builder, "OTEL_LOGS_EXPORTER", "NONE").unwrap();
    assert!(errors(builder)[0].starts_with("endpoint: no signal"));
    let exporters = OtelSetting::all().find(|it| it.def.name == "OTEL_METRICS_EXPORTER");
    assert!(exporters.unwrap().enables("otlp, Prometheus"));
    assert_eq!(
        exporters.unwrap().exports("OTLP"),
        Some(SignalKind::Metrics)
    );
}

/// For another signal, `prometheus` is an invalid value, and needs no endpoint.
#[test]
fn prometheus_enables_only_metrics() {
    let enabling = OtelSetting::all().filter(|it| it.enables("prometheus") && !it.is_endpoint());
    let enabling: Vec<&str> = enabling.map(|it| it.def.name).collect();
    assert_eq!(enabling, ["OTEL_METRICS_EXPORTER"]);
}

/// Errors of the builder name the variable of each option that has one.
#[test]
fn options_have_variables() {
    let mut builder = silent("http://collector:4318");
    apply(&mut builder, "OTEL_EXPORTER_OTLP_HEADERS", "host=x").unwrap();
    let Err(OtelError::Options(invalid)) = builder.build() else {
        panic!("it is valid");
    };
    let setting = OtelSetting::for_option(&invalid[0]).unwrap();
    assert_eq!(setting.def.name, "OTEL_EXPORTER_OTLP_HEADERS");
}

#[test]
fn passwords_in_endpoints_are_refused_and_not_shown() {
    for text in [
        "http://user:hunter2@c:4318",
        "http://user:hun/ter2@c:4318",
        "http://user:1234/hunter2@c",
        "http://user:hun?ter2@c",
        "http://hunter2@c",
    ] {
        for builder in [
            silent(text),
            Otel::builder_without_endpoint().logs(|logs| logs.endpoint(text)),
        ] {
            let shown = format!("{builder:?}");
            assert!(!shown.contains("hun"), "{shown}");
            let errors = errors(builder).join("\n");
            assert!(errors.contains("has an `@`"), "{errors}");
            assert!(!errors.contains("hun"), "{errors}");
        }
    }
}

#[test]
fn endpoint_of_all_signals_is_that_of_the_builder() {
    let receiver = Receiver::start();
    let (otel, guard) = silent("http://localhost:1")
        .all_signals(|signal| signal.endpoint(receiver.endpoint()))
        .metrics(ExportOptions::off)
        .build()
        .unwrap();
    record(&otel, 1);
    let stats = guard.shutdown(GUARD);
    assert_eq!(stats.traces.outcomes.delivered, 1, "{stats:?}");
    assert_eq!(receiver.logs().len(), 1);
}

#[test]
fn own_clock_of_logs_wins() {
    let receiver = Receiver::start();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let (otel, guard) = builder(&receiver)
        .log_options(|logs| logs.clock(Clock::manual(time)))
        .build()
        .unwrap();
    record(&otel, 1);
    guard.shutdown(GUARD);
    let logs = receiver.logs();
    assert_eq!(logs[0].item.time_unix_nano, 1_000_000_000_000_000);
}

#[test]
fn wrong_certificates_are_found_at_the_start() {
    let with = |change: fn(ExportOptions) -> ExportOptions| {
        let errors = errors(silent("https://collector").all_signals(change));
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors.into_iter().next().unwrap()
    };
    for (error, part) in [
        (
            with(|signal| signal.root_certificates("no PEM")),
            "root_certificates: the certificate is not in PEM",
        ),
        (
            with(|signal| signal.root_certificates(CLIENT_KEY)),
            "root_certificates: the certificate is not in PEM",
        ),
        (
            with(|signal| signal.client_certificate(CLIENT)),
            "client_key: the client certificate has no key",
        ),
        (
            with(|signal| signal.client_certificate(CLIENT).client_key("no PEM")),
            "client_certificate: the client key is not in PEM",
        ),
        (
            with(|signal| signal.client_certificate(CA).client_key(CLIENT_KEY)),
            "client_certificate: the client key does not belong to the client certificate",
        ),
    ] {
        assert!(error.starts_with(part), "{error}");
        assert!(
            !error.contains("BEGIN PRIVATE") || error.contains("write it"),
            "{error}"
        );
    }
}

#[test]
fn endpoints_decide_which_signals_are_exported() {
    let (otel, guard) = silent("http://localhost:1").build().unwrap();
    assert!(otel.spans().is_some() && otel.logs().is_some());
    guard.shutdown(Duration::ZERO);

    let only_logs = Otel::builder_without_endpoint()
        .report(SelfReport::silent())
        .logs(|logs| logs.endpoint("http://localhost:1/logs"));
    let (otel, guard) = only_logs.build().unwrap();
    assert!(otel.spans().is_none() && otel.logs().is_some());
    guard.shutdown(Duration::ZERO);

    let none = Otel::builder_without_endpoint();
    let errors = errors(none.logs(ExportOptions::off));
    assert_eq!(
        errors,
        ["endpoint: no signal has an endpoint: set one, or do not build the exporter"]
    );
}

#[test]
fn own_options_of_a_signal_win() {
    let receiver = Receiver::start();
    let builder = builder(&receiver)
        .metrics(ExportOptions::off)
        .all_signals(|signal| signal.header("a", "all").header("b", "all"))
        .traces(|traces| {
            let own = format!("{}/own/path", receiver.endpoint());
            traces.endpoint(own).header("a", "own")
        });
    let (otel, guard) = builder.build().unwrap();
    record(&otel, 1);
    guard.shutdown(GUARD);
    let requests = receiver.requests();
    let of = |path: &str| {
        requests
            .iter()
            .find(|request| request.path == path)
            .unwrap()
    };
    let traces = of("/own/path");
    assert_eq!(
        (traces.header("a"), traces.header("b")),
        (Some("own"), None)
    );
    let logs = of("/v1/logs");
    assert_eq!(
        (logs.header("a"), logs.header("b")),
        (Some("all"), Some("all"))
    );
}

/// Returns the attributes of the resource of everything that `builder` exports.
fn resource(builder: impl FnOnce(OtelBuilder) -> OtelBuilder) -> Vec<KeyValue> {
    let receiver = Receiver::start();
    let start = crate::support::builder(&receiver).metrics(ExportOptions::off);
    let (otel, guard) = builder(start).build().unwrap();
    record(&otel, 1);
    guard.shutdown(GUARD);
    let (span, log) = (receiver.spans().remove(0), receiver.logs().remove(0));
    assert_eq!(span.resource, log.resource);
    span.resource.attributes
}

#[test]
fn resource_describes_the_process() {
    let attributes = resource(|builder| builder);
    let all: BTreeMap<&str, &Value> = attributes
        .iter()
        .map(|pair| {
            (
                &*pair.key,
                pair.value.as_ref().unwrap().value.as_ref().unwrap(),
            )
        })
        .collect();
    assert_eq!(all.len(), attributes.len(), "no key occurs twice");
    assert_eq!(
        all["process.pid"],
        &Value::IntValue(std::process::id().into())
    );
    let program = text(&attributes, "service.name").unwrap();
    assert!(program.starts_with("it-"), "{program}");
    assert_eq!(text(&attributes, "telemetry.sdk.name"), Some("spanwise"));
    assert_eq!(text(&attributes, "telemetry.sdk.language"), Some("rust"));
    let version = text(&attributes, "telemetry.sdk.version");
    assert_eq!(version, Some(env!("CARGO_PKG_VERSION")));
    let id = text(&attributes, "service.instance.id").unwrap();
    let parts: Vec<usize> = id.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
    assert_eq!(&id[14..15], "4", "{id}");
    assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
    if cfg!(unix) {
        assert!(all.contains_key("host.name"));
    }
}

#[test]
fn configured_attributes_win() {
    let attributes = resource(|builder| {
        builder
            .service_name("shop")
            .service_version("1.4.0")
            .service_instance_id("shop-7")
            .environment("prod")
            .service_name("")
            .resource_attribute("service.name", "ignored")
            .resource_attribute("host.name", "box")
            .resource_attribute("team", "first")
            .resource_attribute("team", "payments")
    });
    for (key, value) in [
        ("service.name", "shop"),
        ("service.version", "1.4.0"),
        ("service.instance.id", "shop-7"),
        ("deployment.environment.name", "production"),
        ("host.name", "box"),
        ("team", "payments"),
    ] {
        assert_eq!(text(&attributes, key), Some(value));
    }
    let environment = |name: &str| {
        let attributes = resource(|builder| builder.environment(name));
        text(&attributes, "deployment.environment.name").map(str::to_owned)
    };
    assert_eq!(environment("dev").as_deref(), Some("development"));
    assert_eq!(environment("staging").as_deref(), Some("staging"));
}

#[test]
fn ports_of_the_other_protocol_are_reported_once() {
    let report = SelfReport::silent();
    let builder = Otel::builder("http://localhost:4317").report(report.clone());
    let (_, guard) = builder.build().unwrap();
    guard.shutdown(Duration::ZERO);
    let faults = report.stats().faults;
    let setup = faults.iter().find(|(fault, _)| *fault == Fault::Setup);
    assert_eq!(setup.map(|(_, count)| *count), Some(1));
}

#[test]
fn signals_have_names() {
    let names = [SignalKind::Traces, SignalKind::Logs, SignalKind::Metrics];
    assert_eq!(
        names.map(|signal| signal.to_string()),
        ["traces", "logs", "metrics"]
    );
}
