//! Reloads that a program calls at unusual times.

use std::{
    fs,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use super::{AUDIT, MAIN, Program};
use spanwise::Handle;
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

/// Calls the handle for each event about the configuration, as a layer that counts them may do.
struct Calls {
    handle: Arc<OnceLock<Handle>>,
    results: mpsc::Sender<(Vec<String>, String)>,
}

impl<S: Subscriber> Layer<S> for Calls {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "spanwise"
            && let Some(handle) = self.handle.get()
        {
            let reloaded = handle.reload().unwrap_err().to_string();
            let _ = self.results.send((handle.reload_problems(), reloaded));
        }
    }
}

#[test]
fn layer_asks_for_problems_and_for_another_reload() {
    let handle = Arc::default();
    let (results, received) = mpsc::channel();
    let layer = Calls {
        handle: Arc::clone(&handle),
        results,
    };
    let program = Program::start_with(MAIN, |builder| builder.layer(layer));
    handle.set(program.telemetry.handle()).unwrap();
    program.write("[sink");
    let of_thread = program.telemetry.handle();
    let reload = thread::spawn(move || of_thread.reload().is_err());
    let (problems, reloaded) = received.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(!problems.is_empty());
    assert!(
        reloaded.contains("this thread is already reloading"),
        "{reloaded}"
    );
    assert!(reload.join().unwrap());
    program.write(MAIN);
    program.telemetry.handle().reload().unwrap();
    let (problems, _) = received.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(problems, [""; 0]);
}

#[test]
fn reloads_are_counted() {
    // The counters are those of the process.
    alone!();
    let program = Program::start(MAIN);
    let counts = || {
        let counts = program.telemetry.handle().stats().reloads.unwrap();
        (counts.applied, counts.refused, counts.problems)
    };
    assert_eq!(counts(), (0, 0, 0));
    program.refused(&format!("levles = 'info'\nspnas = 'info'\n{MAIN}"));
    assert_eq!(counts(), (0, 1, 2));
    // The file is as it was.
    program.reload(MAIN).unwrap();
    assert_eq!(counts(), (0, 1, 0));
    program.refused(&format!("levles = 'info'\n{MAIN}"));
    program.reload(&format!("{MAIN}{AUDIT}")).unwrap();
    assert_eq!(counts(), (1, 2, 0));
}

#[test]
fn no_reload_after_the_shutdown() {
    let program = Program::start(MAIN);
    program.write(&format!("{MAIN}{AUDIT}"));
    let audit = program.path("audit.log");
    let handle = program.telemetry.handle();
    let directory = program.directory;
    program.telemetry.shutdown(Duration::from_secs(60));
    let error = handle.reload().unwrap_err();
    assert_eq!(error.problems(), ["logging is shut down"]);
    assert!(!fs::exists(audit).unwrap());
    drop(directory);
}

/// An event that outlasts the wait of a reload, because its value waits for the reload.
#[test]
fn loss_of_a_slow_event_is_reported() {
    alone!();
    struct Reloads<'a>(&'a Program);
    impl std::fmt::Debug for Reloads<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let reload = || self.0.reload(MAIN).unwrap();
            thread::scope(|scope| scope.spawn(reload).join().map(drop)).unwrap();
            f.write_str("slow")
        }
    }
    let program = Program::start(&format!("{MAIN}{AUDIT}"));
    let loss = || {
        let faults = program.telemetry.handle().stats().faults.into_iter();
        let lost = faults.filter(|(fault, _)| *fault == spanwise::report::Fault::Lost);
        lost.map(|(_, count)| count).sum::<u64>()
    };
    program.log(|| tracing::info!(value = ?Reloads(&program), "slow"));
    assert_eq!(program.messages("main"), ["slow"]);
    assert_eq!(loss(), 1);
}

/// A value that reloads while its event is being written.
#[test]
fn value_of_an_event_cannot_reload() {
    struct Reloads<'a>(&'a Program);
    impl std::fmt::Debug for Reloads<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(
                &self
                    .0
                    .reload(&format!("{MAIN}{AUDIT}"))
                    .unwrap_err()
                    .to_string(),
            )
        }
    }
    let program = Program::start(MAIN);
    program.log(|| tracing::info!(value = ?Reloads(&program), "first"));
    assert!(!fs::exists(program.path("audit.log")).unwrap());
    program.telemetry.handle().reload().unwrap();
    program.log(|| tracing::info!("second"));
    assert_eq!(program.messages("main"), ["first", "second"]);
    let lines = fs::read_to_string(program.path("main.log")).unwrap();
    assert!(
        lines.contains("was called from inside an event or a span"),
        "{lines}"
    );
}
