//! Helpers of the tests.

pub mod receiver;
pub mod records;
pub mod traces;
