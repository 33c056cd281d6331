//! `err` with all error types of a service.

use std::{
    cell::Cell,
    error::Error,
    fmt, io,
    sync::{Arc, Mutex},
};

use spanwise_core::{LayerExt as _, err, internal::errors};
use tracing::{Event, Subscriber, field::Field};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

use crate::support::redaction::no_hunter;

thread_local! {
    static DEBUG_CALLS: Cell<u32> = const { Cell::new(0) };
}

/// An error that counts each `Debug` that continues after the name of the type.
struct Declined(&'static str, Option<io::Error>);

impl fmt::Debug for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Declined")?;
        f.write_str("(")?;
        DEBUG_CALLS.set(DEBUG_CALLS.get() + 1);
        f.write_str("…)")
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_ref().map(|source| source as _)
    }
}

fn declined() -> Declined {
    Declined("declined", Some(io::Error::other("reset")))
}

const TYPE: &str = "it::errors::Declined";

/// The errors that a layer receives as fields.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SeenMessages {
    texts: Vec<String>,
    type_name: Option<&'static str>,
    short_name: Option<String>,
}

impl SeenMessages {
    fn new(texts: &[&str], type_name: Option<&'static str>, short_name: Option<&str>) -> Self {
        Self {
            texts: texts.iter().copied().map(str::to_owned).collect(),
            type_name,
            short_name: short_name.map(str::to_owned),
        }
    }

    fn from_error(error: &(dyn Error + 'static)) -> Self {
        let chain = std::iter::once(error).chain(spanwise_core::internal::error_chain(error, 16));
        Self {
            texts: chain.map(ToString::to_string).collect(),
            type_name: errors::type_name(error),
            short_name: errors::short_name(error),
        }
    }
}

#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<SeenMessages>>>);

impl<S: Subscriber> Layer<S> for Errors {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Find(Vec<SeenMessages>);
        impl tracing::field::Visit for Find {
            fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
            fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
                self.0.push(SeenMessages::from_error(value));
            }
        }
        let mut find = Find(Vec::new());
        event.record(&mut find);
        self.0.lock().unwrap().append(&mut find.0);
    }
}

