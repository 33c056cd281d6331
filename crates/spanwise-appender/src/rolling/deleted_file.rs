//! Records in a file that somebody deleted while it was written.

use std::{fs::File, io};

use super::{active_file::ActiveFile, fs};

/// What was written to a file that has no name any more, since it was last seen at its path.
#[derive(Debug)]
pub(super) struct DeletedFileTail {
    /// Closed as soon as all is read, so that the disk gets its room back.
    file: Option<File>,
    from: u64,
    to: u64,
    /// Read, and not yet written again.
    bytes: Vec<u8>,
    /// So many of them were searched for the ends of lines, in vain.
    searched: usize,
    #[cfg(test)]
    work: usize,
}

impl DeletedFileTail {
    /// `None` if all of it was safe when it was last seen.
    pub(super) fn from_deleted(deleted: ActiveFile) -> io::Result<Option<Self>> {
        let length = deleted.file.metadata()?.len();
        // Cut, and then deleted: what is in it was written since.
        let was_cut = length < deleted.length;
        let from = if was_cut {
            0
        } else {
            deleted.verified_len.min(length)
        };
        let mut tail = Self {
            file: Some(deleted.file),
            from,
            to: length,
            bytes: Vec::new(),
            searched: 0,
            #[cfg(test)]
            work: 0,
        };
        tail.read(INITIAL_READ_LEN)?;
        Ok((!tail.bytes.is_empty()).then_some(tail))
    }

    /// How many bytes are still to be written again.
    pub(super) fn left(&self) -> u64 {
        self.bytes.len() as u64 + (self.to - self.from)
    }

    /// The next whole lines, and where each ends; none if nothing is left. A line that is longer than what is held of it comes in
    /// pieces.
    pub(super) fn lines(&mut self) -> io::Result<(&[u8], Vec<usize>)> {
        loop {
            let ends = self.new_ends();
            let is_over = self.file.is_none() || self.bytes.len() >= MAX_PIECE;
            if is_over && ends.last() != Some(&self.bytes.len()) && !self.bytes.is_empty() {
                let mut ends = ends;
                ends.push(self.bytes.len());
                return Ok((&self.bytes, ends));
            }
            if is_over || !ends.is_empty() {
                return Ok((&self.bytes, ends));
            }
            self.read(READ_LEN)?;
        }
    }

    /// Where lines end in what was not searched yet.
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
        // What is found is looked for again if it cannot be written.
        if ends.is_empty() {
            self.searched = self.bytes.len();
        }
        ends
    }

    /// The first `bytes` are written again.
    pub(super) fn written(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
        self.searched = self.searched.saturating_sub(bytes);
    }

    fn read(&mut self, most: u64) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let wanted = self.to.saturating_sub(self.from).min(most);
        let mut filled = self.bytes.len();
        self.bytes.resize(filled + wanted as usize, 0);
        while filled < self.bytes.len() {
            match fs::read_at(file, &mut self.bytes[filled..], self.from) {
                Ok(0) => self.to = self.from,
                Ok(read) => {
                    filled += read;
                    self.from += read as u64;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.bytes.truncate(filled);
                    return Err(error);
                }
            }
            self.bytes.truncate(filled);
        }
        if self.from >= self.to {
            self.file = None;
        }
        Ok(())
    }
}

/// Read at once: the file can be closed, which may be what makes room to write this again.
const INITIAL_READ_LEN: u64 = 1024 * 1024;
const READ_LEN: u64 = 64 * 1024;

/// A line without an end is written in pieces of this many bytes, so that a file without one is not held whole.
const MAX_PIECE: usize = if cfg!(test) { 1 } else { 16 } * 1024 * 1024;

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
        let (mut written, mut most) = (0, 0);
        let mut pieces = Vec::new();
        loop {
            let (bytes, ends) = tail.lines().unwrap();
            most = most.max(bytes.len());
            let Some(last) = ends.last().copied() else {
                break;
            };
            pieces.push(ends.len());
            written += last;
            tail.written(last);
        }
        assert_eq!(written, LENGTH);
        assert!(
            most <= MAX_PIECE + READ_LEN as usize,
            "{most} bytes are held"
        );
        // Once to find nothing, and once more in a piece in which something is found.
        assert!(tail.work <= 2 * LENGTH, "{} bytes are searched", tail.work);
        assert_eq!(pieces.iter().sum::<usize>(), 5);
    }
}
