//! The writer thread, which runs the jobs of a line queue.

use std::{io, sync::Arc, thread};

use spanwise_core::internal::{panic_safe, reentrancy::WriterRole};

use super::{
    buffer::Chunk,
    line_queue::{Job, LineQueue, ProcessQueue},
    loss_events::LossEvent,
};

pub(crate) fn spawn(queue: Arc<ProcessQueue>) -> io::Result<()> {
    // Linux shows the first 15 bytes of a name.
    let thread = thread::Builder::new().name("spanwise-writer".to_owned());
    thread.spawn(move || {
        let role_guard = WriterRole::Worker.enter();
        run(&queue);
        // Ends the role first, because a thread with this role never waits for a write. If `queue`
        // is the last handle, its drop writes the held lines, and has to wait for that.
        drop(role_guard);
        drop(queue);
    })?;
    Ok(())
}

fn run(process_queue: &Arc<ProcessQueue>) {
    let Some(queue) = process_queue.created_for_this_process() else {
        return;
    };
    loop {
        match queue.next_job() {
            Job::Write { chunk, epoch } => write(queue, chunk, epoch),
            Job::Log(event) => log(process_queue, queue, event),
            Job::Finish => {
                queue.finish_sink();
                queue.end_turn(None);
            }
            Job::End => return,
        }
    }
}

/// Logs an event on another thread. The application's layers handle the event, and one of them may
/// need a lock that a logging thread holds while it waits for the writer thread to make room.
fn log(process_queue: &Arc<ProcessQueue>, queue: &LineQueue, event: LossEvent) {
    let process_queue = Arc::clone(process_queue);
    let log = move || {
        if let Some(queue) = process_queue.created_for_this_process() {
            let _ = panic_safe::catch_panic(|| event.log(&queue.options.name));
            queue.note_loss_event_logged();
        }
    };
    let thread = thread::Builder::new().name("spanwise-notice".to_owned());
    if thread.spawn(log).is_err() {
        queue.note_loss_event_logged();
    }
}

fn write(queue: &LineQueue, mut chunk: Chunk, epoch: u64) {
    loop {
        let attempt = queue.attempt(&mut chunk, &queue.stop);
        if !queue.stop.is_set() {
            queue.report_failure(&attempt);
        }
        let has_failed = attempt.error.is_some();
        if !queue.settle_chunk(epoch, attempt) {
            return queue.end_turn(Some((chunk, epoch)));
        }
        if has_failed && !queue.wait_for_retry(epoch) {
            // The records were abandoned, and this thread does not have the turn.
            return;
        }
    }
}
