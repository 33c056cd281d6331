//! The start reports all mistakes in one list, including mistakes that depend on another setting.

use std::{fs, os::unix::fs::symlink, path::Path};

use spanwise::{Builder, InitError, Output, Preset};

fn problems_of(start: Result<spanwise::Telemetry, InitError>) -> Vec<String> {
    match start {
        Err(InitError::Settings(problems)) => {
            let has_gap = |problem: &&String| problem.contains("  ");
            assert_eq!(problems.iter().find(has_gap), None);
            problems
        }
        other => panic!("{other:?}"),
    }
}

fn start(vars: &[(&str, &str)]) -> Vec<String> {
    let prod = ("LOG_PRESET", "prod");
    let vars = vars.iter().copied().chain([prod]);
    problems_of(Builder::from_vars(vars).and_then(Builder::init))
}

type Vars = &'static [(&'static str, &'static str)];

/// Settings that are valid alone and invalid together, with the start of the error.
const TOGETHER: &[(Vars, &str)] = &[
    (
        &[("LOG_FILE_KEEP", "3")],
        "LOG_FILE_KEEP is set, and there is no file for it",
    ),
    (
        &[("LOG_FILE_ROTATE", "daily")],
        "LOG_FILE_ROTATE is set, and",
    ),
    (
        &[("LOG_FILE_COMPRESS", "none")],
        "LOG_FILE_COMPRESS is set, and",
    ),
    (&[("LOG_FILE_LEVEL", "warn")], "LOG_FILE_LEVEL is set, and"),
    (
        &[("LOG_FILE_PER_PROCESS", "1")],
        "LOG_FILE_PER_PROCESS is set, and",
    ),
    (
        &[
            ("LOG_FILE", "/tmp/spanwise-never-opened.log"),
            ("LOG_ERROR_FILE", "/tmp/spanwise-never-opened.log"),
        ],
        "LOG_FILE and LOG_ERROR_FILE are the same file",
    ),
    (
        &[("LOG_OUTPUT", "none"), ("LOG_OUTPUT_LEVEL", "warn")],
        "LOG_OUTPUT_LEVEL is set, and LOG_OUTPUT is none",
    ),
    (
        &[("RUST_LOG", "info,[health]=warn")],
        "`[health]=warn` changes nothing",
    ),
    (
        &[
            ("LOG_CONTEXT", "region"),
            ("LOG_STATIC_FIELDS", "region=eu"),
        ],
        "LOG_STATIC_FIELDS: `region` is a key of the context",
    ),
    #[cfg(feature = "sentry")]
    (
        &[
            ("SENTRY_DSN", "https://key@sentry.example.com/42"),
            ("APP_ENV", "eu west"),
        ],
        "SENTRY_ENVIRONMENT is that of the service",
    ),
];

#[test]
fn mistake_beside_another_setting_is_in_the_list() {
    alone!();
    for (vars, begin) in TOGETHER {
        let is_told = |problems: &[String]| {
            let told = problems.iter().filter(|problem| problem.starts_with(begin));
            assert_eq!(told.count(), 1, "{begin} in {problems:?}");
        };
        let alone = start(vars);
        is_told(&alone);
        assert_eq!(alone.len(), 1, "{alone:?}");
        let explained = Builder::from_vars(vars.iter().copied()).unwrap().explain();
        let wrong = format!("\nwrong: {begin}");
        assert!(explained.to_string().contains(&wrong), "{explained}");
        // Adds values that are invalid alone, and unknown names.
        let wrong = [
            ("LOG_TIME", "CET"),
            ("LOG_COLOR", "purple"),
            ("LOG_STRICT", "1"),
            ("LOG_FROMAT", "json"),
        ];
        let all: Vec<_> = vars.iter().chain(&wrong).copied().collect();
        let problems = start(&all);
        is_told(&problems);
        for name in ["LOG_TIME=", "LOG_COLOR=", "LOG_FROMAT is not a setting"] {
            assert!(
                problems.iter().any(|problem| problem.starts_with(name)),
                "{name} in {problems:?}"
            );
        }
        assert_eq!(problems.len(), 4, "{problems:?}");
    }
}

/// Combines every two mistakes. Each mistake is reported once, independently of the other one.
#[test]
fn mistakes_of_all_kinds_are_reported_together() {
    alone!();
    for (one, begin) in TOGETHER {
        for (other, other_begin) in TOGETHER {
            let names = |vars: Vars| vars.iter().map(|(name, _)| *name);
            let has_file = |mut names: Vec<&str>| {
                names.retain(|name| name.starts_with("LOG_FILE") || *name == "LOG_ERROR_FILE");
                !names.is_empty()
            };
            let shares = names(one).any(|name| names(other).any(|other| other == name));
            // One of the two sets the file that the other one needs.
            let mends = has_file(names(one).collect()) && has_file(names(other).collect());
            if shares || mends {
                continue;
            }
            let all: Vec<_> = one.iter().chain(*other).copied().collect();
            let problems = start(&all);
            let told = |begin: &str| problems.iter().any(|problem| problem.starts_with(begin));
            assert!(told(begin) && told(other_begin), "{problems:?}");
            assert_eq!(problems.len(), 2, "{problems:?}");
        }
    }
}

