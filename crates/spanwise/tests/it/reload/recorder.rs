//! What the flight recorder has buffered before a reload.

use super::{AUDIT, MAIN, Program};
use tracing::{debug, error, info_span};

const HEADER: &str = "flight recorder: buffered events of this request follow";

#[test]
fn recorder_goes_on() {
    let file = format!("{MAIN}[recorder]\ncapture = 'debug'\n");
    let program = Program::start(&file);
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!("buffered");
        program.reload(&format!("{file}{AUDIT}")).unwrap();
        error!("failed");
    });

    assert_eq!(program.messages("main"), [HEADER, "buffered", "failed"]);
    assert!(program.messages("audit").contains(&"failed".to_owned()));
}

#[test]
fn unit_is_dumped_on_request() {
    let program = Program::start(&format!("{MAIN}[recorder]\ncapture = 'debug'\n"));
    program.log(|| {
        {
            let _job = info_span!("job").entered();
            debug!("requested");
            assert!(spanwise::record::dump_current_unit());
        }
        let _job = info_span!("job").entered();
        debug!("cancelled");
        drop(spanwise::record::CancellationGuard::new());
    });
    let messages = program.messages("main");
    assert_eq!(messages, [HEADER, "requested", HEADER, "cancelled"]);
}

#[test]
fn buffered_lines_reach_a_sink_with_another_buffer() {
    let file = format!("[recorder]\ncapture = 'debug'\n{MAIN}");
    let program = Program::start(&file);
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!("buffered");
        program.reload(&format!("{file}buffer = '1MiB'\n")).unwrap();
        error!("failed");
    });
    assert_eq!(program.messages("main"), [HEADER, "buffered", "failed"]);
}

#[test]
fn buffered_lines_of_a_removed_sink_reach_no_other() {
    let app = format!("{MAIN}[recorder]\ncapture = 'debug'\n[root]\nsinks = ['app']\n");
    let program = Program::start(&format!(
        "{app}[route.secret]\nsinks = ['audit']\nexclusive = true\n{AUDIT}"
    ));
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!(target: "secret", "buffered");
        program.reload(&app).unwrap();
        let other = AUDIT.replace("audit", "other");
        let file = format!("{app}[route.shop]\nsinks = ['other']\n{other}");
        program.reload(&file).unwrap();
        error!("failed");
    });
    let lines = format!("{:?}", program.lines());
    assert!(!lines.contains("\"buffered\""), "{lines}");
}

#[test]
fn buffered_lines_reach_a_renamed_sink() {
    let file = format!("[recorder]\ncapture = 'debug'\n{MAIN}");
    let program = Program::start(&file);
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!("buffered");
        let renamed = file.replace("sink.app", "sink.shop");
        program.reload(&renamed).unwrap();
        debug!("buffered later");
        // The former name becomes that of another sink, which gets no line from before.
        let audit = AUDIT.replace("sink.audit", "sink.app");
        program.reload(&format!("{renamed}{audit}")).unwrap();
        error!("failed");
    });
    let messages = program.messages("main");
    assert_eq!(messages, [HEADER, "buffered", "buffered later", "failed"]);
    assert!(!program.messages("audit").contains(&"buffered".to_owned()));
    let stats = program.telemetry.handle().recorder_stats();
    assert_eq!((stats.written, stats.failed), (2, 0));
}

#[test]
fn buffered_lines_reach_a_renamed_sink_for_people() {
    let file = format!("[recorder]\ncapture = 'debug'\n{MAIN}format = 'pretty'\n");
    let program = Program::start(&file);
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!("buffered");
        let renamed = file.replace("sink.app", "sink.shop");
        program.reload(&renamed).unwrap();
        // The former name becomes that of another sink, which has lines of its own.
        let audit = AUDIT.replace("sink.audit", "sink.app");
        let both = format!("{renamed}{audit}format = 'pretty'\n");
        program.reload(&both).unwrap();
        error!("failed");
    });
    let text = program.text("main.log");
    let line = "DEBUG it::reload::recorder buffered ";
    assert!(text.contains(line), "{text}");
    // The lines still know the span.
    assert!(text.contains(" failed | request\n"), "{text}");
    let audit = program.text("audit.log");
    assert!(!audit.contains(line), "{audit}");
}

#[test]
fn renamed_sinks_of_one_stream_stay_apart() {
    let file = "[recorder]\ncapture = 'debug'\n\
                [sink.one]\nkind = 'stderr'\nformat = 'json'\n\
                [sink.two]\nkind = 'stderr'\nformat = 'json'\nlevel = 'off'\n";
    let program = Program::start(file);
    let renamed = file.replace("one", "first").replace("two", "second");
    program.reload(&renamed).unwrap();
    let before = program.delivered("first");
    program.log(|| error!("failed"));
    assert_eq!(program.delivered("first"), before + 1);
    assert_eq!(program.delivered("second"), 0);
}

#[test]
fn buffered_lines_of_a_removed_sink_count_as_failed() {
    let audit = format!("{AUDIT}level = 'debug'\n");
    let app = format!("{MAIN}[recorder]\ncapture = 'debug'\n[root]\nsinks = ['app']\n");
    let program = Program::start(&format!(
        "{app}[route.secret]\nsinks = ['audit']\nexclusive = true\n{audit}"
    ));
    program.log(|| {
        let _request = info_span!("request").entered();
        debug!(target: "secret", "buffered");
        debug!("buffered too");
        program.reload(&app).unwrap();
        error!("failed");
    });
    assert_eq!(program.messages("main"), [HEADER, "buffered too", "failed"]);
    let stats = program.telemetry.handle().recorder_stats();
    assert_eq!((stats.written, stats.failed), (1, 1), "{stats}");
}
