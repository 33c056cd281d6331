//! The writer and the record sinks that code sets.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{AUDIT, Program};
use spanwise::file::{RecordSink, Records, StopFlag, WriteOutcome};
use tracing::info;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl RecordSink for Lines {
    fn write(&mut self, records: Records<'_>, _: &StopFlag) -> WriteOutcome {
        let records_written = records.iter().map(|record| self.write_all(record));
        records_written.for_each(Result::unwrap);
        WriteOutcome::all(records)
    }
}

fn start(file: &str) -> (Program, Lines) {
    let lines = Lines::default();
    let writer = lines.clone();
    let program = Program::start_with(file, |builder| builder.with_writer(move || writer.clone()));
    (program, lines)
}

#[test]
fn writer_of_code_stays() {
    let (program, lines) = start(AUDIT);
    program.log(|| info!("one"));
    program
        .reload(&format!("{AUDIT}level = 'error'\n"))
        .unwrap();
    program.log(|| info!("two"));
    let text = lines.text();
    assert!(text.contains("one") && text.contains("two"), "{text}");
    assert_eq!(program.messages("audit"), ["one"]);
    let found = program.refused(&format!(
        "{AUDIT}[sink.main]\nkind = 'stdout'\nformat = 'logfmt'\n"
    ));
    assert!(
        found[0].contains("the writer that the program sets in code uses its settings"),
        "{found:?}"
    );
}

#[test]
fn level_of_the_writer_changes() {
    let file = |level: &str| format!("{AUDIT}[sink.main]\nkind = 'stdout'\nlevel = '{level}'\n");
    let (program, lines) = start(&file("warn"));
    program.log(|| info!("one"));
    program.reload(&file("info")).unwrap();
    program.log(|| info!("two"));
    program.reload(&file("error")).unwrap();
    program.log(|| info!("three"));
    let text = lines.text();
    assert!(text.contains("two"), "{text}");
    assert!(!text.contains("one") && !text.contains("three"), "{text}");
}

#[test]
fn sampler_of_the_writer_goes_on() {
    let file = format!("{AUDIT}[sink.main]\nkind = 'stdout'\nsample = 'info=first:1/1h'\n");
    let (program, lines) = start(&file);
    let often = || (0..10).for_each(|_| info!("often"));
    program.log(often);
    program.reload(&format!("{file}level = 'info'\n")).unwrap();
    program.log(often);
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    let text = lines.text();
    assert_eq!(text.matches("often").count(), 1, "{text}");
    assert!(text.contains("\"suppressed\":19"), "{text}");
}

#[test]
fn options_of_a_record_sink_change() {
    let file = |options: &str| format!("{AUDIT}[sink.queue]\nkind = 'none'\n{options}");
    let lines = Lines::default();
    let queue = lines.clone();
    let program = Program::start_with(&file(""), |builder| builder.record_sink("queue", queue));
    program.log(|| info!("one"));
    program.reload(&file("format = 'logfmt'\n")).unwrap();
    program.log(|| info!("two"));
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    let text = lines.text();
    assert!(text.contains("\"message\":\"one\""), "{text}");
    assert!(text.contains("msg=two"), "{text}");

    let found = program.refused(&file("buffer = '1MiB'\n"));
    let why = "background, buffer and when_full of a record sink need a restart";
    assert!(found[0].contains(why), "{found:?}");
}

#[test]
fn record_sink_with_a_buffer_is_switched_off_and_on() {
    let file =
        |options: &str| format!("{AUDIT}[sink.queue]\nkind = 'none'\nbuffer = '1MiB'\n{options}");
    let lines = Lines::default();
    let queue = lines.clone();
    let program = Program::start_with(&file(""), |builder| builder.record_sink("queue", queue));
    program.log(|| info!("one"));
    program.reload(&file("enabled = false\n")).unwrap();
    program.log(|| info!("two"));
    program.reload(&file("")).unwrap();
    program.log(|| info!("three"));
    assert!(program.telemetry.handle().flush(Duration::from_secs(60)));
    let text = lines.text();
    let logged = ["one", "two", "three"].map(|message| text.contains(message));
    assert_eq!(logged, [true, false, true], "{text}");
}
