use super::*;

#[test]
fn names_have_their_unit_once() {
    use FamilyKind::{Counter, Gauge, Histogram};
    for (instrument, unit, kind, name, shown_unit) in [
        (
            "http.server.request.duration",
            "s",
            Histogram,
            "http_server_request_duration_seconds",
            Some("seconds"),
        ),
        (
            "http.server.active_requests",
            "{request}",
            Gauge,
            "http_server_active_requests",
            None,
        ),
        (
            "process.cpu.time",
            "s",
            Counter,
            "process_cpu_time_seconds",
            Some("seconds"),
        ),
        (
            "process.memory.usage",
            "By",
            Gauge,
            "process_memory_usage_bytes",
            Some("bytes"),
        ),
        (
            "disk.free.bytes",
            "By",
            Gauge,
            "disk_free_bytes",
            Some("bytes"),
        ),
        ("bytes.free", "By", Gauge, "bytes_free", None),
        (
            "rate",
            "By/s",
            Gauge,
            "rate_bytes_per_second",
            Some("bytes_per_second"),
        ),
        (
            "rate",
            "{packet}/s",
            Gauge,
            "rate_per_second",
            Some("per_second"),
        ),
        ("used", "1", Gauge, "used_ratio", Some("ratio")),
        ("used", "1", Counter, "used", None),
        ("requests_total", "", Counter, "requests", None),
        ("jobs.total", "", Gauge, "jobs_total_value", None),
        (
            "thread.count",
            "{thread}",
            Gauge,
            "thread_count_value",
            None,
        ),
        ("thread.count", "", Counter, "thread_count", None),
        ("a..b--c/ü", "", Gauge, "a_b_c_", None),
        ("9lives", "", Gauge, "_9lives", None),
        (
            "time",
            "fortnights",
            Gauge,
            "time_fortnights",
            Some("fortnights"),
        ),
        ("odd", "{a{b}c}", Gauge, "odd", None),
        ("odd", "/", Gauge, "odd", None),
        ("total", "", Counter, "total", None),
    ] {
        let expected = FamilyName {
            name: name.to_owned(),
            unit: shown_unit.map(str::to_owned),
        };
        assert_eq!(
            family_name(instrument, unit, kind),
            expected,
            "{instrument}"
        );
    }
}

#[test]
fn labels_are_valid() {
    for (key, label) in [
        ("http.route", "http_route"),
        ("a:b", "a_b"),
        ("::name::", "_name_"),
        ("__name__", "_name_"),
        ("0", "_0"),
        ("", "_"),
    ] {
        assert_eq!(label_name(key), label);
    }
}
