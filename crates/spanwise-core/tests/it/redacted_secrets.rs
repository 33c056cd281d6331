//! Secrets in every possible place, and a layer that stores everything that it receives.

use std::{
    any::TypeId,
    borrow::Cow,
    cell::Cell,
    error::Error,
    fmt,
    sync::{Arc, Mutex, OnceLock},
};

use crate::support::redaction::{Everything, NoHunter, SECRET, no_hunter};
use spanwise_core::{KeyVerdict, LayerExt, REDACTED, Redact, internal::panic_safe};
use spanwise_testing::support::Lines;
use tracing::{
    Dispatch, Event, Subscriber, error, field::Empty, info, info_span, subscriber::with_default,
    warn,
};
use tracing_core::span::{Attributes, Id};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::{
    Layer, Registry, fmt::format::FmtSpan, layer::Context, prelude::*, registry::LookupSpan,
};

/// Returns everything that a layer receives while `log` runs, except for the calls of
/// `event_enabled`.
fn shown(policy: Arc<dyn Redact>, log: impl FnOnce()) -> Vec<String> {
    let everything = Everything::default();
    let layer = everything.clone().redacted(policy);
    with_default(tracing_subscriber::registry().with(layer), log);
    let mut calls = everything.take();
    calls.retain(|call| !call.starts_with("asked"));
    calls
}

fn check(log: impl FnOnce(), expected: &[&str]) {
    assert_eq!(shown(no_hunter(), log), expected);
}

#[derive(Debug)]
#[expect(dead_code, reason = "printed by `Debug`")]
struct Login {
    user: &'static str,
    tried: Vec<String>,
}

fn login() -> Login {
    Login {
        user: "ann",
        tried: vec![SECRET.to_owned()],
    }
}

/// An error with its cause.
#[derive(Debug)]
struct Failed(String, Option<Box<Self>>);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

fn failed() -> Failed {
    let source = Failed(format!("pwd={SECRET}"), None);
    Failed(format!("no {SECRET}"), Some(Box::new(source)))
}

/// Logs secrets in every place. The tests distinguish them from the harmless values.
fn log_everywhere() {
    let outer = info_span!(
        "outer",
        text = SECRET,
        secret = 7,
        late = Empty,
        gone = Empty
    )
    .entered();
    outer.record("late", format!("late {SECRET}"));
    outer.record("gone", tracing::field::debug(login()));
    let inner =
        info_span!(parent: &*outer, "inner", login = ?login(), error = &failed() as &dyn Error);
    let _entered = inner.enter();
    info!(text = SECRET, display = %SECRET, debug = ?login(), "message {SECRET}");
    info!(
        secret = 1_i64,
        gone = true,
        bytes = SECRET.as_bytes(),
        "harmless"
    );
    error!(error = &failed() as &dyn Error, "failed");
    warn!(parent: None, owned = String::from(SECRET), "{SECRET}");
    log_record();
}

fn log_record() {
    let mut record = log::Record::builder();
    record.target("shop").module_path(Some("shop::pay"));
    record.file(Some("pay.rs")).line(Some(7));
    tracing_log::format_trace(&record.args(format_args!("record {SECRET}")).build()).unwrap();
}

#[test]
fn event_secrets_are_hidden_and_types_kept() {
    check(
        || info!(text = SECRET, display = %SECRET, debug = ?login(), "message {SECRET}"),
        &[concat!(
            "event message=debug:message *** text=str:*** display=debug:*** ",
            r#"debug=debug:Login { user: "ann", tried: ["***"] }"#
        )],
    );
    check(
        || {
            info!(
                secret = 5_i64,
                gone = "x",
                bytes = SECRET.as_bytes(),
                clean = &b"clean"[..],
                u = 1_u64,
                i = -1_i64,
                f = 0.5,
                b = true,
                big = u128::MAX,
                small = i128::MIN,
                nothing = Empty,
                "m"
            );
        },
        &[concat!(
            "event message=debug:m secret=str:[REDACTED] bytes=str:*** clean=bytes:clean u=u64:1 i=i64:-1 f=f64:0.5 b=bool:true ",
            "big=u128:340282366920938463463374607431768211455 small=i128:-170141183460469231731687303715884105728"
        )],
    );
}

