//! The resource of all exported data. Variables, code and the program describe the service.

use opentelemetry_proto::tonic::resource::v1::Resource;
use spanwise::Builder;

use crate::otlp_receiver::{Receiver, text};
use crate::support::Lines;
use std::time::Duration;

/// Exports a span, and returns its resource, which is also that of the log record.
fn exported(vars: &[(&str, &str)], change: fn(Builder) -> Builder) -> Resource {
    let receiver = Receiver::start();
    let endpoint = receiver.endpoint();
    let all = [
        ("LOG_PRESET", "prod"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
    ];
    let builder = Builder::from_vars(all.iter().chain(vars).copied()).unwrap();
    let builder = change(builder).with_writer(Lines::default());
    let telemetry = builder.init().unwrap();
    tracing::info_span!("job").in_scope(|| tracing::info!("done"));
    telemetry.shutdown(Duration::from_secs(60));
    let [span] = &receiver.spans()[..] else {
        panic!("{:?}", receiver.spans())
    };
    assert_eq!(receiver.logs()[0].resource, span.resource);
    span.resource.clone()
}

#[track_caller]
fn assert_attributes(resource: &Resource, expected: &[(&str, Option<&str>)]) {
    for (key, value) in expected {
        assert_eq!(text(&resource.attributes, key), *value, "{key}");
    }
}

#[test]
fn resource_has_the_service_and_its_environment() {
    alone!();
    let vars = [
        ("SERVICE_NAME", "shop"),
        ("OTEL_SERVICE_NAME", "otel"),
        ("SERVICE_VERSION", "1.4.0"),
        ("APP_ENV", "prod"),
        ("SERVICE_NODE", "shop-7"),
        ("LOG_STATIC_FIELDS", "cluster=blue"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "service.name=attribute,service.version=0.1,cloud.region=eu%20west",
        ),
    ];
    let resource = exported(&vars, |builder| builder);
    let expected = [
        ("service.name", Some("shop")),
        ("service.version", Some("1.4.0")),
        ("deployment.environment.name", Some("production")),
        ("cloud.region", Some("eu west")),
        ("cluster", Some("blue")),
        ("telemetry.sdk.name", Some("spanwise")),
        ("telemetry.sdk.language", Some("rust")),
        ("service.instance.id", Some("shop-7")),
    ];
    assert_attributes(&resource, &expected);
}

#[test]
fn name_of_opentelemetry_beats_the_attribute() {
    alone!();
    let vars = [
        ("OTEL_SERVICE_NAME", "otel"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute"),
        ("APP_ENV", "staging"),
    ];
    let resource = exported(&vars, |builder| builder);
    let expected = [
        ("service.name", Some("otel")),
        ("service.version", None),
        ("deployment.environment.name", Some("staging")),
    ];
    assert_attributes(&resource, &expected);
    let id = text(&resource.attributes, "service.instance.id");
    assert_eq!(id.map(str::len), Some(36));
}

#[test]
fn attribute_beats_the_name_of_the_program() {
    alone!();
    let attributes = "service.name=attribute,service.version=0.1,deployment.environment.name=blue";
    let vars = [("OTEL_RESOURCE_ATTRIBUTES", attributes)];
    let resource = exported(&vars, |builder| builder);
    let expected = [
        ("service.name", Some("attribute")),
        ("service.version", Some("0.1")),
        ("deployment.environment.name", Some("blue")),
    ];
    assert_attributes(&resource, &expected);
}

#[test]
fn program_has_its_name_otherwise() {
    alone!();
    let resource = exported(&[], |builder| builder);
    let expected = [
        ("service.name", Some("it")),
        ("service.version", None),
        ("deployment.environment.name", None),
    ];
    assert_attributes(&resource, &expected);
}

#[test]
fn code_beats_variables_of_the_service() {
    alone!();
    let vars = [
        ("SERVICE_NAME", "variable"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=attribute"),
    ];
    let resource = exported(&vars, |builder| {
        let builder = builder.service("code", "2.0.0");
        builder.otel(|otel| otel.service_instance_id("code-1"))
    });
    let expected = [
        ("service.name", Some("code")),
        ("service.version", Some("2.0.0")),
        ("service.instance.id", Some("code-1")),
    ];
    assert_attributes(&resource, &expected);
}
