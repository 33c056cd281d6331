//! The contents of a log after faults.
//!
//! A victim is a separate program. It logs records with the number of their thread and a sequence
//! number. A test causes a fault from outside, and counts lost, repeated, partial and reordered
//! records in the output.

mod driver;
mod files;
mod judge;
mod process_end;
mod process_life;
mod record;
mod streams;