#[test]
fn replace_and_trust_apply_to_any_type() {
    check(
        || {
            info!(card = 4711, "m");
            info!(card = "4712", trusted = 1);
            info!(card = ?SECRET, trusted = "as it is");
            info!(card = &Failed(SECRET.to_owned(), None) as &dyn Error);
            info!(card = true, n = 2);
        },
        &[
            "event message=debug:m card=str:…11",
            "event card=str:…12 trusted=i64:1",
            "event card=str:…2\" trusted=str:as it is",
            "event card=str:…r2",
            "event card=str:…ue n=i64:2",
        ],
    );
}

#[test]
fn span_and_late_record_secrets_are_hidden() {
    check(
        || {
            let span = info_span!(
                "span",
                text = SECRET,
                secret = 1,
                late = Empty,
                gone = Empty,
                n = 1
            );
            span.record("late", SECRET);
            span.record("gone", 1);
            span.record("late", 2).record("secret", 3);
            span.follows_from(info_span!("harmless", n = 1).id());
        },
        &[
            "new span contextual text=str:*** secret=str:[REDACTED] n=i64:1",
            "record span late=str:***",
            "record span",
            "record span late=i64:2",
            "record span secret=str:[REDACTED]",
            "new harmless contextual n=i64:1",
            "follows",
        ],
    );
}

#[test]
fn parents_are_preserved() {
    check(
        || {
            let outer = info_span!("outer").entered();
            let other = info_span!(parent: None, "other", secret = 1);
            let _child = info_span!(parent: &other, "child", secret = 1);
            let _here = info_span!("here", secret = 1);
            info!(secret = 1);
            info!(parent: &other, secret = 1);
            info!(parent: None, secret = 1);
            drop(outer);
        },
        &[
            "new outer contextual",
            "new other root secret=str:[REDACTED]",
            "new child other secret=str:[REDACTED]",
            "new here contextual secret=str:[REDACTED]",
            "event in outer secret=str:[REDACTED]",
            "event in other secret=str:[REDACTED]",
            "event secret=str:[REDACTED]",
        ],
    );
}

#[test]
fn redacted_error_keeps_chain_and_type_name() {
    check(
        || error!(error = &failed() as &dyn Error),
        &[concat!(
            r#"event error=error:no ***|Failed("no ***", Some(Failed("pwd=***", None)))"#,
            r#"<-pwd=***|Failed("pwd=***", None)"#
        )],
    );
}

#[test]
fn endless_or_panicking_chain_is_cut() {
    #[derive(Debug)]
    struct Cyclic;
    impl fmt::Display for Cyclic {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("again")
        }
    }
    impl Error for Cyclic {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    #[derive(Debug)]
    struct Endless(u32);
    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("and on")
        }
    }
    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(Box::leak(Box::new(Self(self.0 + 1))))
        }
    }
    #[derive(Debug)]
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl Error for Broken {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            panic!("no source")
        }
    }
    let calls = shown(no_hunter(), || {
        error!(error = &Endless(0) as &dyn Error);
        error!(error = &Broken as &dyn Error);
        error!(error = &Cyclic as &dyn Error);
    });
    assert_eq!(calls[0].matches("<-").count(), 32);
    // A build may duplicate a vtable. In that case, the check for the same error succeeds one step
    // later.
    assert!(calls[2].matches("<-").count() <= 1, "{}", calls[2]);
    assert_eq!(
        calls[1],
        format!("event error=error:{}|Broken", panic_safe::PANICKED)
    );
}