/// Returns the field `error` as a layer and as a redacted layer receive it.
#[track_caller]
fn check(error: &(dyn Error + 'static), expected: &SeenMessages) {
    let (plain, redacted) = (Errors::default(), Errors::default());
    let subscriber = tracing_subscriber::registry()
        .with(plain.clone())
        .with(redacted.clone().redacted(no_hunter()));
    tracing::subscriber::with_default(subscriber, || tracing::error!(error, "failed"));
    for seen in [plain, redacted] {
        assert_eq!(*seen.0.lock().unwrap(), std::slice::from_ref(expected));
    }
}

#[test]
fn err_keeps_chain_and_name_of_every_type() {
    let known = SeenMessages::new(&["declined", "reset"], Some(TYPE), Some("Declined"));
    let unknown = SeenMessages {
        type_name: None,
        ..known.clone()
    };
    let concrete = declined();
    check(err(&concrete), &known);
    check(err(&Box::new(declined())), &known);
    check(err(&Arc::new(declined())), &known);

    let dynamic: &(dyn Error + 'static) = &concrete;
    check(err(dynamic), &unknown);
    let send: &(dyn Error + Send + 'static) = &concrete;
    check(err(send), &unknown);
    let sync: &(dyn Error + Sync + 'static) = &concrete;
    check(err(sync), &unknown);
    let both: &(dyn Error + Send + Sync + 'static) = &concrete;
    check(err(both), &unknown);

    let boxed: Box<dyn Error> = declined().into();
    check(err(&boxed), &unknown);
    check(err(&*boxed), &unknown);
    let boxed: Box<dyn Error + Send> = Box::new(declined());
    check(err(&boxed), &unknown);
    let boxed: Box<dyn Error + Send + Sync> = declined().into();
    check(err(&boxed), &unknown);
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(declined());
    check(err(&shared), &unknown);

    check(err(&anyhow::Error::new(declined())), &unknown);
    check(err(&eyre::Report::new(declined())), &unknown);
}

#[test]
fn anyhow_and_eyre_context_is_in_the_chain() {
    let texts = ["order 7", "payment", "declined", "reset"];
    let chain = anyhow::Error::new(declined())
        .context("payment")
        .context("order 7");
    check(err(&chain), &SeenMessages::new(&texts, None, Some("Error")));
    let chain = eyre::Report::new(declined())
        .wrap_err("payment")
        .wrap_err("order 7");
    check(err(&chain), &SeenMessages::new(&texts, None, Some("Error")));
    check(
        err(&anyhow::anyhow!("no {}", "stock")),
        &SeenMessages::new(&["no stock"], None, None),
    );
    check(
        err(&eyre::eyre!("no stock")),
        &SeenMessages::new(&["no stock"], None, None),
    );
}

#[test]
fn generic_functions_take_what_err_takes() {
    fn message<Kind>(error: &impl spanwise_core::AsError<Kind>) -> String {
        error.as_error().to_string()
    }
    assert_eq!(message(&declined()), "declined");
    assert_eq!(message(&anyhow::anyhow!("no stock")), "no stock");
}

#[test]
fn debug_is_formatted_up_to_the_name() {
    let before = DEBUG_CALLS.get();
    let unknown = SeenMessages::new(&["declined", "reset"], None, Some("Declined"));
    check(&declined() as &dyn Error, &unknown);
    check(err(&anyhow::Error::new(declined())), &unknown);
    assert_eq!(DEBUG_CALLS.get(), before);
}

#[test]
fn unknown_type_is_named_from_its_debug() {
    #[derive(Debug)]
    enum Failure {
        Unit,
        Tuple(#[expect(dead_code, reason = "for Debug")] u8),
        Struct {
            #[expect(dead_code, reason = "for Debug")]
            field: u8,
        },
    }
    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Unit failure")
        }
    }
    impl Error for Failure {}

    /// An error with a `Display` text and a `Debug` text, which may be equal.
    struct Text(&'static str, &'static str);
    impl fmt::Debug for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.1)
        }
    }
    impl fmt::Display for Text {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Text {}

    let name = |error: &(dyn Error + 'static)| errors::short_name(error);
    assert_eq!(name(&Failure::Unit).as_deref(), Some("Unit"));
    assert_eq!(name(&Failure::Tuple(1)).as_deref(), Some("Tuple"));
    assert_eq!(
        name(&Failure::Struct { field: 1 }).as_deref(),
        Some("Struct")
    );
    assert_eq!(name(err(&Failure::Unit)).as_deref(), Some("Failure"));
    for (display, debug, expected) in [
        ("refused", "refused", None),
        ("pay(7) failed", "pay(7) failed", None),
        ("no stock", "\"no stock\"", None),
        ("no stock", "out of stock", None),
        ("no stock", "12", None),
        (
            "no stock",
            "shop::NoStock { sku: 7 }",
            Some("shop::NoStock"),
        ),
        ("no stock", "NoStock", Some("NoStock")),
        ("no stock", "", None),
    ] {
        assert_eq!(name(&Text(display, debug)).as_deref(), expected, "{debug}");
    }
    // A `Debug` that ignores that it was stopped.
    struct Unstoppable(&'static str);
    impl fmt::Debug for Unstoppable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            for piece in self.0.split_inclusive('(') {
                let _ = f.write_str(piece);
            }
            Ok(())
        }
    }
    impl fmt::Display for Unstoppable {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Unstoppable {}
    let message = "refused(a text that is much longer than the name of the type of any error is)";
    assert_eq!(name(&Unstoppable(message)), None);
    // A message of one word, such as a key, is not a name, even if its start is one.
    let word = "k".repeat(65);
    assert_eq!(name(&Unstoppable(Box::leak(word.into()))), None);
    for io in [
        io::Error::other("x"),
        io::ErrorKind::NotFound.into(),
        io::Error::from_raw_os_error(2),
    ] {
        assert_eq!(name(&io).as_deref(), Some("io::Error"));
        assert_eq!(name(err(&io)).as_deref(), Some("io::Error"));
    }
    let io = anyhow::Error::new(io::Error::other("x"));
    assert_eq!(name(err(&io)).as_deref(), Some("io::Error"));
    let utf8 = String::from_utf8(vec![0xff]).unwrap_err();
    assert_eq!(name(err(&utf8)).as_deref(), Some("FromUtf8Error"));
    assert_eq!(name(err(&fmt::Error)).as_deref(), Some("core::Error"));
}

#[test]
fn panicking_errors_lose_only_their_text() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl fmt::Display for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("no text")
        }
    }
    impl Error for Broken {
        fn description(&self) -> &str {
            panic!("no text")
        }
    }
    assert_eq!(errors::short_name(&Broken), None);
    assert_eq!(errors::type_name(&Broken), None);
    assert!(errors::backtrace(&Broken).is_none());
    assert_eq!(errors::short_name(err(&Broken)).as_deref(), Some("Broken"));
}

#[test]
fn error_copy_shows_what_the_error_shows() {
    let boxed: Box<dyn Error + Send + Sync> = declined().into();
    let anyhow = anyhow::Error::new(declined()).context("order 7");
    let text = anyhow::anyhow!("no stock");
    let plain = declined();
    let dynamic: &(dyn Error + 'static) = &plain;
    let views = [err(&plain), err(&boxed), err(&anyhow), err(&text), dynamic];
    for view in views {
        let kept = errors::ErrorCopy::new(view);
        assert_eq!(
            SeenMessages::from_error(&kept),
            SeenMessages::from_error(view)
        );
        // A copy of a copy is the same.
        assert_eq!(
            SeenMessages::from_error(&errors::ErrorCopy::new(&kept)),
            SeenMessages::from_error(view)
        );
    }

    let seen = Errors::default();
    let layer = seen.clone().redacted(no_hunter());
    let _default = tracing_subscriber::registry().with(layer).set_default();
    let kept = errors::ErrorCopy::new(err(&Declined("hunter2 declined", None)));
    tracing::error!(error = &kept as &(dyn Error + 'static), "order failed");
    let seen = seen.0.lock().unwrap().remove(0);
    assert!(!format!("{seen:?}").contains("hunter2"), "{seen:?}");
    assert_eq!(seen.type_name, Some(TYPE));
    assert_eq!(seen.short_name.as_deref(), Some("Declined"));
}

#[derive(Debug)]
struct Deep(usize, Option<Box<Self>>);

impl fmt::Display for Deep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cause {}", self.0)
    }
}

impl Error for Deep {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

#[test]
fn error_copy_has_a_maximum_depth() {
    let error = (0..100)
        .rev()
        .fold(None, |cause, depth| Some(Box::new(Deep(depth, cause))));
    let error = error.unwrap();
    let copy = errors::ErrorCopy::new(&*error);
    assert_eq!(spanwise_core::internal::error_chain(&copy, 100).count(), 32);
}
