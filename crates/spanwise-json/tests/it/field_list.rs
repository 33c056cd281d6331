//! `LOG_FIELDS` in a layer alone: parts and fields that are shown, omitted, renamed and added.

use serde_json::{Value, json};
use spanwise_core::{Fault, SelfReport};
use spanwise_json::{FieldList, Format, JsonLayer, SpanEvents};
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::lines;

fn list(text: &str) -> FieldList {
    text.parse().unwrap()
}

fn text(format: &Format, fields: &str, log: impl FnOnce()) -> String {
    let set = |layer: JsonLayer| {
        layer
            .format(format.clone())
            .service_name("shop")
            .service_version("1.4.0")
            .fields(&list(fields))
    };
    lines(set, log).text()
}

fn line(format: &Format, fields: &str, log: impl FnOnce()) -> Value {
    serde_json::from_str(&text(format, fields, log)).unwrap()
}

fn log() {
    let span = info_span!("request", request_id = "r-1");
    span.in_scope(|| info!(target: "shop", order_id = 42, password = "x", "created"));
}

fn problems(format: &Format, fields: &str) -> String {
    let checked = list(fields).check(format);
    checked.map_or_else(|error| error.to_string(), |()| String::new())
}

#[test]
fn list_reads_as_it_was_written() {
    let text = "+location,-target,only=a|b,level>severity,region=eu=1,@millis";
    assert_eq!(list(text).to_string(), text);
    assert_eq!(list(" -a , , b = c ").to_string(), "-a,b=c");
    assert_eq!(list(""), FieldList::default());
}