#[test]
fn error_debug_runs_only_on_demand() {
    thread_local! {
        static COUNT: Cell<u32> = const { Cell::new(0) };
    }
    struct Dear(Option<Box<Self>>);
    impl fmt::Debug for Dear {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            COUNT.set(COUNT.get() + 1);
            write!(f, "Dear({SECRET})")
        }
    }
    impl fmt::Display for Dear {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("dear")
        }
    }
    impl Error for Dear {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.0.as_deref().map(|source| source as _)
        }
    }
    let error = Dear(Some(Box::new(Dear(None))));
    let lines = Lines::default();
    let writer = lines.clone();
    let quiet = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let stack = tracing_subscriber::registry().with(quiet.redacted(no_hunter()));
    let log = || error!(error = &error as &dyn Error);
    with_default(stack, log);
    assert_eq!(COUNT.get(), 0);
    assert_eq!(
        shown(no_hunter(), log),
        ["event error=error:dear|Dear(***)<-dear|Dear(***)"]
    );
    assert_eq!(COUNT.get(), 2);
}

#[test]
fn failing_value_loses_only_its_text() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(SECRET)?;
            panic!("no more")
        }
    }
    struct Fails;
    impl fmt::Debug for Fails {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    check(
        || info!(panics = ?Panics, fails = ?Fails, n = 1),
        &[&format!(
            "event panics=debug:{} fails=debug:{} n=i64:1",
            panic_safe::PANICKED,
            panic_safe::FORMAT_ERROR
        )],
    );
    // A hidden value is not formatted.
    check(
        || info!(secret = ?Panics, gone = ?Panics),
        &["event secret=str:[REDACTED]"],
    );
}

#[test]
fn scanned_text_is_the_text_shown() {
    /// Harmless the first time.
    struct Changing(Cell<u32>);
    impl fmt::Debug for Changing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let asked = self.0.replace(self.0.get() + 1);
            f.write_str(if asked == 0 { "harmless" } else { SECRET })
        }
    }
    let everything = Everything::default();
    struct NeverAsks(Everything);
    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for NeverAsks {
        fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
            self.0.on_event(event, ctx);
        }
    }
    let layer = NeverAsks(everything.clone()).redacted(no_hunter());
    with_default(tracing_subscriber::registry().with(layer), || {
        let value = Changing(Cell::new(0));
        info!(value = ?value);
        assert_eq!(
            value.0.get(),
            1,
            "formatted once, however often it is shown"
        );
    });
    assert_eq!(everything.take(), ["event value=debug:harmless"]);
}

#[test]
fn event_enabled_sees_no_secret() {
    let everything = Everything::default();
    let layer = everything.clone().redacted(no_hunter());
    with_default(tracing_subscriber::registry().with(layer), || {
        error!(
            secret = 1,
            text = SECRET,
            n = 1,
            error = &failed() as &dyn Error,
            "m {SECRET}"
        );
    });
    assert_eq!(
        everything.take()[0],
        "asked message=debug:m *** secret=str:[REDACTED] text=str:*** n=i64:1 error=debug:no ***"
    );
}

#[test]
fn text_beyond_the_scan_limit_is_hidden() {
    let long = "word ".repeat(13_000) + &"x".repeat(600) + SECRET;
    let shown = "word ".repeat(13_000) + "[REDACTED]";
    check(
        || info!(str = long, display = %long, bytes = long.as_bytes(), n = 1),
        &[&format!(
            "event str=str:{shown} display=debug:{shown} bytes=str:{shown} n=i64:1"
        )],
    );
    let fits = "x".repeat(64 * 1024);
    check(
        || info!(display = %fits),
        &[&format!("event display=debug:{fits}")],
    );
}

