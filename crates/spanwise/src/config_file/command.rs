//! Checks configuration files without starting the telemetry, and provides the check as a command
//! for the command line of a program.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{CodeFile, ConfigFiles, FileSources};
use crate::{
    Builder, InitError, Preset,
    choices::{self, Source as _},
    config::Config,
    environment::Environment,
    settings::{LOG_CONFIG, PREFIX},
};

/// Checks configuration files as a start with `LOG_CONFIG` does, together with the environment.
/// Opens no file for writing, and starts nothing. The profile of every preset is checked.
///
/// `program` makes the calls to the builder that the program makes in code, such as
/// [`Builder::register_format`]. If there are none, pass `|builder| builder`.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("log.toml");
/// # std::fs::write(&path, "[sink.main]\nformat = 'jsn'\n")?;
/// let problems = spanwise::config_file::check([&path], |builder| builder).unwrap_err();
/// assert!(problems.to_string().contains("log.toml:2:10: sink.main.format=\"jsn\" is unknown"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// [`InitError::Settings`] with all problems, sorted by file and line.
pub fn check<P: AsRef<Path>>(
    paths: impl IntoIterator<Item = P>,
    program: impl FnOnce(Builder) -> Builder,
) -> Result<(), InitError> {
    let paths: Vec<PathBuf> = paths
        .into_iter()
        .map(|path| path.as_ref().to_owned())
        .collect();
    let (problems, _) = findings(program(builder(&paths)));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(InitError::Settings(problems)),
    }
}

/// Runs the command `log` of a program, and returns the text to print and the exit code.
///
/// | arguments | text | exit code |
/// | --- | --- | --- |
/// | `log check FILE…` | the problems, the warnings, and the number of problems | 1 if there are problems |
/// | `log explain FILE…` | the effective settings and their origins: [`Builder::explain`] | 1 if there are problems |
/// | others, and `log check` without a file | how to use it | 2 |
///
/// Without a FILE, the command reads the files of `LOG_CONFIG`. The word `log` may be omitted. Pass
/// the same `program` as to [`check`].
///
/// ```
/// let (text, code) = spanwise::config_file::command(["log", "chekc"], |builder| builder);
/// assert_eq!(code, 2);
/// assert!(text.starts_with("usage: log check [FILE…]"));
/// ```
pub fn command<A: AsRef<str>>(
    arguments: impl IntoIterator<Item = A>,
    program: impl FnOnce(Builder) -> Builder,
) -> (String, i32) {
    let arguments: Vec<A> = arguments.into_iter().collect();
    let words: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let words = match words.split_first() {
        Some((&"log", rest)) => rest,
        _ => &words[..],
    };
    let Some((action, files)) = words.split_first() else {
        return (USAGE.to_owned(), EXIT_USAGE);
    };
    if files.iter().any(|file| file.starts_with('-')) {
        return (USAGE.to_owned(), EXIT_USAGE);
    }
    let paths: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    match *action {
        "check" => {
            let builder = builder(&paths);
            if !builder.files.exist() && builder.files.problems().is_empty() {
                // Without this error, the check would pass if `LOG_CONFIG` was forgotten.
                return (NO_FILE.to_owned(), EXIT_USAGE);
            }
            let (problems, warnings) = findings(program(builder));
            let warnings = warnings.iter().map(|it| format!("warning: {it}\n"));
            let lines = problems.iter().map(|it| format!("{it}\n")).chain(warnings);
            let text: String = lines.collect();
            match problems.len() {
                0 => (text + "the configuration is valid\n", 0),
                1 => (text + "1 problem\n", EXIT_PROBLEMS),
                count => (text + &format!("{count} problems\n"), EXIT_PROBLEMS),
            }
        }
        "explain" => {
            let config = Config::choose(&program(builder(&paths)));
            let code = if config.problems().is_empty() {
                0
            } else {
                EXIT_PROBLEMS
            };
            (config.into_explanation().to_string(), code)
        }
        _ => (USAGE.to_owned(), EXIT_USAGE),
    }
}

const EXIT_PROBLEMS: i32 = 1;
const EXIT_USAGE: i32 = 2;

const USAGE: &str = "usage: log check [FILE…]    checks configuration files\n       \
                     log explain [FILE…]  prints the effective settings\n\
                     without FILE, the files of LOG_CONFIG\n";

const NO_FILE: &str = "there is no file to check: name one, or set LOG_CONFIG\n";

/// Creates a builder from the environment and the files at `paths`. Without paths, the builder
/// reads the files of `LOG_CONFIG`.
fn builder(paths: &[PathBuf]) -> Builder {
    let environment = Environment::new(PREFIX, std::env::vars_os());
    let variable = environment.raw(&LOG_CONFIG.def).map(|mut raw| {
        if !paths.is_empty() {
            raw.text = OsString::new();
        }
        raw
    });
    let files = ConfigFiles::read(FileSources {
        code: paths.iter().cloned().map(CodeFile::Path).collect(),
        variable,
        vars: environment.vars().iter().cloned().collect(),
    });
    let mut builder = Builder::with_sources(PREFIX, vec![Box::new(environment)]);
    builder.files = files;
    builder
}

/// Returns the problems and the warnings under the effective preset, and under the preset of each
/// other profile.
fn findings(builder: Builder) -> (Vec<String>, Vec<String>) {
    let config = Config::choose(&builder);
    let mut problems = config.problems();
    let mut warnings = config.warnings();
    let mut builder = builder;
    for preset in [Preset::Dev, Preset::Prod, Preset::Test, Preset::Cli] {
        if preset == config.preset || !builder.files.has_profile(preset) {
            continue;
        }
        builder = builder.preset(preset);
        // `problems_of_profile` omits unset variables, because the variables of another deployment
        // need not be set here.
        let profile_config = Config::choose(&builder);
        for problem in profile_config.problems_of_profile() {
            choices::push_new(&mut problems, problem);
        }
        for warning in profile_config.warnings() {
            choices::push_new(&mut warnings, warning);
        }
    }
    config.finish_problems(&mut problems);
    (problems, warnings)
}
