//! Records in a file that somebody deleted while it was written.

use std::{fs::File, io};

use super::{current::Current, fs};

/// What was written to a file that has no name any more, since it was last seen at its path.
#[derive(Debug)]
pub(super) struct Salvage {
    /// Closed as soon as all is read, so that the disk gets its room back.
    file: Option<File>,
    from: u64,
    to: u64,
    /// Read, and not yet written again.
    bytes: Vec<u8>,
}

impl Salvage {
    /// `None` if all of it was safe when it was last seen.
    pub(super) fn of(deleted: Current) -> io::Result<Option<Self>> {
        let length = deleted.file.metadata()?.len();
        // Cut, and then deleted: what is in it was written since.
        let was_cut = length < deleted.length;
        let from = if was_cut { 0 } else { deleted.safe.min(length) };
        let mut salvage = Self {
            file: Some(deleted.file),
            from,
            to: length,
            bytes: Vec::new(),
        };
        salvage.read(HELD)?;
        Ok((!salvage.bytes.is_empty()).then_some(salvage))
    }

    /// How many bytes are still to be written again.
    pub(super) fn left(&self) -> u64 {
        self.bytes.len() as u64 + (self.to - self.from)
    }

    /// The next whole lines, and where each ends; none if nothing is left.
    pub(super) fn lines(&mut self) -> io::Result<(&[u8], Vec<usize>)> {
        let mut ends = Vec::new();
        loop {
            let bytes = self.bytes.iter().enumerate();
            ends.extend(
                bytes
                    .filter(|(_, byte)| **byte == b'\n')
                    .map(|(index, _)| index + 1),
            );
            if self.file.is_none() {
                if !self.bytes.is_empty() && ends.last() != Some(&self.bytes.len()) {
                    ends.push(self.bytes.len());
                }
                break;
            }
            if !ends.is_empty() {
                break;
            }
            self.read(STEP)?;
        }
        Ok((&self.bytes, ends))
    }

    /// The first `bytes` are written again.
    pub(super) fn written(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
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
const HELD: u64 = 1024 * 1024;
const STEP: u64 = 64 * 1024;
