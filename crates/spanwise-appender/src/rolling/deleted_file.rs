//! Recovers the records of a file that was deleted while it was in use.

use std::{fs::File, io};

use super::{active_file::ActiveFile, fs};

/// The end of a deleted file: the records that were written since the last check of its path.
#[derive(Debug)]
pub(super) struct DeletedFileTail {
    /// Closed after the last read, so that the disk frees its space.
    file: Option<File>,
    /// The file is still to be read from this offset, up to the offset `to`.
    from: u64,
    to: u64,
    /// Bytes that were read and not yet rewritten.
    bytes: Vec<u8>,
    /// The first `searched` bytes have no newline.
    searched: usize,
    #[cfg(test)]
    work: usize,
}

/// Up to this many bytes are read at the start. If that is all, the file is closed, which may free
/// the space that the rewrite needs.
const INITIAL_READ_LEN: u64 = 1024 * 1024;
const READ_LEN: u64 = 64 * 1024;

/// A longer line is written in pieces of this many bytes, so that the memory is bounded.
const MAX_PIECE_LEN: usize = if cfg!(test) { 1 } else { 16 } * 1024 * 1024;

impl DeletedFileTail {
    /// Returns `None` if no record was written since the last check.
    pub(super) fn from_deleted(deleted: ActiveFile) -> io::Result<Option<Self>> {
        let len = deleted.file.metadata()?.len();
        // If the file was truncated before it was deleted, all its bytes are new.
        let was_truncated = len < deleted.len;
        let from = if was_truncated {
            0
        } else {
            deleted.verified_len.min(len)
        };
        let mut tail = Self {
            file: Some(deleted.file),
            from,
            to: len,
            bytes: Vec::new(),
            searched: 0,
            #[cfg(test)]
            work: 0,
        };
        tail.read(INITIAL_READ_LEN)?;
        Ok((!tail.bytes.is_empty()).then_some(tail))
    }

    /// Returns the number of bytes that must still be rewritten.
    pub(super) fn left(&self) -> u64 {
        self.bytes.len() as u64 + (self.to - self.from)
    }

    /// Returns bytes, and the end of each line in them. There is no end if no line is left. The end
    /// of the file also ends a line. A line longer than [`MAX_PIECE_LEN`] is returned in pieces.
    pub(super) fn lines(&mut self) -> io::Result<(&[u8], Vec<usize>)> {
        loop {
            let mut ends = self.new_ends();
            let reads_no_further = self.file.is_none() || self.bytes.len() >= MAX_PIECE_LEN;
            let is_empty = self.bytes.is_empty();
            if reads_no_further && !is_empty && ends.last() != Some(&self.bytes.len()) {
                ends.push(self.bytes.len());
            }
            if reads_no_further || !ends.is_empty() {
                return Ok((&self.bytes, ends));
            }
            self.read(READ_LEN)?;
        }
    }

    /// Returns the ends of lines in the bytes that were not searched yet.
    fn new_ends(&mut self) -> Vec<usize> {
        let new = self.bytes.iter().enumerate().skip(self.searched);
        let ends: Vec<usize> = new
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(index, _)| index + 1)
            .collect();
        #[cfg(test)]
        {
            self.work += self.bytes.len() - self.searched;
        }
        // Bytes with a newline are searched again later, because the write of these lines may fail.
        if ends.is_empty() {
            self.searched = self.bytes.len();
        }
        ends
    }

    /// Removes the first `len` bytes, after they were rewritten.
    pub(super) fn remove_written(&mut self, len: usize) {
        self.bytes.drain(..len);
        self.searched = self.searched.saturating_sub(len);
    }

    /// Reads up to `max` more bytes.
    fn read(&mut self, max: u64) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let wanted = self.to.saturating_sub(self.from).min(max);
        let mut filled = self.bytes.len();
        self.bytes.resize(filled + wanted as usize, 0);
        while filled < self.bytes.len() {
            match fs::read_at(file, &mut self.bytes[filled..], self.from) {
                Ok(0) => {
                    self.to = self.from;
                    self.bytes.truncate(filled);
                }
                Ok(count) => {
                    filled += count;
                    self.from += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.truncate(filled);
                    return Err(error);
                }
            }
        }
        if self.from >= self.to {
            self.file = None;
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use super::*;

    #[test]
    fn long_lines_are_searched_in_linear_work() {
        const LENGTH: usize = 5 * 1024 * 1024 / 2;
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(LENGTH as u64).unwrap();
        file.write_all(b"first\n").unwrap();
        file.write_all_at(b"\nlast", LENGTH as u64 - 5).unwrap();
        let mut tail = DeletedFileTail {
            file: Some(file),
            from: 0,
            to: LENGTH as u64,
            bytes: Vec::new(),
            searched: 0,
            work: 0,
        };
        let (mut written, mut max_held) = (0, 0);
        let mut pieces = Vec::new();
        loop {
            let (bytes, ends) = tail.lines().unwrap();
            max_held = max_held.max(bytes.len());
            let Some(last) = ends.last().copied() else {
                break;
            };
            pieces.push(ends.len());
            written += last;
            tail.remove_written(last);
        }
        assert_eq!(written, LENGTH);
        assert!(
            max_held <= MAX_PIECE_LEN + READ_LEN as usize,
            "{max_held} bytes are held"
        );
        // Each byte is searched at most twice: once without a newline, and once in a piece with a
        // newline.
        assert!(tail.work <= 2 * LENGTH, "{} bytes were searched", tail.work);
        assert_eq!(pieces.iter().sum::<usize>(), 5);
    }
}
