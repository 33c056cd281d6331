//! The mistakes of a file: all at once, each with its place.

use super::{Files, problems};

#[test]
fn mistakes_of_file_and_environment_are_together() {
    let found = problems(
        "levels = 'inof'\n[sink.app]\nrotat = 'daily'\nkind = 'file'\n",
        &[("LOG_TIME", "mars")],
    );
    assert_eq!(found.len(), 4, "{found:#?}");
    assert!(
        found[0].starts_with(
            "config:1:10: levels=\"inof\": `inof` is not a level: did you mean `info`?"
        ),
        "{found:#?}"
    );
    assert_eq!(
        found[1],
        "config:2:7: sink.app has no path: add path = \"/var/log/shop/app.log\""
    );
    assert_eq!(
        found[2],
        "config:3:1: sink.app.rotat is not a setting: did you mean rotate?"
    );
    assert!(
        found[3].starts_with("LOG_TIME=\"mars\" is unknown: accepts"),
        "{found:#?}"
    );
}

#[test]
fn unreadable_files_are_named() {
    let files = Files::new(&[("nul.toml", "a\n\0"), ("dir/x", "")]);
    std::fs::write(files.path("latin.toml"), b"# a\n# \xe4\n").unwrap();
    std::fs::write(files.path("large.toml"), vec![b'#'; 1024 * 1024 + 1]).unwrap();
    let found = files.problems("none.toml,nul.toml,latin.toml,large.toml,dir");
    let path = |name: &str| format!("LOG_CONFIG: \"{name}\"");
    assert_eq!(
        found,
        [
            format!(
                "{} cannot be read: No such file or directory (os error 2)",
                path("none.toml")
            ),
            format!("{} has a NUL byte in line 2: remove it", path("nul.toml")),
            format!(
                "{} is not UTF-8 in line 2: save it as UTF-8",
                path("latin.toml")
            ),
            format!("{} has more than 1 MiB: write less", path("large.toml")),
            format!(
                "{} cannot be read: Is a directory (os error 21)",
                path("dir")
            ),
        ]
    );
}

/// The places and the words of `mistakes.toml`.
const MISTAKES: [(&str, &str); 28] = [
    ("1:11", "version is 2: write 1"),
    (
        "2:10",
        "levels=\"inof\": `inof` is not a level: did you mean `info`?",
    ),
    ("3:1", "formt is not a setting: did you mean format?"),
    ("4:10", "strict is a text: write true or false"),
    ("5:11", "context is a text: write a list of texts"),
    ("6:10", "reload=\"5ms\": the shortest interval is `1s`"),
    ("9:1", "service.nmae is not a setting: did you mean name?"),
    (
        "12:8",
        "recorder.tail is a text: write a number from 0 to 1",
    ),
    (
        "14:9",
        "format.\"ü\" has no base: add base = \"json\", or a template",
    ),
    ("15:10", "format.\"ü\".fields: `+locatoin`"),
    (
        "18:8",
        "sink.console.kind=\"stdot\" is unknown: did you mean stdout?",
    ),
    (
        "21:8",
        "sink.remote.kind=\"syslog\" is not available yet: available are stdout, stderr, file, sentry, otlp, none",
    ),
    (
        "27:1",
        "sink.app.rotat is not a setting: did you mean rotate?",
    ),
    ("28:8", "sink.app.keep=\"0 files\""),
    ("29:9", "sink.app.level=\"wran\""),
    (
        "30:1",
        "sink.app.color is not a setting of the kind file, but of stdout and stderr",
    ),
    (
        "34:8",
        "sink.copy.path is the file of the sink app: give each its own",
    ),
    ("35:10", "sink.copy.rotate=\"dayly\""),
    (
        "36:1",
        "the sink copy has the filter \"no_prob\": did you mean no_probes? there are debug_only, no_probes, not_debug, prod_only",
    ),
    (
        "37:11",
        "sink.copy.enabled is a number: write true or false",
    ),
    ("39:7", "sink.nothing has no kind: add kind = \"stdout\""),
    (
        "43:44",
        "filter.no_probes.drop.equals is not a condition: there are field, is, not",
    ),
    (
        "44:1",
        "filter.two needs exactly one of keep, drop, level, code",
    ),
    (
        "47:9",
        "root.level=\"loud\" is not a level: accepts off, error",
    ),
    (
        "48:1",
        "root sends to the sink \"main\": there are app, console, copy, nothing, remote",
    ),
    (
        "51:1",
        "the route shop::pay sends to the sink \"consol\": did you mean console? there are app, console, copy, nothing, remote",
    ),
    (
        "53:2",
        "control is not available yet: available are `Handle::set_levels` and `Handle::set_levels_for`",
    ),
    ("57:7", "key with no value, expected `=`"),
];

