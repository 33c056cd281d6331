//! The thread that writes.

use std::{io, sync::Arc, thread};

use spanwise_core::internal::panic_safe;

use super::{
    buffer::Chunk,
    line_queue::{LineQueue, Next, Role},
    loss_events::LossEvent,
};

pub(crate) fn spawn(queue: &Arc<LineQueue>) -> io::Result<()> {
    let queue = Arc::clone(queue);
    // Fifteen bytes are what Linux shows of a name.
    let name = "spanwise-writer".to_owned();
    thread::Builder::new().name(name).spawn(move || {
        let in_role = Role::Worker.enter();
        run(&queue);
        // To let go of the last handle may write what callers left, which waits.
        drop(in_role);
        drop(queue);
    })?;
    Ok(())
}

fn run(queue: &Arc<LineQueue>) {
    loop {
        match queue.next() {
            Next::Write { chunk, epoch } => write(queue, chunk, epoch),
            Next::Tell(event) => log(queue, event),
            Next::Finish => {
                queue.finish_sink();
                queue.end_turn(None);
            }
            Next::End => return,
        }
    }
}

/// Logs a notice on a thread of its own: it goes through anybody's layers, and one of them may hold a lock while it waits for this
/// thread to make room.
fn log(queue: &Arc<LineQueue>, event: LossEvent) {
    let logging = Arc::clone(queue);
    let name = "spanwise-notice".to_owned();
    let logs = thread::Builder::new().name(name).spawn(move || {
        let _ = panic_safe::catch_panic(|| event.log(&logging.options.name));
        logging.told();
    });
    if logs.is_err() {
        queue.told();
    }
}

fn write(queue: &LineQueue, mut chunk: Chunk, epoch: u64) {
    loop {
        let records = chunk.records();
        let attempt = queue.attempt(records, &queue.stop);
        let done = attempt.done();
        let (bytes, left) = (records.start_of(done), records.len() - done);
        if !queue.stop.is_set() {
            queue.report_refusal(&attempt, left);
        }
        let is_refused = attempt.error.is_some();
        let goes_on = queue.settle_chunk(epoch, bytes, attempt, left);
        chunk.remove_front(done);
        if !goes_on {
            return queue.end_turn(Some((chunk, epoch)));
        }
        if is_refused && !queue.wait_for_retry(epoch) {
            return;
        }
    }
}