#[test]
fn callsite_with_many_fields_is_redacted() {
    check(
        || {
            info!(
                a = 1,
                b = 2,
                c = 3,
                d = 4,
                e = 5,
                f = 6,
                g = 7,
                h = 8,
                i = 9,
                j = 10,
                k = 11,
                l = 12,
                m = 13,
                n = 14,
                o = 15,
                p = 16,
                q = SECRET,
                secret = 18
            );
        },
        &[concat!(
            "event a=i64:1 b=i64:2 c=i64:3 d=i64:4 e=i64:5 f=i64:6 g=i64:7 h=i64:8 i=i64:9 j=i64:10 k=i64:11 l=i64:12 m=i64:13 ",
            "n=i64:14 o=i64:15 p=i64:16 q=str:*** secret=str:[REDACTED]"
        )],
    );
}

#[test]
fn panicking_policy_hides_the_value() {
    #[derive(Debug)]
    struct Broken;
    impl Redact for Broken {
        fn key(&self, key: &str) -> KeyVerdict {
            assert_ne!(key, "key");
            KeyVerdict::Pass
        }
        fn text<'t>(&self, _: &'t str) -> Cow<'t, str> {
            panic!("no idea")
        }
    }
    let calls = shown(Arc::new(Broken), || info!(key = 1, str = "a", n = 1, "m"));
    assert_eq!(
        calls,
        ["event message=debug:[REDACTED] key=str:[REDACTED] str=str:[REDACTED] n=i64:1"]
    );

    #[derive(Debug)]
    struct Lends;
    impl Redact for Lends {
        fn key(&self, _: &str) -> KeyVerdict {
            KeyVerdict::Pass
        }
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            if text.starts_with("own") {
                REDACTED.into()
            } else {
                text[..1].into()
            }
        }
    }
    let calls = shown(Arc::new(Lends), || info!(a = "own", b = "cut", c = ?"cut"));
    assert_eq!(calls, [r#"event a=str:[REDACTED] b=str:c c=debug:""#]);
}

#[test]
fn key_only_policy_changes_nothing_else() {
    #[derive(Debug)]
    struct Keys;
    impl Redact for Keys {
        fn key(&self, key: &str) -> KeyVerdict {
            NoHunter.key(key)
        }
        fn text<'t>(&self, _: &'t str) -> Cow<'t, str> {
            panic!("it said that it reads no text")
        }
        fn reads_text(&self) -> bool {
            false
        }
    }
    let calls = shown(Arc::new(Keys), || {
        info!(secret = 1, a = "a", d = ?Some(1), e = &Failed("x".to_owned(), None) as &dyn Error, b = &b"b"[..], "m");
        info!(a = "a", "m");
    });
    assert_eq!(
        calls,
        [
            r#"event message=debug:m secret=str:[REDACTED] a=str:a d=debug:Some(1) e=error:x|Failed("x", None) b=bytes:b"#,
            "event message=debug:m a=str:a"
        ]
    );
}

#[test]
fn log_record_keeps_its_origin() {
    type Found = (String, String, String, u32);
    #[derive(Clone, Default)]
    struct Origin(Arc<Mutex<Vec<Found>>>);
    impl<S: Subscriber> Layer<S> for Origin {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let metadata = event.normalized_metadata().expect("a log record");
            self.0.lock().unwrap().push((
                metadata.target().to_owned(),
                metadata.module_path().unwrap().to_owned(),
                metadata.file().unwrap().to_owned(),
                metadata.line().unwrap(),
            ));
        }
    }
    /// Hides every key and text that it receives.
    #[derive(Debug)]
    struct Nothing;
    impl Redact for Nothing {
        fn key(&self, _: &str) -> KeyVerdict {
            KeyVerdict::Remove
        }
        fn text<'t>(&self, _: &'t str) -> Cow<'t, str> {
            REDACTED.into()
        }
    }
    let origin = Origin::default();
    let layer = origin.clone().redacted(Arc::new(Nothing));
    with_default(tracing_subscriber::registry().with(layer), log_record);
    let expected = (
        "shop".to_owned(),
        "shop::pay".to_owned(),
        "pay.rs".to_owned(),
        7,
    );
    assert_eq!(*origin.0.lock().unwrap(), [expected]);
    check(
        log_record,
        &[
            "event message=debug:record *** log.target=str:shop log.module_path=str:shop::pay log.file=str:pay.rs log.line=u64:7",
        ],
    );
}