#[test]
fn each_mistake_of_a_file_has_its_place() {
    let text = include_str!("mistakes.toml");
    let found = problems(text, &[("LOG_PRESET", "prod")]);
    let found: Vec<String> = found.iter().map(|it| it.replace("config:", "")).collect();
    let mut rest = found.iter();
    for (place, words) in MISTAKES {
        let expected = format!("{place}: {words}");
        let next = rest.next().map(String::as_str).unwrap_or_default();
        assert!(
            next.starts_with(&expected),
            "{expected}\nis not the next of {found:#?}"
        );
    }
    assert_eq!(rest.next(), None, "{found:#?}");
}

#[test]
fn common_syntax_mistakes_name_the_way_out() {
    let cases = [
        (
            "levels = info,sqlx=warn",
            "a text needs quotes: levels = \"…\"",
        ),
        (
            "[route.shop::payments]\nsinks = []",
            "write [route.\"shop::payments\"]",
        ),
        ("levels: info", "write levels = \"…\""),
        ("strict = True", "write strict = true"),
        ("levels = “info”", "write plain quotes: levels = \"…\""),
        (
            "[sink.a]\nkind = stdout",
            "a text needs quotes: kind = \"…\"",
        ),
    ];
    for (text, way_out) in cases {
        let found = problems(text, &[]);
        let naming = found.iter().filter(|it| it.ends_with(way_out));
        assert_eq!(naming.count(), 1, "{text}: {found:#?}");
    }
    // The value may be a secret.
    let found = problems(
        "[sink.sentry]\ndsn = https://hunter2@sentry.example.com/1",
        &[],
    );
    assert!(!found.concat().contains("hunter2"), "{found:#?}");
}

#[test]
fn profile_switches_off_what_a_file_defines() {
    let text = "[sink.app]\nkind = 'stdout'\n[profile.prod.sink.ap]\nenabled = false\n";
    let found = problems(text, &[("LOG_PRESET", "prod")]);
    assert_eq!(
        found,
        [
            "config:3:20: sink.ap is switched off, and no file defines it: did you mean app? there is app"
        ]
    );
}

#[test]
fn missing_feature_of_a_sink_is_named() {
    let text = "[sink.sentry]\ndsn = 'https://k@sentry.example.com/1'\n";
    let found = problems(text, &[("LOG_PRESET", "prod")]);
    match cfg!(feature = "sentry") {
        true => assert_eq!(found, [""; 0]),
        false => assert!(
            found[0].starts_with("config:1:7: sink.sentry needs the feature `sentry`"),
            "{found:?}"
        ),
    }
}

#[test]
fn missing_feature_of_a_key_is_named() {
    let found = problems(
        "[redact]\nkey_file = '/no/such'\n[http]\ntrust = ['always']\n",
        &[],
    );
    let is_named = |place: &str, feature: &str| {
        let end = format!("needs the feature `{feature}` of `spanwise`: add it, or remove the key");
        found
            .iter()
            .any(|it| it.starts_with(place) && it.ends_with(&end))
    };
    assert_ne!(
        is_named("config:2:12: redact.key_file", "pseudonyms"),
        cfg!(feature = "pseudonyms")
    );
    assert_ne!(
        is_named("config:4:9: http.trust", "http"),
        cfg!(feature = "http"),
        "{found:?}"
    );
}

#[test]
fn variable_of_a_later_sink_is_refused() {
    let found = problems(
        "[sink.console]\nkind = 'stdout'",
        &[("LOG_SYSLOG", "udp://a")],
    );
    let problem =
        "LOG_SYSLOG is not available yet: available are stdout, stderr, file, sentry, otlp, none";
    assert_eq!(found, [problem]);
    // A variable needs no file, and is not also warned of as an unknown name.
    let names = [
        "LOG_SYSLOG",
        "LOG_LOKI_URL",
        "LOG_LOKI_LABELS",
        "LOG_MAIL_SMTP",
        "LOG_MAIL_TO",
        "LOG_AUDIT_FILE",
    ];
    for name in names {
        let vars = [("LOG_PRESET", "prod"), ("LOG_STRICT", "1"), (name, "x")];
        let result = spanwise::Builder::from_vars(vars);
        let Err(spanwise::InitError::Settings(found)) = result else {
            panic!("{name} is accepted");
        };
        assert_eq!(found, [problem.replace("LOG_SYSLOG", name)]);
    }
}

