//! What the log holds after the world misbehaved.
//!
//! A victim, which is a program of its own, logs records that carry the number of their thread and a sequence number; a test does
//! something to it from outside, and counts what is in the output: lost, doubled, torn, out of order.

mod driver;
mod files;
mod judge;
mod process_end;
mod process_life;
mod record;
mod streams;