#[test]
fn wrong_words_are_all_reported() {
    for (text, expected) in [
        (
            "+locaton",
            "`+locaton` is not a part of a line: did you mean `+location`? accepts",
        ),
        (
            "@milis",
            "`@milis` is not a precision: did you mean `@millis`?",
        ),
        ("target", "write `-target` to omit it"),
        ("-", "`-` lacks a name: write one, or remove it"),
        ("+", "`+` lacks a name"),
        ("@", "`@` lacks a name"),
        ("a>", "`a>` lacks a name"),
        (">a", "`>a` lacks a name"),
        ("=a", "`=…` lacks a name"),
        ("only=a||b", "`only=a||b` lacks a name"),
        ("+file", "did you mean `+location`? accepts `+location`, "),
        ("+hostname", "did you mean `+host`?"),
        ("+user", "`+span_id`; fields need no `+`"),
        (
            "+level",
            "`+level` is not a part that `+` shows, because the format decides about it: accepts",
        ),
        ("@ms", "did you mean `@millis`?"),
        (
            "only=a,b",
            "`b` has no sign: bars separate the names of `only`: write `only=a|b`",
        ),
        (
            "only=a,b,c",
            "bars separate the names of `only`: write `only=a|b|c`",
        ),
        ("only=a,-b,c", "`c` has no sign: write `-c` to omit it"),
        (
            "level:severity",
            "`level:severity` has no sign: write `level>severity` to rename `level`, ",
        ),
        ("-a|b", "`-a|b`: a word omits one name: write `-a,-b`"),
        ("-a||b", "write `-a,-b`"),
        ("-|", "`|` is not a name"),
        ("a::b", "`a::b` has no sign: write `-a::b` to omit it"),
        (
            "+location +pid",
            "`+location …`: words are joined by commas",
        ),
        ("-a;-b", "`a;-b` is not a name"),
        ("-a;-b", "; words are joined by commas"),
        ("order_id->x", "write `order_id>x` to rename `order_id`"),
        ("order_id -> x", "write `order_id>x` to rename `order_id`"),
        ("order_id=>x", "write `order_id>name` to rename `order_id`"),
        ("-*", "`-*`: `*` is not a wildcard: write each name"),
        ("-http.*", "`-http.*`: `*` is not a wildcard"),
        ("only=http.*|a", "`*` is not a wildcard"),
        ("a b>c", "`a b` is not a name"),
        ("a>fields.b", "names that begin with `fields.`"),
        ("only=", "`only=` lacks a name"),
        ("region=", "`region=` has no text"),
        ("a>b,a>c", "`a>c`: `a` is renamed twice"),
        ("a>x,b>x", "`b>x`: `a>x` has the same key"),
        ("x=1,b>x", "`b>x`: `x=…` has the same key"),
        ("x=1,x=2", "`x=…`: `x=…` has the same key"),
        ("-a,a>b", "both omitted and renamed"),
        ("+thread,-thread", "both shown and omitted"),
        ("only=a|b,-b", "`-b`: `b` is both shown and omitted"),
        ("-b,only=a|b", "`only=a|b`: `b` is both shown and omitted"),
        ("-a,-a", "it occurs twice"),
        ("only=a,only=b", "`only` occurs twice"),
        ("@millis,@nanos", "`@millis` is there too"),
    ] {
        let error = text.parse::<FieldList>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = "+x,-ok,@y,z".parse::<FieldList>().unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    let error = "pass word=hunter2,a=,b=>hunter2"
        .parse::<FieldList>()
        .unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn parts_are_shown_on_request() {
    let shown = line(
        &Format::Json,
        "+location,+thread,+thread_id,+spans,+host,+pid",
        log,
    );
    for key in ["file", "line", "thread_name", "thread_id", "host"] {
        assert!(!shown[key].is_null(), "{key}: {shown}");
    }
    assert_eq!(shown["pid"], std::process::id());
    assert_eq!(shown["spans"], json!(["request"]));
    let shown = line(&Format::Ecs, "+host,+pid", log);
    assert!(shown["host.name"].is_string(), "{shown}");
    assert_eq!(shown["process.pid"], std::process::id());
    let shown = text(&Format::Gelf, "+host,+pid", log);
    assert!(shown.contains("\"_pid\":"), "{shown}");
    assert!(text(&Format::Logfmt, "+pid", log).contains(" pid="));
    assert!(text(&Format::Otlp, "+pid", log).contains("{\"key\":\"process.pid\""));
}

#[test]
fn parts_and_fields_are_omitted_by_name() {
    let words = "-timestamp,-level,-message,-span,-service,-request_id";
    let shown = text(&Format::Json, words, log);
    let expected = "{\"target\":\"shop\",\"order_id\":42,\"password\":\"x\"}\n";
    assert_eq!(shown, expected);
    let shown = text(&Format::Logfmt, "-timestamp,-target,-span,-service", log);
    assert_eq!(
        shown,
        "level=info msg=created order_id=42 password=x request_id=r-1\n"
    );
    let shown = line(
        &Format::Datadog,
        "-service,-ddsource,-target,-timestamp,-message",
        log,
    );
    let keys = ["status", "order_id", "password", "request_id", "span"];
    let shown: Vec<_> = shown.as_object().unwrap().keys().cloned().collect();
    let mut keys = keys.map(str::to_owned).to_vec();
    keys.sort();
    assert_eq!(shown, keys);
}

#[test]
fn message_is_omitted_by_its_key_in_the_format() {
    for (format, key) in [
        (Format::Logfmt, "msg"),
        (
            Format::custom("acme").message("text").build().unwrap(),
            "text",
        ),
    ] {
        for words in [format!("-{key}"), "-message".to_owned()] {
            assert_eq!(problems(&format, &words), "");
            let shown = text(&format, &words, log);
            assert!(!shown.contains("created"), "{words}: {shown}");
            assert!(shown.contains("42"), "{words}: {shown}");
        }
    }
}

#[test]
fn line_about_a_span_has_no_omitted_message() {
    for format in [Format::Json, Format::JsonNested] {
        let set = |layer: JsonLayer| {
            let layer = layer.format(format).span_events(SpanEvents::NEW);
            layer.fields(&list("-message"))
        };
        let shown = lines(set, || drop(info_span!("s", a = 1))).text();
        assert!(shown.contains("\"a\":1"), "{shown}");
        assert!(!shown.contains("new"), "{shown}");
    }
}

#[test]
fn renamed_field_must_not_be_hidden() {
    let found = problems(&Format::Json, "only=order,order_id>order");
    let expected = "`order_id>order`: `only` hides the field `order_id`";
    assert!(found.starts_with(expected), "{found}");
    let words = "only=order_id,order_id>order,level>severity";
    assert_eq!(problems(&Format::Json, words), "");
    assert_eq!(line(&Format::Json, words, log)["order"], 42);
    let words = "only=order_id,message>text";
    assert_eq!(problems(&Format::JsonNested, words), "");
}

#[test]
fn line_keeps_a_part_to_begin_with() {
    let words = "-timestamp,-level,-target";
    assert!(problems(&Format::Json, words).contains("a line begins with"));
    let shown = line(&Format::Json, words, log);
    assert_eq!(shown["level"], "INFO");
    let bare = |layer: JsonLayer| {
        layer
            .without_timestamp()
            .without_target()
            .exclude(["level"])
    };
    assert_eq!(lines(bare, log).only()["level"], "INFO");
}

#[test]
fn only_some_fields_are_shown() {
    let shown = line(&Format::Json, "only=order_id|missing", log);
    assert_eq!(shown["order_id"], 42);
    assert_eq!(shown["message"], "created");
    assert_eq!(shown.get("password"), None);
    assert_eq!(shown.get("request_id"), None);
}

#[test]
fn parts_are_renamed_by_either_name() {
    let shown = line(
        &Format::Json,
        "timestamp>ts,level>severity,target>logger,message>msg,span>scope,service>svc",
        log,
    );
    assert_eq!(shown["severity"], "INFO");
    assert_eq!(shown["logger"], "shop");
    assert_eq!(shown["msg"], "created");
    assert_eq!(shown["scope"], "request");
    assert_eq!(shown["svc"]["name"], "shop");
    assert!(shown["ts"].is_string());
    assert_eq!(shown.as_object().unwrap().len(), 9, "{shown}");
    // By the name in `json`, and by the key of the format.
    let by_part = line(&Format::Gcp, "timestamp>ts,level>sev,+location", log);
    let by_key = line(&Format::Gcp, "time>ts,severity>sev,+location", log);
    assert_eq!(by_part["sev"], "INFO");
    let keys = |line: &Value| {
        line.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&by_part), keys(&by_key));
    let shown = line(&Format::Ecs, "target>log.name,file>source,+location", log);
    assert_eq!(shown["log.name"], "shop");
    assert!(shown["source"].is_string());
    let shown = line(
        &Format::JsonNested,
        "message>msg,level>severity,target>logger",
        log,
    );
    assert_eq!(shown["severity"], "INFO");
    assert_eq!(shown["fields"]["msg"], "created");
}

#[test]
fn key_that_a_part_left_is_free_for_fields() {
    let shown = line(&Format::Json, "level>severity", || {
        info!(level = 3, severity = "x")
    });
    assert_eq!(shown["severity"], "INFO");
    assert_eq!(shown["level"], 3);
    assert_eq!(shown["fields.severity"], "x");
    let shown = line(&Format::Json, "-level,lvl>level", || {
        info!(lvl = 3, level = 4)
    });
    assert_eq!(shown["level"], 3);
    let shown = line(&Format::Json, "-span,shop>span", || {
        info_span!("s", shop = "eu").in_scope(|| info!("x"));
    });
    assert_eq!(shown["span"], "eu");
}

#[test]
fn rename_onto_a_reserved_key_does_not_move() {
    let shown = line(&Format::Datadog, "node>host,state>dd.state", || {
        info!(node = "web-1", state = "up", hostname = "forged");
    });
    assert_eq!(shown["host"], "web-1");
    assert_eq!(shown["dd.state"], "up");
    assert_eq!(shown["fields.hostname"], "forged");
    let shown = text(&Format::Gelf, "ref>_id", || info!(r#ref = "x", id = "y"));
    assert!(
        shown.contains("\"_id\":\"x\"") && shown.contains("\"_fields.id\":\"y\""),
        "{shown}"
    );
}

#[test]
fn renamed_field_is_shown_as_one_of_that_name() {
    let log = || info!(customer = "c-1", request_id = "r-1", took = 2);
    let shown = line(
        &Format::Ecs,
        "customer>user_id,request_id>rid,took>duration_ms",
        log,
    );
    assert_eq!(shown["user.id"], "c-1");
    assert_eq!(shown["labels.rid"], "r-1");
    assert_eq!(shown["event.duration"], 2_000_000);
}

#[test]
fn texts_are_added() {
    let shown = line(&Format::Json, "region=eu,zone=b", log);
    assert_eq!(
        (&shown["region"], &shown["zone"]),
        (&json!("eu"), &json!("b"))
    );
}

#[test]
fn precision_is_that_of_the_list() {
    let shown = |format: &Format, word| line(format, word, log);
    assert_eq!(
        shown(&Format::Json, "@seconds")["timestamp"],
        "2026-11-20T09:08:07Z"
    );
    assert_eq!(
        shown(&Format::Json, "@nanos")["timestamp"]
            .as_str()
            .unwrap()
            .len(),
        30
    );
    assert_eq!(
        shown(&Format::Ecs, "@millis")["@timestamp"]
            .as_str()
            .unwrap()
            .len(),
        24
    );
    assert!(text(&Format::Gelf, "@micros", log).contains("\"timestamp\":1795165687."));
    assert!(problems(&Format::Otlp, "@millis").contains("are in nanoseconds"));
}

#[test]
fn format_keeps_what_it_requires() {
    for (format, words) in [
        (
            Format::Gelf,
            &["-version", "version>v", "-message", "-host"][..],
        ),
        (
            Format::Bunyan,
            &[
                "-level",
                "pid>p",
                "-timestamp",
                "msg>m",
                "-v",
                "-hostname",
                "name>n",
            ],
        ),
        (
            Format::Ecs,
            &["-timestamp", "-level", "message>msg", "log.level>level"],
        ),
        (
            Format::Otlp,
            &["-level", "-target", "message>msg", "-service", "-timestamp"],
        ),
        (Format::Emf, &["-_aws", "a>_aws"]),
        (Format::JsonNested, &["-span", "spans>s"]),
    ] {
        for word in words {
            let found = problems(&format, word);
            assert!(found.contains(word), "{format}, {word}: {found}");
            // A layer alone ignores the word, and reports it.
            let report = SelfReport::silent();
            let layer = JsonLayer::new()
                .format(format.clone())
                .report(&report)
                .fields(&list(word));
            drop(tracing::Dispatch::new(
                tracing_subscriber::registry().with(layer),
            ));
            let faults = report.stats().faults;
            let setup = faults
                .iter()
                .filter(|(fault, _)| *fault == Fault::Setup)
                .count();
            assert_eq!(setup, usize::from(*word != "a>_aws"), "{format}, {word}");
            assert!(!text(&format, word, log).is_empty());
        }
    }
    assert_eq!(problems(&Format::Otlp, "request_id>rid,span.name>name"), "");
}

#[test]
fn two_names_for_one_key_are_refused() {
    for words in [
        "level>target",
        "order_id>level",
        "order_id>truncated",
        "message=x",
        "level>x,target>x",
        "order_id>file,+location",
        "service>region,region=eu",
    ] {
        let found = match words.parse::<FieldList>() {
            Ok(list) => list.check(&Format::Json).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let found = found.expect_err(words);
        assert!(found.contains("key"), "{words}: {found}");
    }
    for words in [
        "order_id>file",
        "level>target,target>level",
        "-target,level>target",
        "a>thread_id",
    ] {
        assert_eq!(problems(&Format::Json, words), "", "{words}");
    }
}

#[test]
fn text_with_a_key_of_the_receiver_is_refused() {
    for (format, words, expected) in [
        (Format::Datadog, "host=x", "reads `host` itself: choose"),
        (Format::Logstash, "tags=x", "reads `tags` itself: choose"),
        (Format::Json, "thread_id=x", "is the key of a part that"),
        (Format::Json, "level=x", "is already a key of the line"),
    ] {
        let found = problems(&format, words);
        assert!(found.contains(expected), "{format}, {words}: {found}");
        assert!(!found.contains("; "), "{found}");
    }
}

#[test]
fn placeholder_has_the_new_name_of_a_field() {
    let template: Format = "text:{order_id}|{order}".parse().unwrap();
    assert_eq!(text(&template, "order_id>order", log), "|42\n");
}

#[test]
fn template_decides_about_parts() {
    let template: Format = "text:{level} {time} {message}".parse().unwrap();
    for word in ["-target", "-thread", "level>sev", "thread_id>t"] {
        let found = problems(&template, word);
        let expected = format!("`{word}`: the template decides about `");
        assert!(found.starts_with(&expected), "{word}: {found}");
        assert!(!found.contains("requires"), "{word}: {found}");
    }
    assert_eq!(problems(&template, "@seconds,-order_id,a>b,x=1"), "");
    let shown = text(&template, "@seconds", log);
    assert_eq!(shown, "INFO 2026-11-20T09:08:07Z created\n");
}

#[test]
fn lines_for_people_accept_signs_only() {
    assert_eq!(problems(&Format::Pretty, "+trace_id,-target,-order_id"), "");
    for words in ["a>b", "only=a", "x=1", "@millis", "-level"] {
        assert!(!problems(&Format::Compact, words).is_empty(), "{words}");
    }
}

#[test]
fn setter_renames_parts_too() {
    let shown = lines(
        |layer| layer.rename("level", "severity").exclude(["target"]),
        log,
    )
    .only();
    assert_eq!(shown["severity"], "INFO");
    assert_eq!(shown.get("target"), None);
}

#[test]
fn timestamp_has_a_key_of_any_length() {
    for length in [25, 40, 64] {
        let key = "t".repeat(length);
        for precision in ["", ",@nanos"] {
            let line = line(&Format::Json, &format!("timestamp>{key}{precision}"), log);
            let time = line[&key].as_str().unwrap();
            assert!(time.ends_with('Z') && time.len() >= 27, "{length}: {time}");
        }
    }
}

#[test]
fn renamed_timestamp_of_logfmt_leaves_its_key() {
    let log = || info!(ts = 5, "hi");
    let line = text(&Format::Logfmt, "timestamp>time", log);
    assert!(line.starts_with("time=2"), "{line}");
    assert_eq!(line.matches("ts=").collect::<Vec<_>>(), ["ts="], "{line}");
    assert!(line.contains(" ts=5"), "{line}");
}

#[test]
fn part_does_not_take_the_place_of_a_field() {
    for (format, fields) in [
        (Format::Datadog, "+location,line>http.status_code"),
        (Format::Logfmt, "target>error"),
        (Format::Ecs, "target>error.message"),
    ] {
        let problem = problems(&format, fields);
        assert!(
            problem.contains("choose another name"),
            "{fields}: {problem}"
        );
    }
}

#[test]
fn part_without_placeholder_is_a_mistake() {
    let template: Format = "text:{level} {message} {thread} {line}".parse().unwrap();
    list("+location,+thread,+trace_id")
        .check(&template)
        .unwrap();
    let error = list("+host,+spans").check(&template).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`+host`: the template does not show it: add `{host}` to the template, or remove the word; \
         `+spans`: the template does not show it: add `{spans}` to the template, or remove the word"
    );
    list("+host").check(&Format::Json).unwrap();
}

#[test]
fn rest_of_a_text_with_a_comma_is_not_quoted() {
    let error = "token=abc,def,ghi,+pid,order_id"
        .parse::<FieldList>()
        .unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    let error = error.to_string();
    assert!(error.contains("the word behind `token=…` has no sign"));
    assert!(error.contains("`order_id` has no sign"), "{error}");
    for secret in ["abc", "def", "ghi"] {
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn part_without_a_sign_is_offered_with_a_plus() {
    let error = "location".parse::<FieldList>().unwrap_err().to_string();
    let advice = "has no sign: write `+location` to show it, `-location`";
    assert!(error.contains(advice), "{error}");
}

#[test]
fn renamed_part_of_logfmt_is_one_word() {
    let renamed = |layer: JsonLayer| {
        layer
            .format(Format::Logfmt)
            .rename("level", "_my level")
            .rename("target", "my target")
    };
    let text = lines(renamed, || info!(target: "shop", "m")).text();
    assert!(text.contains(" _mylevel=info mytarget=shop "), "{text}");
}

#[test]
fn renamed_span_list_may_need_escapes() {
    let renamed = |layer: JsonLayer| layer.with_span_list().rename("spans", "a\"b");
    let line = lines(renamed, || {
        let _outer = info_span!("outer").entered();
        let _inner = info_span!("inner").entered();
        info!("m");
    })
    .only();
    assert_eq!(line["a\"b"], json!(["outer", "inner"]));
}
