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
