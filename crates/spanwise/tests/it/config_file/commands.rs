//! The check of files, and the command that programs mount.

use super::Files;
use spanwise::{
    Builder, Format, InitError, Preset,
    config_file::{check, command},
};

#[test]
fn command_has_three_exit_codes() {
    let files = Files::new(&[
        ("right.toml", "preset = 'prod'\n[service]\nname = 'shop'\n"),
        ("wrong.toml", "formt = 1\n[sink.main]\nformat = 'jsn'\n"),
        ("warned.toml", "include = ['none.d/*.toml']\n"),
    ]);
    let path = |name: &str| files.path(name).display().to_string();
    let run = |arguments: &[&str]| command(arguments, |builder| builder);
    let (right, wrong) = (path("right.toml"), path("wrong.toml"));

    let (text, code) = run(&["log", "check", &right]);
    assert_eq!((&*text, code), ("the configuration is valid\n", 0));

    let (text, code) = run(&["log", "check", &right, &wrong]);
    let text = files.without_directory(&text);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "wrong.toml:1:1: formt is not a setting: did you mean format?"
    );
    assert!(
        lines[1].starts_with("wrong.toml:3:10: sink.main.format=\"jsn\" is unknown"),
        "{text}"
    );
    assert_eq!((lines[2], lines.len(), code), ("2 problems", 3, 1));

    let (text, code) = run(&["explain", &right]);
    let text = files.without_directory(&text);
    assert!(
        text.contains("SERVICE_NAME = shop (right.toml:3)\n"),
        "{text}"
    );
    assert_eq!(code, 0);
    assert_eq!(run(&["explain", &wrong]).1, 1);

    let path = path("warned.toml");
    let (text, code) = run(&["log", "check", &path]);
    assert_eq!(
        (&*files.without_directory(&text), code),
        (
            "warning: warned.toml:1:12: include \"none.d/*.toml\" matches no file: add one, or remove it\n\
             the configuration is valid\n",
            0
        )
    );

    for arguments in [&[][..], &["log"], &["chekc"], &["check", "--help"]] {
        let (text, code) = run(arguments);
        assert!(text.starts_with("usage: log check"), "{text}");
        assert_eq!(code, 2);
    }
}

#[test]
fn check_of_no_file_is_not_valid() {
    let (text, code) = command(["log", "check"], |builder| builder);
    let expected = "there is no file to check: name one, or set LOG_CONFIG\n";
    assert_eq!((&*text, code), (expected, 2));
    // A file that cannot be read is a problem, and not a missing argument.
    let files = Files::new(&[]);
    let path = files.path("none.toml").display().to_string();
    let (text, code) = command(["log", "check", &path], |builder| builder);
    assert!(text.ends_with("\n1 problem\n"), "{text}");
    assert_eq!(code, 1);
}

#[test]
fn sink_with_a_path_is_a_file() {
    let files = Files::new(&[("log.toml", "[sink.errors]\npath = 'errors.log'\n")]);
    let problems = check([files.path("log.toml")], |builder| builder).unwrap_err();
    let text = files.without_directory(&problems.to_string());
    let expected = "log.toml:1:7: sink.errors has a path and no kind: add kind = \"file\"";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn check_knows_the_formats_of_the_program() {
    let files = Files::new(&[("log.toml", "[sink.a]\nkind = 'stdout'\nformat = 'acme'\n")]);
    let acme = Format::custom("acme").build().unwrap();
    let program = |builder: Builder| builder.register_format("acme", acme.clone());
    assert_eq!(check([files.path("log.toml")], program), Ok(()));
    let Err(InitError::Settings(problems)) = check([files.path("log.toml")], |builder| builder)
    else {
        panic!("it is valid");
    };
    assert!(
        problems[0].contains("sink.a.format=\"acme\" is unknown"),
        "{problems:?}"
    );
}

#[test]
fn check_reads_the_profiles_of_all_presets() {
    let files = Files::new(&[(
        "log.toml",
        "[sink.main]\nkind = 'stdout'\n[profile.dev.sink.main]\nformat = 'prety'\n\
         [profile.cli.service]\nname = '${NOT_SET_HERE}'\n[profile.prod.sink.main]\ncolor = 'alwys'\n",
    )]);
    let result = check([files.path("log.toml")], |builder| {
        builder.preset(Preset::Prod)
    });
    let problems = files.without_directory(&result.unwrap_err().to_string());
    let lines: Vec<&str> = problems.lines().skip(1).map(str::trim).collect();
    assert!(
        lines[0].starts_with("log.toml:4:10: sink.main.format=\"prety\" is unknown"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("log.toml:8:9: sink.main.color=\"alwys\" is unknown"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn explanation_of_a_wrong_file_shows_no_secret() {
    let files = Files::new(&[(
        "log.toml",
        "[sink.errors]\nkind = 'sentri'\ndsn = 'https://hunter2@sentry.example.com/42'\n\
         [sink.traces]\nkind = 'stdout'\nheaders = 'authorization=hunter2'\ntokn = 'hunter2'\n",
    )]);
    let path = files.path("log.toml").display().to_string();
    let (text, code) = command(["log", "explain", &path], |builder| builder);
    assert!(text.contains("sink.traces.kind = stdout"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert_eq!(code, 1);
}
