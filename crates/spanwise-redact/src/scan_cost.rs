//! A counter of the bytes that the scanner reads.
//!
//! The tests prove with this counter that the time to scan a text is linear in its length. A clock
//! cannot prove it, because other processes use the machine, too. Each loop of the scanner reports
//! the bytes that it reads. The tests check the sum for a text of 4 KiB, and compare the sums for
//! texts of 8 KiB and of 64 KiB. Outside of unit tests, [`add`] does nothing.

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
