//! The samplers of sinks.

use super::{AUDIT, MAIN, Program};
use tracing::info;

#[test]
fn samplers_of_sinks_change() {
    let file = format!("{MAIN}{AUDIT}sample = 'info=first:1/1h'\n");
    let often = || (0..10).for_each(|_| info!("often"));
    let from_the_start = Program::start(&file);
    from_the_start.log(often);
    let program = Program::start(MAIN);
    program.reload(&file).unwrap();
    program.log(often);
    for sink in ["main", "audit"] {
        assert_eq!(program.messages(sink), from_the_start.messages(sink));
    }
    let is_often = |message: &String| message == "often";
    assert_eq!(
        program
            .messages("audit")
            .iter()
            .filter(|it| is_often(it))
            .count(),
        1
    );
}

#[test]
fn removed_sampler_counts_suppressed_events() {
    let program = Program::start(&format!("{MAIN}{AUDIT}sample = 'info=first:1/1h'\n"));
    program.log(|| (0..10).for_each(|_| info!("often")));
    program.reload(&format!("{MAIN}{AUDIT}")).unwrap();
    let lines = program.lines();
    let summary = &lines["audit"][1];
    assert_eq!(summary["message"], "events suppressed");
    assert_eq!(summary["suppressed"], 9);
}

#[test]
fn sampler_of_the_program_changes() {
    let sample = |limit: u32| format!("{MAIN}[sample]\nrules = 'info=first:{limit}/1h'\n");
    let program = Program::start(&sample(1));
    let handle = program.telemetry.handle();
    let often = || (0..10).for_each(|_| info!("often"));
    let shown = || {
        let messages = program.messages("main").into_iter();
        messages.filter(|message| message == "often").count()
    };
    program.log(often);
    assert_eq!(shown(), 1);
    // The same sampler goes on.
    let file = format!("{}{AUDIT}", sample(1));
    program.reload(&file).unwrap();
    program.log(often);
    assert_eq!(shown(), 1);
    program.reload(&sample(2)).unwrap();
    program.log(often);
    assert_eq!(shown(), 3);
    assert_ne!(
        handle.sampler_stats(),
        spanwise::sample::SamplerStats::default()
    );
    program.reload(MAIN).unwrap();
    program.log(often);
    assert_eq!(shown(), 13);
    assert_eq!(
        handle.sampler_stats(),
        spanwise::sample::SamplerStats::default()
    );
}

#[test]
fn sampler_of_a_new_rendering_is_counted() {
    let sample = "[sample]\nrules = 'it=0'\n";
    let program = Program::start(&format!("{MAIN}{sample}"));
    let suppressed = || program.telemetry.handle().sampler_stats().suppressed;
    program.log(|| info!("dropped"));
    assert_eq!(suppressed(), 1);
    program
        .reload(&format!("{MAIN}{AUDIT}format = 'logfmt'\n{sample}"))
        .unwrap();
    // It is dropped once for each format.
    program.log(|| info!("dropped"));
    assert_eq!(suppressed(), 3);
}