#[test]
fn fmt_output_has_no_secret() {
    let (text, json) = (Lines::default(), Lines::default());
    let events = FmtSpan::NEW | FmtSpan::CLOSE;
    let policy = no_hunter();
    let stack = tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_span_events(events.clone())
                .with_writer(text.clone())
                .redacted(policy.clone()),
        )
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_span_events(events)
                .with_writer(json.clone())
                .redacted(policy),
        );
    with_default(stack, log_everywhere);
    for lines in [text.take(), json.take()] {
        assert_eq!(lines.lines().count(), 9, "{lines}");
        assert!(!lines.contains(SECRET), "{lines}");
        assert!(lines.contains("***") && lines.contains("[REDACTED]") && !lines.contains("gone"));
    }
}

#[test]
fn inner_layer_downcasts_through_redacted() {
    /// Like the layer of OpenTelemetry, which code outside of layers finds by a private type.
    struct WithContext(fn(&Dispatch) -> String);
    struct Traces {
        with_context: WithContext,
        last: Mutex<String>,
    }
    impl<S: Subscriber> Layer<S> for Traces {
        fn on_new_span(&self, attrs: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            *self.last.lock().unwrap() = format!("{attrs:?}");
        }
        #[expect(unsafe_code, reason = "as OpenTelemetry's layer does it")]
        unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
            match id {
                id if id == TypeId::of::<Self>() => Some(std::ptr::from_ref(self).cast()),
                id if id == TypeId::of::<WithContext>() => {
                    Some(std::ptr::from_ref(&self.with_context).cast())
                }
                _ => None,
            }
        }
    }
    let traces = Traces {
        with_context: WithContext(|dispatch| {
            let traces = dispatch.downcast_ref::<Traces>().unwrap();
            traces.last.lock().unwrap().clone()
        }),
        last: Mutex::default(),
    };
    let dispatch: Dispatch = Registry::default()
        .with(traces.redacted(no_hunter()))
        .into();
    tracing::dispatcher::with_default(&dispatch, || {
        let _span = info_span!("span", text = SECRET);
        tracing::dispatcher::get_default(|dispatch| {
            let found = dispatch.downcast_ref::<WithContext>().unwrap();
            let last = (found.0)(dispatch);
            assert!(last.contains("***") && !last.contains(SECRET), "{last}");
        });
    });
}

#[test]
fn ending_thread_may_still_log() {
    thread_local! {
        static LAST: OnceLock<LogsAtTheEnd> = const { OnceLock::new() };
    }
    struct LogsAtTheEnd(Dispatch);
    impl Drop for LogsAtTheEnd {
        fn drop(&mut self) {
            tracing::dispatcher::with_default(&self.0, || info!(text = SECRET, "at the end"));
        }
    }
    let everything = Everything::default();
    let layer = everything.clone().redacted(no_hunter());
    let dispatch: Dispatch = tracing_subscriber::registry().with(layer).into();
    std::thread::spawn(move || {
        LAST.with(|last| {
            let _ = last.set(LogsAtTheEnd(dispatch.clone()));
        });
        tracing::dispatcher::with_default(&dispatch, || info!("before"));
    })
    .join()
    .unwrap();
    assert!(everything.take().iter().any(|call| call.contains("before")));
}

#[test]
fn unchanged_value_keeps_its_type() {
    /// Replaces every value with the same text.
    #[derive(Debug)]
    struct Stars;
    impl Redact for Stars {
        fn key(&self, _: &str) -> KeyVerdict {
            KeyVerdict::Pass
        }
        fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
            text.to_owned().into()
        }
    }
    let calls = shown(Arc::new(Stars), || info!(bytes = &b"***et"[..], "m"));
    assert_eq!(calls, ["event message=debug:m bytes=bytes:***et"]);
}
