//! Law 5, with the panic hook of the facade: writers that panic, panic while they hold a lock, or
//! log.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

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
        let report = telemetry.shutdown(std::time::Duration::from_secs(1));
        // Three of nine lines were delivered, and none of the writer's three lines.
        assert_eq!((report.delivered, report.lost), (3, 9));
    });
}