#[test]
fn sink_of_a_later_kind_is_refused() {
    for kind in ["syslog", "journald", "loki", "http", "mail", "audit"] {
        let text = format!("[sink.security]\nto = 'udp://a'\nkind = '{kind}'\n");
        let problem = format!(
            "config:3:8: sink.security.kind=\"{kind}\" is not available yet: available are \
             stdout, stderr, file, sentry, otlp, none"
        );
        assert_eq!(problems(&text, &[("LOG_PRESET", "prod")]), [problem]);
    }
}

#[test]
fn sink_that_nothing_reaches_is_a_mistake() {
    let text = "[sink.a]\nkind = 'stdout'\n[sink.b]\nkind = 'stderr'\n[root]\nsinks = ['a']\n";
    let problem = "config:3:7: sink.b gets no events: name it in root.sinks or in a route, or set enabled = false";
    assert_eq!(problems(text, &[]), [problem]);
    for reached in [
        "[route.x]\nsinks = ['b']\n",
        "[profile.prod.sink.b]\nenabled = false\n",
    ] {
        let text = format!("preset = 'prod'\n{text}{reached}");
        assert_eq!(problems(&text, &[]), [""; 0], "{reached}");
    }
}

#[test]
fn routes_that_contradict_are_mistakes() {
    let text = "levels = 'info,shop=debug'\n[sink.a]\nkind = 'stdout'\n[root]\nlevel = 'warn'\n\
                [route.'shop::db']\nsinks = []\n[route.'shop.db']\nlevel = 'off'\n[route.shop.db]\nlevel = 'off'\n\
                [route.'a b']\nlevel = 'off'\n[route.drop]\nsinks = []\nexclusive = true\n";
    assert_eq!(
        problems(text, &[]),
        [
            "config:5:9: root.level is warn, and levels has info: write the level once",
            "config:7:1: route.\"shop::db\".sinks=[] has no effect: name a sink, or set exclusive = true to drop events",
            "config:8:8: route.\"shop.db\" has the target of the route shop::db: remove one",
            "config:10:13: route.shop.db is not a setting: write the whole target of a route in quotes, such as [route.\"shop::payments\"]",
            "config:12:8: route.\"a b\" is not a target: write a module, such as route.\"shop::payments\"",
        ]
    );
}

