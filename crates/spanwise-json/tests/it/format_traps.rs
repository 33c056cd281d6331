//! What receivers refuse, drop or misread, and how each format avoids it.

use serde_json::{Value, json};
use spanwise_json::{Format, JsonLayer, as_json};
use spanwise_testing::support::fixed_clock;
use tracing::{Level, error, event, field::Empty, info, info_span};

use crate::support::{Failed, lines};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn line(format: Format, log: impl FnOnce()) -> Value {
    lines(|layer| layer.format(format), log).only()
}

fn text(format: Format, log: impl FnOnce()) -> String {
    lines(|layer| layer.format(format), log).text()
}

#[test]
fn ecs_leaf_takes_only_its_kind() {
    let shown = line(Format::Ecs, || {
        info!(
            http.response.status_code = 200,
            user.id = "u-1",
            user = "ada"
        );
    });
    assert_eq!(shown["http.response.status_code"], 200);
    assert_eq!(shown["user.id"], "u-1");
    assert_eq!(shown["labels.user"], "ada");
    let shown = line(Format::Ecs, || {
        info!(http.response.status_code = "teapot", user.id = 7);
    });
    assert_eq!(shown["labels.http_response_status_code"], "teapot");
    assert_eq!(shown["numeric_labels.user_id"], 7);
}

#[test]
fn ecs_label_has_one_type() {
    let shown = line(Format::Ecs, || {
        info!(paid = true, ratio = f64::NAN, big = u128::MAX, list = %as_json(&[1]), part = 0.5);
    });
    assert_eq!(shown["labels.paid"], "true");
    assert_eq!(shown["labels.ratio"], "NaN");
    assert_eq!(shown["labels.big"], u128::MAX.to_string());
    assert_eq!(shown["labels.list"], "[1]");
    assert_eq!(shown["numeric_labels.part"], 0.5);
}

#[test]
fn names_that_are_written_alike_are_one_field() {
    let shown = line(Format::Ecs, || {
        info_span!("s", order.id = "outer").in_scope(|| info!(order_id = "inner"));
    });
    assert_eq!(shown["labels.order_id"], "inner");
}

