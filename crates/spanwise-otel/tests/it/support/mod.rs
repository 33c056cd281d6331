//! Helpers of the tests.

pub mod receiver;