#[test]
fn filters_that_mean_nothing_are_mistakes() {
    let text = "[filter]\na = { keep = {} }\nb = { drop = { field = 'x' } }\nc = { keep = { is = 1 } }\n\
                d = { level = { target = 'x' } }\ne = { code = false }\nprod_only = { code = true }\n\
                f = { level = { as = 'off', target = 'x' } }\ng = { keep = { any = [] } }\nh = { keep = { preset = 'stage' } }\n\
                i = { drop = { field = 'x', above = 'y' } }\nj = { keep = { not = { field = 'x', exists = true }, level = 'warn', any = [{ message = 'm' }] } }\n";
    let found = problems(text, &[]);
    let expected = [
        ("2:7", "filter.a.keep has no condition: add one"),
        ("3:7", "filter.b.drop.field has no test: add is, not"),
        ("4:16", "filter.c.keep.is needs a field"),
        ("5:7", "filter.d.level has no level: add as = \"warn\""),
        ("6:14", "filter.e.code=false: write true"),
        (
            "7:1",
            "filter.prod_only is a filter already: choose another name",
        ),
        (
            "8:22",
            "filter.f.level.as=\"off\": write a level, or use drop",
        ),
        ("9:7", "filter.g.keep.any has no condition: write one"),
        ("10:25", "filter.h.keep.preset=\"stage\": there are"),
        ("11:37", "filter.i.drop.above is a text: write a number"),
    ];
    for (index, (place, words)) in expected.into_iter().enumerate() {
        let expected = format!("config:{place}: {words}");
        let next = found.get(index).map(String::as_str).unwrap_or_default();
        assert!(
            next.starts_with(&expected),
            "{expected}\nis not number {index} of {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn path_of_a_sink_has_one_problem() {
    let text = "[sink.a]\nkind = 'file'\npath = '/no-such/dir/a.log'\nfallback = ['b', 'stderr']\n\
                [sink.b]\nkind = 'stdout'\nfallback = ['stderr']\n";
    let found = problems(text, &[("LOG_PRESET", "prod")]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("config:3:8: sink.a.path"),
        "{found:#?}"
    );
    assert!(found[0].contains("there is no directory"), "{found:#?}");
    assert_eq!(
        found[1],
        "config:4:1: sink.a.fallback names \"b\": only stderr is available yet"
    );
    assert_eq!(
        found[2],
        "config:7:1: sink.b.fallback is not a setting of the kind stdout, but of file"
    );
}

#[test]
fn start_has_the_problems_of_a_late_preset() {
    alone!();
    let text = "[sink.a]\nkind = 'stdout'\n[filter]\ns = { code = true }\n\
                [profile.dev.route.shop]\nsinks = ['b']\nfilters = ['f', 's']\n[profile.dev.sink.c]\nkind = 'file'\npath = '/no-such/dir/a.log'\n";
    let builder = spanwise::__private::from_file_text_and_vars(text, &[("LOG_PRESET", "prod")]);
    let builder = builder.unwrap().preset(spanwise::Preset::Dev);
    let Err(spanwise::InitError::Settings(found)) = builder.init() else {
        panic!("it started");
    };
    let places: Vec<&str> = found
        .iter()
        .map(|it| it.split_once(": ").unwrap().0)
        .collect();
    assert_eq!(
        places,
        ["config:4:1", "config:6:1", "config:7:1", "config:10:8"],
        "{found:#?}"
    );
}

#[test]
fn kind_of_the_main_sink_is_suggested() {
    let found = problems("[sink.main]\nkind = 'STDOUT'\n", &[("LOG_PRESET", "prod")]);
    assert_eq!(
        found,
        [
            "config:2:8: sink.main.kind=\"STDOUT\": did you mean stdout? accepts stdout, stderr, none"
        ]
    );
}

#[test]
fn unclosed_header_has_one_problem() {
    let prod = [("LOG_PRESET", "prod")];
    let text = "[sink.a # the first\nkind = 'stdout'\n[sink.b]\nkind='stdot'\n\
                [route.\"x::y\"\r\nsinks = ['a']\nlevl = 'warn'\n[root]\nsinks = ['a']\n";
    assert_eq!(
        problems(text, &prod),
        [
            "config:1:8: unclosed table, expected `]`",
            "config:4:6: sink.b.kind=\"stdot\" is unknown: did you mean stdout?",
            "config:5:14: unclosed table, expected `]`",
            "config:7:1: route.\"x::y\".levl is not a setting: did you mean level?",
        ]
    );
    let text = "[[sink.a\nkind = 'stdout'\n";
    let found = problems(text, &prod);
    assert_eq!(found, ["config:1:9: unclosed array table, expected `]]`"]);
    // The names of these tables are not known, so their keys are not checked.
    for header in ["[sink main]", "[sink.a = 1", "[sink.\"a]"] {
        let text =
            format!("[sink.b]\nkind = 'stdout'\n{header}\nkind = 'x'\n[root]\nlevl = 'off'\n");
        let found = problems(&text, &prod);
        let (last, of_header) = found.split_last().unwrap();
        assert_eq!(
            last,
            "config:6:1: root.levl is not a setting: did you mean level?"
        );
        for problem in of_header {
            assert!(problem.starts_with("config:3:"), "{found:#?}");
        }
    }
}

#[test]
fn unclosed_headers_take_linear_time() {
    let found = problems(&"[route.a\n".repeat(100_000), &[]);
    assert_eq!(found.len(), 100);
}

#[test]
fn places_count_characters() {
    let prod = [("LOG_PRESET", "prod")];
    for (text, place) in [
        ("sink.'größe' = { kind = 'stdout', formt = 'x' }\n", "1:35"),
        ("\u{feff}servise = 1\r\n", "1:1"),
        ("context = [\r\n  'ä', # ü\r\n]\r\nservise = 1\r\n", "4:1"),
        (
            "service = { name = \"\"\"\nä\"\"\", versoin = '1' }\n",
            "2:7",
        ),
        ("sink.a.kind = 'stdout'\nsink . a . formt = 'x'\n", "2:12"),
        (
            "[sink.a]\nkind = 'stdout'\n[[route.shop]]\nlevel = 'off'\n",
            "3:1",
        ),
    ] {
        let found = problems(text, &prod);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].starts_with(&format!("config:{place}: ")),
            "{found:#?}"
        );
    }
}

