//! Sinks that exist once per process. The test runs itself again, and searches everything that this
//! process writes.

use std::{
    env,
    fs::File,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use spanwise_redact::Policy;

use super::{
    Planting, everything_for,
    needles::Needles,
    places::PANICS,
    secrets::KINDS,
    sinks::{PROGRAMS, Program},
    wrongs,
};

/// The variable that selects the program.
const PROGRAM: &str = "PLANTING_PROGRAM";
const DIRECTORY: &str = "PLANTING_DIRECTORY";

/// Runs each program, or becomes one of them.
///
/// `test` is the name of the calling test, which must do nothing else.
pub fn wrongs_of_programs(test: &str) -> Vec<String> {
    if let Some(name) = setting(PROGRAM) {
        let program = PROGRAMS.iter().find(|program| program.name == name);
        be(program.expect("one of the list"));
        return Vec::new();
    }
    PROGRAMS
        .iter()
        .flat_map(|program| run(program, test))
        .collect()
}

fn be(program: &Program) {
    // The hook of std would print the secrets of panics; it is not a sink.
    std::panic::set_hook(Box::new(|_| {}));
    let directory = setting(DIRECTORY).expect("set with the program");
    let policy = Arc::new(Policy::secrets_and_pii());
    let guard = (program.start)(policy, Path::new(&directory));
    super::log(&plan(program));
    drop(guard);
}

fn run(program: &Program, test: &str) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    // Uses files, because nobody reads while the program writes.
    let streams = tempfile::tempdir().expect("a directory");
    let stream = |name| Stdio::from(File::create(streams.path().join(name)).expect("a file"));
    let status = Command::new(env::current_exe().expect("this program"))
        .args([test, "--exact", "--nocapture"])
        .env(PROGRAM, program.name)
        .env(DIRECTORY, directory.path())
        .stdout(stream("stdout"))
        .stderr(stream("stderr"))
        .status()
        .expect("it starts");
    let mut written = Vec::new();
    for directory in [directory.path(), streams.path()] {
        for file in std::fs::read_dir(directory).expect("a directory") {
            let bytes = std::fs::read(file.expect("a file").path()).expect("it is read");
            written.extend(bytes);
        }
    }
    let plan = plan(program);
    let mut wrongs = wrongs(program.name, &written, &plan, &Needles::new(&plan));
    if !status.success() {
        wrongs.push(format!("{}: ends with {status}", program.name));
    }
    wrongs
}

fn plan(program: &Program) -> Vec<Planting> {
    let number = PROGRAMS.iter().position(|other| other.name == program.name);
    let mut plan = everything_for(number.expect("one of the list"));
    if program.logs_panics {
        for kind in KINDS {
            for place in PANICS {
                let event = plan.last().expect("there are others").event + 1;
                plan.push(Planting::of_kind(event, kind, *place, ("", "")));
            }
        }
    }
    plan
}

#[expect(
    clippy::disallowed_methods,
    reason = "between a test and itself, not a setting"
)]
fn setting(name: &str) -> Option<String> {
    env::var(name).ok()
}