/// A setting that belongs to an invalid value is not itself an error.
#[test]
fn wrong_file_is_still_a_file_for_its_settings() {
    alone!();
    for path in ["~/a.log", "/", "\"/tmp/a.log\"", "/no/such/tree/a.log"] {
        let problems = start(&[("LOG_FILE", path), ("LOG_FILE_KEEP", "3")]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("LOG_FILE"), "{problems:?}");
    }
}

#[test]
fn code_can_have_what_a_variable_needs() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let vars = [("LOG_PRESET", "prod"), ("LOG_FILE_KEEP", "3")];
    let builder = Builder::from_vars(vars).unwrap().output(Output::None);
    drop(builder.file(directory.path().join("a.log")).init().unwrap());
}

#[test]
fn strict_names_what_to_do_about_foreign_names() {
    alone!();
    for (vars, begin) in [
        (
            &[("LOG_DRIVER", "x")][..],
            "LOG_DRIVER is not a setting here: unset",
        ),
        (
            &[("LOG_DRIVER", "x"), ("LOG_GROUP", "y")],
            "LOG_DRIVER, LOG_GROUP are not settings here: unset",
        ),
    ] {
        let strict = vars.iter().copied().chain([("LOG_STRICT", "1")]);
        let by_variable = problems_of(Builder::from_vars(strict).and_then(Builder::init));
        let by_code = Builder::from_vars(vars.iter().copied()).unwrap().strict();
        let by_code = problems_of(by_code.init());
        for problems in [by_variable, by_code] {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(begin), "{problems:?}");
            assert!(!problems[0].contains("ignored"), "{problems:?}");
        }
    }
}

#[test]
fn only_the_last_directory_of_a_path_is_made() {
    alone!();
    // The error shows an existing directory, even if its name looks like a secret.
    let directory = tempfile::Builder::new();
    let directory = { directory }.prefix("9f86d081884c7d65").tempdir().unwrap();
    let path = |end: &str| directory.path().join(end).to_str().unwrap().to_owned();
    for (file, missing) in [
        ("a/b/shop.log", "a"),
        ("a/b/c/d/shop.log", "a"),
        ("./a/../a/b/shop.log", "a"),
    ] {
        let file = path(file);
        let told = format!("there is no directory \"{}", path(missing));
        for problems in [
            start(&[("LOG_FILE", &file)]),
            start(&[("LOG_ERROR_FILE", &file)]),
            problems_of(Builder::new(Preset::Prod).file(&file).init()),
        ] {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains("cannot log to"), "{problems:?}");
            if !file.contains("..") {
                assert!(problems[0].contains(&told), "{told}: {problems:?}");
            }
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    // A start that fails for another reason creates no directory either.
    let file = path("logs/shop.log");
    let problems = start(&[
        ("LOG_FILE", &file),
        ("LOG_OUTPUT", "none"),
        ("LOG_OUTPUT_LEVEL", "info"),
    ]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);

    let telemetry = Builder::new(Preset::Prod)
        .output(Output::None)
        .file(&file)
        .init();
    drop(telemetry.unwrap());
    assert!(Path::new(&file).exists());
}

#[test]
fn same_file_in_another_spelling_is_the_same() {
    alone!();
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir_all(root.join("logs/deep")).unwrap();
    symlink("logs", root.join("link")).unwrap();
    std::env::set_current_dir(&root).unwrap();
    let absolute = root.join("logs/a.log").to_str().unwrap().to_owned();
    let spellings = [
        "logs/a.log",
        "./logs/a.log",
        "logs//a.log",
        "logs/./a.log",
        "logs/deep/../a.log",
        "link/a.log",
        "link/deep/../a.log",
        &absolute,
    ];
    let is_same = |one: &str, other: &str| {
        let problems = start(&[("LOG_FILE", one), ("LOG_ERROR_FILE", other)]);
        let same = "LOG_FILE and LOG_ERROR_FILE are the same file: give each its own";
        assert!(
            problems.contains(&same.to_owned()),
            "{one} {other}: {problems:?}"
        );
    };
    for is_there in [false, true] {
        for one in spellings {
            for other in spellings {
                is_same(one, other);
            }
        }
        if !is_there {
            assert!(!Path::new(&absolute).exists());
            fs::write(&absolute, "").unwrap();
        }
    }
    // The start would create this directory.
    is_same("new/a.log", "./new/a.log");
    // A link to the file, which is not followed.
    symlink("a.log", root.join("logs/b.log")).unwrap();
    is_same("logs/a.log", "logs/b.log");

    let other = Builder::new(Preset::Prod).output(Output::None);
    let other = other.file("logs/c.log").error_file("logs/deep/c.log");
    drop(other.init().unwrap());
}