#[test]
fn problem_of_a_reference_has_no_second() {
    let sink = "[sink.a]\nkind = 'stdout'\n";
    let prod = [("LOG_PRESET", "prod")];
    for names in ["'${NO_SUCH}'", "['a', '${NO_SUCH}']"] {
        let found = problems(&format!("{sink}[route.x]\nsinks = {names}\n"), &prod);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("${NO_SUCH} is not set"), "{found:#?}");
    }
    for names in ["'${NO_SUCH:-}'", "['a', '${NO_SUCH:-}']"] {
        let found = problems(&format!("{sink}[root]\nsinks = {names}\n"), &prod);
        assert_eq!(found, [""; 0], "an empty reference counts as unset");
    }
    let found = problems("[service]\nname = '${A:-${B:-shop}}'\n", &prod);
    let problem = "config:2:8: ${A:-…} has a reference in its default: write a text without one";
    assert_eq!(found, [problem]);
}

#[test]
fn level_beneath_a_variable_is_checked() {
    let text = "[sink.main]\nlevel = 'inof'\n[sink.file]\npath = 'a.log'\nlevel = 'inof'\n";
    let vars = [
        ("LOG_PRESET", "prod"),
        ("LOG_OUTPUT_LEVEL", "info"),
        ("LOG_FILE_LEVEL", "info"),
    ];
    let found = problems(text, &vars);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("config:2:9: sink.main.level=\"inof\""),
        "{found:#?}"
    );
    assert!(
        found[1].starts_with("config:5:9: sink.file.level=\"inof\""),
        "{found:#?}"
    );
}

#[test]
fn star_is_no_target() {
    let text = "[sink.a]\nkind = 'stdout'\n[route.'*']\nlevel = 'warn'\n";
    let problem = "config:3:8: route.\"*\" is not a target: write a module, such as \
                   route.\"shop::payments\"";
    assert_eq!(problems(text, &[("LOG_PRESET", "prod")]), [problem]);
}

#[test]
fn refused_reference_may_name_any_sink() {
    let prod = [("LOG_PRESET", "prod")];
    let sinks = "[sink.a]\nkind = 'stdout'\n[sink.b]\nkind = 'stderr'\n";
    for lists in [
        "[root]\nsinks = ['a', '${NO_SUCH}']\n",
        "[root]\nsinks = ['a']\n[route.x]\nsinks = ['${NO_SUCH}']\n",
        "[root]\nsinks = ['a']\n[route.x]\nsinks = '${NO_SUCH}'\n",
    ] {
        let found = problems(&format!("{sinks}{lists}"), &prod);
        assert_eq!(found.len(), 1, "{lists}: {found:#?}");
        assert!(found[0].contains("${NO_SUCH} is not set"), "{found:#?}");
    }
}

#[test]
fn list_of_empty_references_counts_as_unset() {
    let sink = "[sink.a]\nkind = 'stdout'\n";
    for names in ["'${NO_SUCH:-}'", "['${NO_SUCH:-}']"] {
        for table in ["root", "route.x"] {
            let text = format!("{sink}[{table}]\nsinks = {names}\n");
            let found = problems(&text, &[("LOG_PRESET", "prod")]);
            assert_eq!(found, [""; 0], "{table}: {names}");
        }
    }
}

#[test]
fn preset_of_a_condition_has_one_error() {
    let prod = [("LOG_PRESET", "prod")];
    for preset in ["''", "'${NO_SUCH:-}'", "['${NO_SUCH:-}']", "[]"] {
        let text = format!("[filter]\nf = {{ keep = {{ preset = {preset} }} }}\n");
        let problem = "config:2:25: filter.f.keep.preset is empty: write a value";
        assert_eq!(problems(&text, &prod), [problem], "{preset}");
    }
    for preset in ["'${NO_SUCH}'", "['${NO_SUCH}']"] {
        let text = format!("[filter]\nf = {{ drop = {{ preset = {preset} }} }}\n");
        let found = problems(&text, &prod);
        assert_eq!(found.len(), 1, "{preset}: {found:#?}");
        assert!(found[0].contains("${NO_SUCH} is not set"), "{found:#?}");
    }
}

#[test]
fn star_is_no_name() {
    for (table, key) in [
        ("sink", "kind = 'stdout'"),
        ("format", "base = 'json'"),
        ("filter", "keep = { level = 'warn' }"),
    ] {
        let text = format!("[{table}.'*']\n{key}\n");
        let found = problems(&text, &[("LOG_PRESET", "prod")]);
        let problem = format!("{table}.\"*\" is not a name: write one table for each {table}");
        assert!(found[0].ends_with(&problem), "{found:#?}");
    }
}
