//! Values that would be ignored in silence, or show a secret.

use super::{Files, explain, problems, wrong};
use spanwise::{__private::from_file_text_and_vars, redact::Policy};

const PROD: (&str, &str) = ("LOG_PRESET", "prod");

#[test]
fn syntax_errors_of_a_file_are_bounded() {
    let found = problems(&"a b\n".repeat(20_000), &[PROD]);
    assert_eq!(found.len(), 100);
    assert!(found[99].ends_with("more syntax errors)"), "{}", found[99]);
}

#[test]
fn empty_conditions_are_mistakes() {
    for condition in [
        "target = '${NOISY:-}'",
        "field = 'x', above = '${LIMIT:-}'",
        "field = '${NAME:-}', is = 'a'",
        "message = ''",
    ] {
        let file = format!("[filter]\nnoise = {{ drop = {{ {condition} }} }}\n");
        let found = problems(&file, &[PROD]);
        assert_eq!(found.len(), 1, "{condition}: {found:?}");
        assert!(found[0].ends_with(" is empty: write a value"), "{found:?}");
    }
    let file = "[filter]\nblank = { drop = { field = 'x', is = '' } }\n";
    assert_eq!(problems(file, &[PROD]), [""; 0]);
}

#[test]
fn change_of_redaction_needs_redaction() {
    let file = "[sink.audit]\nkind = 'stdout'\nredact = '+iban'\n";
    assert_eq!(problems(file, &[PROD]), [""; 0]);
    let found = problems(file, &[PROD, ("LOG_REDACT", "off")]);
    assert!(
        found[0]
            .starts_with("config:3:10: sink.audit.redact has no effect, because redaction is off"),
        "{found:?}"
    );
    let builder = from_file_text_and_vars(file, &[PROD]).unwrap();
    let found = wrong(&builder.redact(Policy::secrets()));
    assert!(
        found[0].contains("redact has no effect, because the policy is in code"),
        "{found:?}"
    );
}

#[test]
fn misspelled_kind_shows_no_secret() {
    let file = "[sink.errors]\nkind = 'sentri'\ndsn = 'https://hunter2@sentry.example.com/42'\n\
                [sink.traces]\nkind = 'stdout'\nheaders = 'authorization=hunter2'\n";
    let files = Files::new(&[("log.toml", file)]);
    let text = files.builder("log.toml", &[PROD]);
    let text = match text {
        Ok(builder) => builder.explain().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn secrets_are_hidden_as_errors_quote_them() {
    let files = Files::new(&[
        ("secret", "ab\"cd\\hunter2,swordfish"),
        (
            "log.toml",
            "[sink.main]\nformat = '${file:secret}'\nfilters = '${file:secret}'\n",
        ),
    ]);
    let found = files.problems("log.toml").concat();
    for part in ["hunter2", "swordfish"] {
        assert!(!found.contains(part), "{found}");
    }
}

#[test]
fn keys_without_effect_are_mistakes() {
    let file = "[sink.main]\nformat = 'pretty'\nmax_line = '1KiB'\n\
                background = false\nbuffer = '1MiB'\n";
    assert_eq!(
        problems(file, &[PROD]),
        [
            "config:3:1: sink.main.max_line has no effect with `pretty`: remove it",
            "config:5:1: sink.main.buffer has no effect without a background thread: remove it",
        ]
    );
    // A deployment may change the format and the thread of a file that others use, too.
    let file = "[sink.main]\nmax_line = '1KiB'\nbuffer = '1MiB'\n\
                [profile.prod.sink.main]\nformat = 'pretty'\nbackground = false\n";
    assert_eq!(problems(file, &[PROD]), [""; 0]);
    let file = "[sink.main]\nformat = 'json'\nmax_line = '1KiB'\n";
    assert_eq!(problems(file, &[PROD, ("LOG_FORMAT", "pretty")]), [""; 0]);
}

#[test]
fn variables_without_the_main_sink_are_warned_of() {
    let file = "[sink.console]\nkind = 'stdout'\nformat = 'pretty'\n";
    let vars = [PROD, ("LOG_OUTPUT_LEVEL", "error"), ("LOG_FORMAT", "json")];
    let text = explain(file, &vars);
    for name in ["LOG_OUTPUT_LEVEL", "LOG_FORMAT"] {
        let warning = format!("warning: {name} has no effect: it is for the sink main");
        assert!(text.contains(&warning), "{text}");
    }
    let text = explain(&file.replace("console", "main"), &vars);
    assert!(!text.contains("has no effect"), "{text}");
    // A sink without a format has that of the variable.
    let both = format!("{file}[sink.other]\nkind = 'stderr'\n");
    let text = explain(&both, &vars);
    assert!(text.contains("LOG_OUTPUT_LEVEL has no effect"), "{text}");
    assert!(!text.contains("LOG_FORMAT has no effect"), "{text}");
}

#[test]
fn values_of_two_references_are_texts() {
    let vars = [PROD, ("A", "tr"), ("B", "ue")];
    for key in ["background", "recorder", "filters"] {
        let file = format!("[sink.main]\n{key} = '${{A}}${{B}}'\n");
        let found = problems(&file, &vars);
        let named = format!("config:2:{}: sink.main.{key} is a text", key.len() + 4);
        assert!(
            found.len() == 1 && found[0].starts_with(&named),
            "{found:?}"
        );
    }
}

#[test]
fn references_to_wrong_switches_are_mistakes() {
    let vars = [PROD, ("ON", "nope"), ("V", "7")];
    let file = "version = '${V}'\n[panic]\nhook = '${ON}'\n\
                [sink.main]\nenabled = '${ON}'\n";
    assert_eq!(
        problems(file, &vars),
        [
            "config:1:11: version=\"7\": write 1",
            "config:3:8: panic.hook is a text: write true or false",
            "config:5:11: sink.main.enabled is a text: write true or false",
        ]
    );
}

#[test]
fn unused_filters_are_warned_of() {
    let filters = "[filter]\nnoise = { drop = { target = 'hyper' } }\nother = { code = true }\n";
    let warning = "warning: config:2:1: filter.noise has no effect: name it in the filters of \
                   root, a route or a sink";
    let check = |rest: &str, is_warned: bool| {
        let file = format!("{filters}{rest}");
        let text = match from_file_text_and_vars(&file, &[PROD]) {
            Ok(builder) => {
                let builder = builder.filter("other", |_| spanwise::filter::Verdict::Keep);
                builder.explain().to_string()
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(text.contains(warning), is_warned, "{rest}: {text}");
    };
    let used = "[root]\nfilters = ['other']\n";
    check(used, true);
    check("[root]\nfilters = ['other', 'noise']\n", false);
    check("[sink.main]\nkind = 'stdout'\nfilters = ['noise']\n", false);
    // Another preset uses the filter.
    check("[profile.dev.route.shop]\nfilters = ['noise']\n", false);
    // The variable may name the filter.
    check("[root]\nfilters = '${FILTERS:-other}'\n", false);
}
