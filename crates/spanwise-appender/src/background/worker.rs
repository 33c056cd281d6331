//! The thread that writes.

use std::{io, sync::Arc, thread};

use spanwise_core::panic_safe;

use super::{
    buffer::Chunk,
    notice::Notice,
    shared::{Next, Role, Shared},
};

pub(crate) fn spawn(shared: &Arc<Shared>) -> io::Result<()> {
    let shared = Arc::clone(shared);
    // Fifteen bytes are what Linux shows of a name.
    let name = "spanwise-writer".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        let in_role = Role::Worker.enter();
        run(&shared);
        // To let go of the last handle may write what callers left, which waits.
        drop(in_role);
        drop(shared);
    })?;
    Ok(())
}

fn run(shared: &Arc<Shared>) {
    loop {
        match shared.next() {
            Next::Write { chunk, epoch } => write(shared, chunk, epoch),
            Next::Tell(notice) => log(shared, notice),
            Next::Finish => {
                shared.finish_sink();
                shared.end_turn(None);
            }
            Next::End => return,
        }
    }
}

/// Logs a notice on a thread of its own: it goes through anybody's layers, and one of them may hold a lock while it waits for this
/// thread to make room.
fn log(shared: &Arc<Shared>, notice: Notice) {
    let logging = Arc::clone(shared);
    let name = "spanwise-notice".to_owned();
    let logs = thread::Builder::new().name(name).spawn(move || {
        let _ = panic_safe::catch_panic(|| notice.log(&logging.options.name));
        logging.told();
    });
    if logs.is_err() {
        shared.told();
    }
}

fn write(shared: &Shared, mut chunk: Chunk, epoch: u64) {
    loop {
        let records = chunk.records();
        let attempt = shared.attempt(records, &shared.stop);
        let done = attempt.done();
        let (bytes, left) = (records.start_of(done), records.ends.len() - done);
        if !shared.stop.is_set() {
            shared.report_refusal(&attempt, left);
        }
        let is_refused = attempt.refusal.is_some();
        let goes_on = shared.settle_of(epoch, bytes, attempt, left);
        chunk.remove_front(done);
        if !goes_on {
            return shared.end_turn(Some((chunk, epoch)));
        }
        if is_refused && !shared.back_off(epoch) {
            return;
        }
    }
}
