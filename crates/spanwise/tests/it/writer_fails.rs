//! Law 5, with the panic hook of the facade: writers that panic, panic while they hold a lock, log,
//! or block.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use spanwise::report::Fault;
use tracing::{info, warn};

/// Fails in a different way each time.
#[derive(Clone, Default)]
struct Hostile(Arc<Mutex<u32>>, Arc<AtomicU32>);

impl io::Write for Hostile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The lock is poisoned after the first panic. A write inside a write would deadlock.
        let mut writes = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        *writes += 1;
        match *writes % 3 {
            0 => {
                info!("logged by the writer itself");
                self.1.fetch_add(1, Ordering::Relaxed);
                Ok(line.len())
            }
            1 => panic!("a writer that panics"),
            _ => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn failing_writer_loses_only_its_lines() {
    alone!();
    crate::support::bounded(|| {
        let hostile = Hostile::default();
        let writer = hostile.clone();
        let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
            .with_writer(move || writer.clone())
            .init()
            .unwrap();
        for n in 0..9 {
            warn!(n, "m");
        }
        assert_eq!(hostile.1.load(Ordering::Relaxed), 3);
        let report = telemetry.shutdown(Duration::from_secs(1));
        // Three of nine lines were delivered, and none of the writer's three lines.
        assert_eq!((report.delivered, report.lost), (3, 9));
    });
}

/// Waits for a lock at each write.
#[derive(Clone, Default)]
struct Blocked(Arc<Mutex<()>>);

impl io::Write for Blocked {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        drop(self.0.lock().unwrap());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn shutdown_waits_once_for_a_blocked_writer() {
    alone!();
    let blocked = Blocked::default();
    let writer = blocked.clone();
    let telemetry = spanwise::Builder::new(spanwise::Preset::Prod)
        .sampler("info=first:1")
        .with_writer(move || writer.clone())
        .init()
        .unwrap();
    for _ in 0..2 {
        info!("of one callsite");
        info!("of another callsite");
    }
    let handle = telemetry.handle();
    let is_blocked = blocked.0.lock().unwrap();
    telemetry.shutdown(Duration::from_millis(1));
    let faults = handle.stats().faults;
    let lost = faults.iter().find(|(fault, _)| *fault == Fault::Lost);
    assert_eq!(lost, Some(&(Fault::Lost, 1)));
    drop(is_blocked);
}
