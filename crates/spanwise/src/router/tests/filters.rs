//! Filters of routes and sinks.

use super::*;

#[test]
fn filters_read_fields_of_events_spans_and_context() {
    let drop_health = Filter::Drop(field_is("url.path", "/health"));
    let slow = FieldTest::Above(1000.0);
    let only_slow = Filter::Keep(Condition::Field("duration_ms".to_owned(), slow));
    let tenant = Filter::Keep(field_is("tenant_id", "acme"));
    let routing = Routing {
        sinks: vec![
            SinkSettings {
                filters: strings(&["no_health"]),
                ..file("main")
            },
            SinkSettings {
                filters: strings(&["only_slow"]),
                ..file("slow")
            },
            SinkSettings {
                filters: strings(&["tenant"]),
                ..file("tenant")
            },
        ],
        filters: vec![
            ("no_health".to_owned(), drop_health),
            ("only_slow".to_owned(), only_slow),
            ("tenant".to_owned(), tenant),
        ],
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        tracing::info!("plain");
        tracing::info!(url.path = "/health", "event");
        tracing::info!(url.path = ?"/health", "debug");
        tracing::info!(duration_ms = 1500_u64, "slow");
        tracing::info!(duration_ms = 999.5, "fast");
        let span = tracing::info_span!(
            "request",
            url.path = "/health",
            tenant_id = tracing::field::Empty
        );
        let _entered = span.enter();
        tracing::info!("in a span");
        tracing::info!(url.path = "/shop", "the event goes first");
        span.record("tenant_id", "acme");
        tracing::info_span!("inner").in_scope(|| tracing::info!("late"));
    });
    assert_eq!(
        logged.messages("main"),
        ["plain", "slow", "fast", "the event goes first"]
    );
    assert_eq!(logged.messages("slow"), ["slow"]);
    assert_eq!(logged.messages("tenant"), ["late"]);
    assert_eq!(logged.filtered_count("main"), 4);
    assert_eq!(logged.filtered_count("slow"), 7);
    assert_eq!(logged.filtered_count("tenant"), 7);
}

/// `?` compares like `%`, and a text in quotes keeps them.
#[test]
fn filters_compare_strings_without_debug_escapes() {
    let is_file = field_is("file", r"C:\logs");
    let begins_with_break = Condition::Field("text".to_owned(), FieldTest::Starts("\n".to_owned()));
    let has_quotes = Condition::Field("text".to_owned(), FieldTest::Contains("\"\0".to_owned()));
    let is_order = field_is("order", "42");
    let dropped = Condition::Any(vec![is_file, begins_with_break, has_quotes, is_order]);
    let routing = Routing {
        sinks: vec![SinkSettings {
            filters: strings(&["escaped"]),
            ..file("main")
        }],
        filters: vec![("escaped".to_owned(), Filter::Drop(dropped))],
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        for name in [r"C:\logs", r"C:\\logs"] {
            tracing::info!(file = name, "text {name}");
            tracing::info!(file = %name, "display {name}");
            tracing::info!(file = ?name, "debug {name}");
        }
        tracing::info!(text = ?"\nnext", "line break");
        tracing::info!(text = ?"say \"\0\"", "quotes");
        tracing::info!(order = ?"42", "number");
        tracing::info!(order = "\"42\"", "text in quotes");
        tracing::info!(order = %"\"42\" and \"42\"", "two texts");
    });
    assert_eq!(
        logged.messages("main"),
        [
            r"text C:\\logs",
            r"display C:\\logs",
            r"debug C:\\logs",
            "text in quotes",
            "two texts"
        ]
    );
}

#[test]
fn filters_of_a_route_see_its_own_events_alone() {
    let quiet = Filter::Drop(Condition::All(vec![
        Condition::Level(LevelFilter::WARN),
        Condition::Not(Box::new(Condition::Message("refused".to_owned()))),
        Condition::Any(vec![
            field_is("kind", "a"),
            Condition::Field("kind".to_owned(), FieldTest::Exists(false)),
        ]),
    ]));
    let routing = Routing {
        sinks: files(&["main"]),
        filters: vec![("quiet".to_owned(), quiet)],
        routes: routes(&[
            (
                "shop",
                Route {
                    filters: strings(&["quiet"]),
                    ..Route::default()
                },
            ),
            ("shop::db", Route::default()),
        ]),
        ..Routing::default()
    };
    let logged = Running::new(routing).log(|| {
        tracing::warn!(target: "shop", "dropped");
        tracing::warn!(target: "shop", kind = "a", "dropped, too");
        tracing::warn!(target: "shop", kind = "b", "another kind");
        tracing::warn!(target: "shop", "it was refused");
        tracing::info!(target: "shop", "below the level");
        tracing::warn!(target: "shop::db", "from below");
    });
    assert_eq!(
        logged.messages("main"),
        [
            "another kind",
            "it was refused",
            "below the level",
            "from below"
        ]
    );
    assert_eq!(logged.filtered_count("main"), 2);
}

