//! Recovers the records of a file that was deleted while it was in use, because the open file can
//! still be read.

use std::{fs::File, io};

use super::{active_file::ActiveFile, fs};

/// The end of a deleted file: the records that were written since the last check of its path.
#[derive(Debug)]
pub(super) struct DeletedFileTail {
    /// `None` after the last read: the file is closed, so that the disk frees its space.
    file: Option<File>,
    /// The offset in the file at which the next read starts.
    next_offset: u64,
    /// The offset in the file at which the last read ends.
    end_offset: u64,
    /// Bytes that were read and not yet rewritten.
    unwritten: Vec<u8>,
    /// This many bytes at the start of `unwritten` are known to have no newline.
    newline_free_len: usize,
    /// The number of bytes that were searched for a newline.
    #[cfg(test)]
    searched_bytes: usize,
}

/// The maximum length of the first read in bytes. If the tail is not longer, the file is closed
/// immediately, which may free the space that the rewrite needs.
const INITIAL_READ_LEN: u64 = 1024 * 1024;
/// The maximum length of each later read in bytes.
const READ_LEN: u64 = 64 * 1024;

/// A line that is longer than this many bytes is written in pieces, so that the memory is bounded.
const MAX_PIECE_LEN: usize = if cfg!(test) { 1 } else { 16 } * 1024 * 1024;

impl DeletedFileTail {
    /// Begins to read the tail. Returns `None` if no record was written since the last check.
    pub(super) fn from_deleted(deleted: ActiveFile) -> io::Result<Option<Self>> {
        let len = deleted.file.metadata()?.len();
        // If the file was truncated before it was deleted, all its bytes are new.
        let was_truncated = len < deleted.len;
        let next_offset = if was_truncated {
            0
        } else {
            deleted.verified_len.min(len)
        };
        let mut tail = Self {
            file: Some(deleted.file),
            next_offset,
            end_offset: len,
            unwritten: Vec::new(),
            newline_free_len: 0,
            #[cfg(test)]
            searched_bytes: 0,
        };
        tail.read(INITIAL_READ_LEN)?;
        Ok((!tail.unwritten.is_empty()).then_some(tail))
    }

    /// Returns the number of bytes that must still be rewritten.
    pub(super) fn remaining_len(&self) -> u64 {
        self.unwritten.len() as u64 + (self.end_offset - self.next_offset)
    }

    /// Returns the next bytes to rewrite, and the offset in them at which each line ends. The end
    /// of the file also ends a line. If there is no offset, no line remains. A line longer than
    /// [`MAX_PIECE_LEN`] is returned in pieces.
    pub(super) fn next_lines(&mut self) -> io::Result<(&[u8], Vec<usize>)> {
        loop {
            let mut ends = self.line_ends();
            let len = self.unwritten.len();
            let is_at_end = self.file.is_none();
            let is_piece = ends.is_empty() && len >= MAX_PIECE_LEN;
            if is_piece || is_at_end && len > 0 && ends.last() != Some(&len) {
                ends.push(len);
            }
            if is_at_end || !ends.is_empty() {
                return Ok((&self.unwritten, ends));
            }
            self.read(READ_LEN)?;
        }
    }

    /// Returns the offset of the end of each line in `unwritten`.
    fn line_ends(&mut self) -> Vec<usize> {
        let unsearched = self
            .unwritten
            .iter()
            .enumerate()
            .skip(self.newline_free_len);
        let ends: Vec<usize> = unsearched
            .filter(|(_, byte)| **byte == b'\n')
            .map(|(index, _)| index + 1)
            .collect();
        #[cfg(test)]
        {
            self.searched_bytes += self.unwritten.len() - self.newline_free_len;
        }
        // Bytes with newlines may be searched again, because the write of their lines may fail.
        if ends.is_empty() {
            self.newline_free_len = self.unwritten.len();
        }
        ends
    }

    /// Removes the first `len` bytes of `unwritten`, after they were rewritten.
    pub(super) fn remove_written(&mut self, len: usize) {
        self.unwritten.drain(..len);
        self.newline_free_len = self.newline_free_len.saturating_sub(len);
    }

    /// Reads up to `max` more bytes.
    fn read(&mut self, max: u64) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let wanted = self.end_offset.saturating_sub(self.next_offset).min(max);
        let mut filled = self.unwritten.len();
        self.unwritten.resize(filled + wanted as usize, 0);
        while filled < self.unwritten.len() {
            match fs::read_at(file, &mut self.unwritten[filled..], self.next_offset) {
                Ok(0) => {
                    self.end_offset = self.next_offset;
                    self.unwritten.truncate(filled);
                }
                Ok(count) => {
                    filled += count;
                    self.next_offset += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.unwritten.truncate(filled);
                    return Err(error);
                }
            }
        }
        if self.next_offset >= self.end_offset {
            self.file = None;
        }
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Write as _, os::unix::fs::FileExt as _};

    use super::*;

    fn tail_of(file: File, len: usize) -> DeletedFileTail {
        DeletedFileTail {
            file: Some(file),
            next_offset: 0,
            end_offset: len as u64,
            unwritten: Vec::new(),
            newline_free_len: 0,
            searched_bytes: 0,
        }
    }

    #[test]
    fn line_after_a_long_one_stays_whole() {
        // The read that reaches the maximum ends within the second line.
        let lines = [MAX_PIECE_LEN - 10, 100].map(|len| "x".repeat(len) + "\n");
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(lines.concat().as_bytes()).unwrap();
        let mut tail = tail_of(file, lines.concat().len());
        for line in lines {
            let (bytes, ends) = tail.next_lines().unwrap();
            assert!(bytes.starts_with(line.as_bytes()));
            assert_eq!(ends, [line.len()]);
            tail.remove_written(line.len());
        }
        assert_eq!(tail.remaining_len(), 0);
    }

    #[test]
    fn long_lines_are_searched_in_linear_work() {
        const LENGTH: usize = 5 * 1024 * 1024 / 2;
        let mut file = tempfile::tempfile().unwrap();
        file.set_len(LENGTH as u64).unwrap();
        file.write_all(b"first\n").unwrap();
        file.write_all_at(b"\nlast", LENGTH as u64 - 5).unwrap();
        let mut tail = tail_of(file, LENGTH);
        let (mut written, mut max_held) = (0, 0);
        let mut pieces = Vec::new();
        loop {
            let (bytes, ends) = tail.next_lines().unwrap();
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
        assert!(
            tail.searched_bytes <= 2 * LENGTH,
            "{} bytes were searched",
            tail.searched_bytes
        );
        assert_eq!(pieces.iter().sum::<usize>(), 5);
    }
}
