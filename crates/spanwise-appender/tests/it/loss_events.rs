//! Events about missing lines. The subscriber is global, because the writer thread logs these
//! events.

use std::time::Duration;

use crate::support::{Does, Steered, alone};
use spanwise_appender::{Background, WhenFull};
use spanwise_core::SelfReport;
use spanwise_testing::support::wait_until;

#[cfg(unix)]
#[test]
fn shed_lines_and_recovered_faults_are_logged() {
    alone(
        module_path!(),
        "shed_lines_and_recovered_faults_are_logged",
        || {
            let writer = Steered::new(Does::Stall);
            let (background, guard) = Background::builder(writer.clone())
                .name("the disk")
                .capacity(10_000)
                .when_full(WhenFull::ShedByLevel(Duration::ZERO))
                .report(&SelfReport::silent())
                .build()
                .unwrap();
            let log = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_max_level(tracing::Level::TRACE)
                .with_writer(background.clone());
            log.init();

            tracing::error!("first");
            writer.wait_until_stalled();
            for _ in 0..1000 {
                tracing::debug!("a line that is dropped when the buffer is half full");
            }
            let shed = background.stats().shed;
            assert!(shed.debug > 0 && shed.total() == shed.debug);
            writer.set(Does::Take);
            let reported = format!(
                r#"the output was behind: lines were dropped output="the disk" shed.error=0 shed.warn=0 shed.info=0 shed.debug={} shed.trace=0 duration_ms="#,
                shed.debug
            );
            wait_until("the log reports it", || writer.text().contains(&reported));

            writer.set(Does::TakeThenFail(0));
            tracing::error!("held, and tried again");
            writer.wait_until_failed();
            writer.set(Does::Take);
            wait_until("the log reports it", || {
                writer.text().contains(
            r#"the output accepts lines again output="the disk" lost=0 error="no storage space" duration_ms="#,
        )
            });

            let report = guard.shutdown(Duration::from_secs(20));
            assert_eq!(report.delivered as usize, writer.lines().len());
            assert_eq!(report.lost, shed.debug);
        },
    );
}