#[test]
fn gelf_has_only_text_and_numbers() {
    let shown = line(Format::Gelf, || {
        info!(paid = true, ratio = f64::INFINITY, "a b" = 1, list = %as_json(&["x"]), " ");
    });
    assert_eq!(shown["_paid"], "true");
    assert_eq!(shown["_ratio.text"], "Infinity");
    assert_eq!(shown["_a_b"], 1);
    assert_eq!(shown["_list"], r#"["x"]"#);
    assert_eq!(shown["short_message"], "(no message)");
}

#[test]
fn gelf_moves_names_that_graylog_drops() {
    let shown = line(Format::Gelf, || {
        info!(
            source = "a",
            level = 1,
            id = "b",
            _id = "c",
            gl2_source_node = "d",
            "m"
        );
    });
    assert_eq!(shown["level"], 6);
    assert_eq!(shown["_fields.level"], 1);
    assert_eq!(shown["_fields.source"], "a");
    assert_eq!(shown["_fields.id"], "b");
    // Graylog removes one underscore, and then refuses `_id`.
    assert_eq!(shown["__id"], Value::Null);
    assert_eq!(shown["_fields._id"], "c");
    assert_eq!(shown["_fields.gl2_source_node"], "d");
}

#[test]
fn logstash_moves_names_of_metadata() {
    let shown = line(Format::Logstash, || info!(_id = "a", tags = "b", id = "c"));
    assert_eq!(shown["_id"], Value::Null);
    assert_eq!(shown["fields._id"], "a");
    assert_eq!(shown["fields.tags"], "b");
    assert_eq!(shown["id"], "c");
}

#[test]
fn required_message_is_never_missing() {
    for (format, key, missing) in [
        (Format::Bunyan, "msg", ""),
        (Format::Logstash, "message", ""),
        (Format::Gelf, "short_message", "(no message)"),
    ] {
        let shown = line(format.clone(), || info!(a = 1));
        assert_eq!(shown[key], missing, "{format}");
        let shown = line(format.clone(), || info!(message = Empty, a = 1));
        assert_eq!(shown[key], missing, "{format}");
    }
}

#[test]
fn message_is_text_whatever_was_logged() {
    let formats = [Format::Ecs, Format::Gcp, Format::Datadog, Format::Bunyan];
    for format in formats {
        let shown = text(format.clone(), || info!(message = 5));
        assert!(shown.contains(r#"":"5""#), "{format}: {shown}");
        let shown = text(format.clone(), || info!(message = %as_json(&["x"])));
        assert!(shown.contains(r#"":"[\"x\"]""#), "{format}: {shown}");
    }
}

#[test]
fn google_cloud_gets_only_valid_ids() {
    let of = |trace_id: &str, span_id: &str| {
        lines(
            |layer| layer.format(Format::Gcp).google_cloud_project("p"),
            || info!(trace_id, span_id),
        )
        .only()
    };
    let shown = of(TRACE_ID, "00f067aa0ba902b7");
    let trace = format!("projects/p/traces/{TRACE_ID}");
    assert_eq!(shown["logging.googleapis.com/trace"], trace);
    assert_eq!(shown["logging.googleapis.com/spanId"], "00f067aa0ba902b7");
    let shown = of("not an id", "0000000000000000");
    assert_eq!(shown["trace_id"], "not an id");
    assert_eq!(shown["span_id"], "0000000000000000");
    let without_project = line(Format::Gcp, || info!(trace_id = TRACE_ID));
    assert_eq!(without_project["trace_id"], TRACE_ID);
}

#[test]
fn http_request_is_made_of_fitting_values_only() {
    let shown = line(Format::Gcp, || {
        info!(
            http.response.status_code = "teapot",
            url.path = "/",
            duration_ms = 2_u64
        );
    });
    assert_eq!(
        shown["httpRequest"],
        json!({ "requestUrl": "/", "latency": "0.002s" })
    );
    assert_eq!(shown["http.response.status_code"], "teapot");
    let shown = line(Format::Gcp, || {
        info!(duration_ms = 2_u64, httpRequest = "mine")
    });
    assert_eq!(shown["duration_ms"], 2);
    assert_eq!(shown["fields.httpRequest"], "mine");
}

#[test]
fn datadog_reads_its_own_keys_only() {
    let shown = line(Format::Datadog, || {
        info!(
            host = "a",
            level = "b",
            dd.trace_id = "c",
            duration_ms = 1.5
        );
    });
    assert_eq!(shown["status"], "info");
    assert_eq!(shown["fields.host"], "a");
    assert_eq!(shown["fields.level"], "b");
    assert_eq!(shown["fields.dd.trace_id"], "c");
    assert_eq!(shown["duration"], 1_500_000);
}

#[test]
fn critical_event_has_the_highest_level() {
    for (format, key, level) in [
        (Format::Json, "critical", json!(true)),
        (Format::Json, "level", json!("ERROR")),
        (Format::Ecs, "log.level", json!("fatal")),
        (Format::Gcp, "severity", json!("CRITICAL")),
        (Format::Datadog, "status", json!("critical")),
        (Format::Gelf, "level", json!(2)),
        (Format::Bunyan, "level", json!(60)),
    ] {
        let shown = line(format.clone(), || {
            event!(name: "critical", Level::ERROR, "no database");
        });
        assert_eq!(shown[key], level, "{format}");
    }
    let shown = line(Format::Json, || error!(critical = true, "forged"));
    assert_eq!(shown["critical"], Value::Null);
    assert_eq!(shown["fields.critical"], true);
}

#[test]
fn line_has_no_parts_of_two_errors() {
    let shown = line(Format::Ecs, || {
        let of_span = Failed("outer", Some(Box::new(Failed("cause", None))));
        let span = info_span!("s", error = &of_span as &dyn std::error::Error);
        span.in_scope(|| error!(error = "inner", "failed"));
    });
    assert_eq!(shown["error.message"], "inner");
    assert_eq!(shown["error.stack_trace"], Value::Null);
}

#[test]
fn second_error_is_text_where_objects_are_refused() {
    let shown = line(Format::Ecs, || {
        let failed = Failed("refused", Some(Box::new(Failed("reset", None))));
        let failed: &dyn std::error::Error = &failed;
        error!(error = failed, cause = failed, "failed");
    });
    assert_eq!(shown["error.message"], "refused");
    assert_eq!(shown["error.stack_trace"], "refused\n  caused by: reset");
    assert_eq!(shown["labels.cause"], "refused");
    assert_eq!(shown["labels.cause_chain"], "reset");
}

#[test]
fn field_does_not_take_the_key_of_a_requested_part() {
    let ecs = lines(
        |layer| layer.format(Format::Ecs).fields(&"+host".parse().unwrap()),
        || info!(host.name = "other", "m"),
    );
    let text = ecs.text();
    assert_eq!(text.matches(r#""host.name":"#).count(), 1, "{text}");
    assert!(text.contains(r#""other""#), "{text}");
    let custom = Format::custom("acme")
        .field("from", "host")
        .build()
        .unwrap();
    let custom = lines(
        |layer| layer.format(custom).fields(&"+host".parse().unwrap()),
        || info!(from = "other", "m"),
    );
    let text = custom.text();
    assert_eq!(text.matches(r#""host":"#).count(), 1, "{text}");
    assert!(text.contains(r#""fields.from":"other""#), "{text}");
}

#[test]
fn lists_of_cut_fields_are_spelled_as_fields() {
    let cut = |format: Format| {
        let long = "x".repeat(300);
        let cut = |layer: JsonLayer| layer.format(format).max_field(256).max_line(1024);
        lines(cut, || {
            info!(body = long.as_str(), other = long.as_str(), "m")
        })
        .text()
    };
    assert!(cut(Format::Gelf).contains(r#""_truncated":"body,other""#));
    assert!(cut(Format::Ecs).contains(r#""labels.truncated":["labels.body","labels.other"]"#));
    assert!(cut(Format::Logfmt).contains(" truncated=body,other"));
    let otlp = cut(Format::Otlp);
    assert!(
        otlp.contains(r#"{"arrayValue":{"values":[{"stringValue":"body"},"#),
        "{otlp}"
    );
    assert!(otlp.contains(r#""droppedAttributesCount":2"#));
}

#[test]
fn gelf_list_of_cut_fields_has_each_name_once() {
    let (long, some) = ("x".repeat(300), "y".repeat(200));
    let cut = |layer: JsonLayer| layer.format(Format::Gelf).max_field(256).max_line(520);
    let shown = lines(cut, || {
        info!(other = 1, __x = long.as_str(), more = some.as_str(), "m");
    })
    .only();
    assert_eq!(shown["_truncated"], "__x,more");
    let shown = lines(cut, || {
        info!(
            a = some.as_str(),
            b = some.as_str(),
            __x = long.as_str(),
            "m"
        );
    })
    .only();
    assert_eq!(shown["_truncated"], "__x,b");
}

#[test]
fn gelf_names_have_only_what_graylog_accepts() {
    let tracing_name = "a.very.long.name.".repeat(20);
    let shown = lines(
        |layer| {
            layer
                .format(Format::Gelf)
                .rename("a", &tracing_name)
                .rename("b", tracing_name.clone() + "x")
        },
        || info!(a = 1, b = f64::NAN, "m"),
    )
    .only();
    let long: Vec<&String> = shown
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.len() > 50)
        .collect();
    assert_eq!(long.len(), 2, "{long:?}");
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    assert!(
        long.iter().all(|key| key.chars().all(is_of_name)),
        "{long:?}"
    );
    assert!(long.iter().all(|key| key.len() <= 256));
}

#[test]
fn each_format_shows_the_node_of_the_service() {
    let keys = [
        (Format::Json, "/service/node"),
        (Format::Ecs, "/service.node.name"),
        (Format::Gcp, "/service_node"),
        (Format::Logstash, "/service_node"),
        (Format::Gelf, "/_service_node"),
        (Format::Bunyan, "/service_node"),
        (Format::Emf, "/service_node"),
    ];
    for (format, key) in keys {
        let node = |layer: JsonLayer| layer.format(format.clone()).service_node("shop-7");
        let shown = lines(node, || info!("m")).only();
        assert_eq!(shown.pointer(key), Some(&json!("shop-7")), "{shown}");
        // The name of the service is required in `bunyan`.
        if format == Format::Bunyan {
            continue;
        }
        let omitted = |layer| node(layer).exclude(["service"]);
        let shown = lines(omitted, || info!("m")).only();
        assert_eq!(shown.pointer(key), None, "{shown}");
    }
    let datadog = |layer: JsonLayer| layer.format(Format::Datadog).service_node("shop-7");
    let shown = lines(datadog, || info!("m")).only();
    assert_eq!(shown["ddtags"], "service_node:shop-7");
    let datadog = |layer: JsonLayer| layer.format(Format::Datadog).service_node("shop,7");
    let shown = lines(datadog, || info!("m")).only();
    assert_eq!(shown["ddtags"], "service_node:shop_7");
    let logfmt = |layer: JsonLayer| layer.format(Format::Logfmt).service_node("shop-7");
    let text = lines(logfmt, || info!("m")).text();
    assert!(text.ends_with(" service_node=shop-7\n"), "{text}");
    let otlp = |layer: JsonLayer| layer.format(Format::Otlp).service_node("shop-7");
    let shown = lines(otlp, || info!("m")).only();
    let id = "/resourceLogs/0/resource/attributes/0";
    let expected = json!({ "key": "service.instance.id", "value": { "stringValue": "shop-7" } });
    assert_eq!(shown.pointer(id), Some(&expected), "{shown}");
    let acme = Format::custom("with_node")
        .service_node("pod")
        .build()
        .unwrap();
    let custom = |layer: JsonLayer| layer.format(acme.clone()).service_node("shop-7");
    assert_eq!(lines(custom, || info!("m")).only()["pod"], "shop-7");
}

#[test]
fn key_of_the_service_is_reserved_without_a_service() {
    for (format, key) in [
        (Format::Json, "service"),
        (Format::Gcp, "serviceContext"),
        (Format::Gcp, "environment"),
        (Format::Datadog, "ddtags"),
        (Format::Logstash, "service_name"),
        (Format::Logstash, "environment"),
        (Format::Bunyan, "version"),
        (Format::Emf, "version"),
        (Format::Emf, "environment"),
        (Format::Gcp, "service_node"),
        (Format::Bunyan, "service_node"),
    ] {
        let shown = lines(
            |layer| layer.format(format.clone()).rename("a", key),
            || info!(a = "forged", "m"),
        )
        .only();
        assert_eq!(shown[key], Value::Null, "{format}");
        assert_eq!(shown[format!("fields.{key}")], "forged", "{format}");
    }
    let shown = line(Format::Gelf, || {
        info!(service = "forged", environment = "b", "m")
    });
    assert_eq!(
        (&shown["_service"], &shown["_environment"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (&shown["_fields.service"], &shown["_fields.environment"]),
        (&json!("forged"), &json!("b"))
    );
    let words = text(Format::Logfmt, || info!(version = "forged", "m"));
    assert!(words.ends_with(" fields.version=forged\n"), "{words}");
}

#[test]
fn required_time_cannot_be_omitted() {
    for (format, key) in [(Format::Bunyan, "time"), (Format::Ecs, "@timestamp")] {
        let shown = lines(
            |layer| layer.format(format).without_timestamp(),
            || info!("m"),
        )
        .only();
        assert!(shown[key].as_str().unwrap().ends_with('Z'), "{shown}");
        // In either order of the setters.
        let shown = lines(
            |layer| layer.without_timestamp().format(Format::Bunyan),
            || info!("m"),
        );
        assert!(shown.text().contains(r#""time":"#), "{}", shown.text());
    }
    for (format, key) in [(Format::Json, "timestamp"), (Format::Gelf, "timestamp")] {
        let shown = lines(
            |layer| layer.format(format).without_timestamp(),
            || info!("m"),
        )
        .only();
        assert_eq!(shown[key], Value::Null, "{shown}");
    }
}

#[test]
fn http_request_is_cut_with_the_line() {
    let (path, agent) = ("/".repeat(500), "a".repeat(300));
    let shown = lines(
        |layer| layer.format(Format::Gcp).max_line(600),
        || {
            info!(
                http.request.method = "GET",
                url.path = path.as_str(),
                user_agent.original = agent.as_str(),
                "served"
            );
        },
    );
    assert!(shown.text().len() <= 600, "{}", shown.text());
    let line = shown.only();
    let request = json!({ "requestMethod": "GET" });
    assert_eq!(line["httpRequest"], request, "{line}");
    assert_eq!(
        line["truncated"],
        json!(["user_agent.original", "url.path"])
    );
    let whole = lines(
        |layer| layer.format(Format::Gcp).max_line(600),
        || {
            info!(
                http.request.method = "GET",
                url.path = &path[..250],
                "served"
            )
        },
    )
    .only();
    assert_eq!(whole["truncated"], Value::Null);
    assert_eq!(whole["httpRequest"]["requestUrl"], path[..250]);
}

#[test]
fn logfmt_quotes_only_what_needs_it() {
    let shown = text(Format::Logfmt, || {
        info!(
            a = "word",
            b = "",
            c = "null",
            d = "x=y",
            q = "\"",
            "k \"=" = 1,
            f = true,
            "two words"
        );
    });
    let expected = r#"level=info target=it::format_traps msg="two words" a=word b="" c="null" d="x=y" q="\"" k=1 f=true"#;
    assert!(shown.trim_end().ends_with(expected), "{shown}");
}

#[test]
fn otlp_attributes_have_the_types_of_the_values() {
    let shown = line(Format::Otlp, || {
        let span = info_span!("s", trace_id = TRACE_ID, span_id = "none");
        span.in_scope(
            || info!(i = -1, f = 1.0, big = u64::MAX, n = %as_json(&json!({"a": [null]})), "m"),
        );
    });
    let record = &shown["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert_eq!(record["timeUnixNano"], "1795165687123456000");
    assert_eq!(record["traceId"], TRACE_ID);
    assert_eq!(record["spanId"], Value::Null);
    let attributes = record["attributes"].as_array().unwrap();
    let expected = [
        json!({ "key": "i", "value": { "intValue": "-1" } }),
        json!({ "key": "f", "value": { "doubleValue": 1.0 } }),
        json!({ "key": "big", "value": { "stringValue": u64::MAX.to_string() } }),
        json!({ "key": "n", "value": { "kvlistValue": { "values": [
            { "key": "a", "value": { "arrayValue": { "values": [{}] } } }
        ] } } }),
        json!({ "key": "span_id", "value": { "stringValue": "none" } }),
        json!({ "key": "span.name", "value": { "stringValue": "s" } }),
    ];
    assert_eq!(attributes[..], expected);
}

#[test]
fn line_is_no_longer_than_the_receiver_accepts() {
    let long = "x".repeat(200_000);
    let shown = lines(
        |layer| {
            let layer = layer
                .format(Format::Gcp)
                .max_field(1 << 20)
                .max_line(1 << 20);
            layer.clock(fixed_clock())
        },
        || info!(a = long.as_str(), b = long.as_str(), "m"),
    );
    assert!(shown.text().len() <= 256 * 1024);
    assert_eq!(shown.only()["truncated"], json!(["b"]));
}

#[test]
fn otlp_keeps_text_that_looks_like_its_own_keys() {
    let shown = text(Format::Otlp, || info!(a = "#body", "m"));
    assert!(shown.contains(r##"{"stringValue":"#body"}"##), "{shown}");
}

#[test]
fn static_field_does_not_repeat_the_place_of_a_field() {
    let failed = Failed("refused", None);
    let failed: &dyn std::error::Error = &failed;
    let shown = |format: Format, key: &str, log: &dyn Fn()| {
        // Parsing fails if a key is repeated.
        lines(|layer| layer.format(format).add(key, "static"), log).only()
    };
    let error = || error!(error = failed, "m");
    for (format, key) in [
        (Format::Bunyan, "err"),
        (Format::Datadog, "error.kind"),
        (Format::Logstash, "stack_trace"),
        (Format::Logfmt, "error"),
    ] {
        let shown = lines(|layer| layer.format(format).add(key, "static"), error).text();
        assert!(shown.contains(&format!("added.{key}")), "{shown}");
    }
    let shown_id = shown(Format::Bunyan, "req_id", &|| info!(request_id = "r-1", "m"));
    assert_eq!(shown_id["req_id"], "r-1");
    assert_eq!(shown_id["added.req_id"], "static");
    let shown_id = shown(Format::Datadog, "usr.id", &|| info!(user_id = "ada", "m"));
    assert_eq!(shown_id["usr.id"], "ada");
    assert_eq!(shown_id["added.usr.id"], "static");
    let ratio = shown(Format::Gelf, "x.text", &|| info!(x = f64::NAN, "m"));
    assert_eq!(ratio["_x.text"], "static");
    assert_eq!(ratio["_fields.x.text"], "NaN");
}

#[test]
fn error_that_is_cut_is_listed() {
    let long = String::leak("x".repeat(400 * 1024));
    let failed = Failed(long, None);
    let shown = |max_field| {
        let layer = |layer: JsonLayer| layer.format(Format::Ecs).max_field(max_field);
        let layer = |it| layer(it).max_line(1 << 21);
        let log = || error!(error = &failed as &dyn std::error::Error, "m");
        lines(layer, log).only()
    };
    let cut = shown(256 * 1024);
    assert_eq!(cut["labels.truncated"], json!(["error.message"]));
    // The limit of what a policy reads does not apply without a policy.
    assert_eq!(shown(1 << 20)["error.message"], *long);
}

#[test]
fn otlp_has_one_body_of_two_messages() {
    let shown = line(Format::Otlp, || info!(a = 1, message = "own", "hi"));
    let record = &shown["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
    assert!(record["body"]["stringValue"].is_string(), "{shown}");
    let attributes = record["attributes"].as_array().unwrap();
    assert_eq!(attributes[0]["key"], "a", "{shown}");
    assert!(
        !attributes.iter().any(|own| own["key"] == "#body"),
        "{shown}"
    );
}
