//! A counter of the bytes that the scanner reads.
//!
//! A clock cannot prove linear time, because other processes use the machine, too. Each loop of the
//! scanner reports its bytes here. The tests check the sum for a text of 4 KiB, and compare the
//! sums for texts of 8 KiB and of 64 KiB. Without tests the function is empty.

/// Reports that `count` bytes are read.
#[inline]
pub(crate) fn add(count: usize) {
    #[cfg(test)]
    tests::count(count);
    #[cfg(not(test))]
    let _ = count;
}

#[cfg(test)]
mod tests;