#[test]
fn filter_in_code_sees_redacted_values_and_may_panic() {
    let routing = Routing {
        sinks: vec![SinkSettings {
            filters: strings(&["special"]),
            ..file("main")
        }],
        filters: vec![("special".to_owned(), Filter::Code("special".to_owned()))],
        ..Routing::default()
    };
    let seen = Arc::new(spanwise_core::internal::sync::Mutex::new(Vec::new()));
    let seen_by_filter = Arc::clone(&seen);
    let builder = Builder::new(Preset::Prod).filter("special", move |event: &FilterEvent<'_>| {
        seen_by_filter.lock().extend(event.field("password"));
        match event.field("foo").as_deref() {
            Some("bar") => Verdict::Drop,
            Some("panic") => panic!("the filter"),
            _ => Verdict::Keep,
        }
    });
    let logged = Running::with_builder(builder, routing).log(|| {
        tracing::info!(foo = "bar", "dropped");
        tracing::info!(foo = "panic", "kept");
        tracing::info!(password = "hunter2", "with a secret");
    });
    assert_eq!(logged.messages("main"), ["kept", "with a secret"]);
    assert_eq!(*seen.lock(), ["[REDACTED]"]);
}

#[test]
fn filter_in_code_that_nobody_registers_is_a_problem() {
    let routing = Routing {
        sinks: vec![SinkSettings {
            filters: strings(&["special"]),
            ..file("main")
        }],
        filters: vec![("special".to_owned(), Filter::Code("special".to_owned()))],
        ..Routing::default()
    };
    assert_eq!(
        problems(routing),
        [
            "filter.special is a function, and the program registers none of this name: call \
             `Builder::filter(\"special\", …)`, or remove the filter"
        ]
    );
}

#[test]
fn changed_level_is_shown_and_obeyed() {
    let timeout = Condition::Message("timed out".to_owned());
    let tame = Filter::Level(Level::WARN, timeout.clone());
    let shop = Condition::Target("shop".to_owned());
    let loud = Filter::Level(
        Level::ERROR,
        Condition::All(vec![shop, field_is("kind", "loud")]),
    );
    let routing = Routing {
        sinks: vec![
            file("main"),
            SinkSettings {
                level: LevelFilter::ERROR.into(),
                ..file("errors")
            },
            SinkSettings {
                filters: strings(&["loud"]),
                ..file("loud")
            },
        ],
        filters: vec![("tame".to_owned(), tame), ("loud".to_owned(), loud)],
        routes: routes(&[(
            "shop",
            Route {
                filters: strings(&["tame"]),
                ..Route::default()
            },
        )]),
        ..Routing::default()
    };
    let io = std::io::Error::other("reset");
    let logged = Running::new(routing).log(|| {
        let _request = tracing::info_span!("request", request_id = "r-1").entered();
        let error: &dyn std::error::Error = &io;
        tracing::error!(target: "shop", order = 7, path = ?"a", error, "it timed out");
        tracing::error!(target: "shop", "it broke");
        tracing::error!(target: "hyper", "timed out elsewhere");
        tracing::info!(target: "shop", parent: None, kind = "loud", "hello");
    });
    assert_eq!(
        logged.messages("errors"),
        ["it broke", "timed out elsewhere"]
    );
    let levels = |sink| -> Vec<String> {
        let level = |line: Value| line["level"].as_str().unwrap().to_owned();
        logged.lines(sink).into_iter().map(level).collect()
    };
    assert_eq!(levels("main"), ["WARN", "ERROR", "ERROR", "INFO"]);
    assert_eq!(levels("loud"), ["WARN", "ERROR", "ERROR", "ERROR"]);
    let first = &logged.lines("main")[0];
    assert_eq!(first["order"], 7);
    assert_eq!(first["request_id"], "r-1");
    assert_eq!(first["target"], "shop");
    assert_eq!(first["error"]["message"], "reset");
    assert!(logged.lines("main")[3].get("request_id").is_none());
}

#[test]
fn dropped_event_that_is_only_captured_is_not_counted() {
    let dropped = Filter::Drop(Condition::Target("noise".to_owned()));
    let routing = Routing {
        sinks: files(&["main"]),
        filters: vec![("noise".to_owned(), dropped)],
        root: Route {
            filters: strings(&["noise"]),
            ..Route::default()
        },
        ..Routing::default()
    };
    let builder = Builder::new(Preset::Prod).recorder("debug");
    let logged = Running::with_builder(builder, routing).log(|| {
        let _request = tracing::info_span!("request").entered();
        tracing::debug!(target: "noise", "captured");
        tracing::info!(target: "noise", "shown");
        tracing::error!(target: "shop", "failed");
    });
    assert_eq!(logged.messages("main"), ["failed"]);
    assert_eq!(logged.filtered_count("main"), 1);
}

#[test]
fn lowered_error_triggers_no_dump() {
    let tame = Filter::Level(Level::WARN, Condition::Message("expected".to_owned()));
    let routing = Routing {
        sinks: files(&["main"]),
        root: Route {
            filters: strings(&["tame"]),
            ..Route::default()
        },
        filters: vec![("tame".to_owned(), tame)],
        ..Routing::default()
    };
    let builder = Builder::new(Preset::Prod).recorder("debug");
    let logged = Running::with_builder(builder, routing).log(|| {
        let _request = tracing::info_span!("request").entered();
        tracing::debug!("buffered");
        tracing::error!("an expected failure");
    });
    assert_eq!(logged.messages("main"), ["an expected failure"]);
}
