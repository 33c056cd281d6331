//! Prepared lines, and the lines in the files.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::read::MultiGzDecoder;

/// The number of different lines. They are longer than the window of gzip, which has 32 KiB, so it
/// does not find a whole line again.
const COUNT: u64 = 256;

/// Returns lines of about 300 bytes, like those of a JSON layer.
pub(crate) fn prepared() -> Vec<Vec<u8>> {
    let mut random: u64 = 88_172_645_463_325_252;
    let mut random = move || {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    (0..COUNT)
        .map(|index| {
            format!(
                "{{\"timestamp\":\"2026-11-20T10:46:{:02}.{:06}Z\",\"level\":\"INFO\",\"target\":\"shop::orders\",\
                 \"message\":\"order placed\",\"order_number\":{},\"amount\":{}.{:02},\"express\":{},\
                 \"customer\":\"customer-{:04}@example.io\",\"route\":\"/v1/orders\",\"request_id\":\"{:016x}{:016x}\",\
                 \"elapsed_ms\":{}.{:03},\"span\":\"request\"}}\n",
                index / 6 % 60,
                random() % 1_000_000,
                random() % 1_000_000,
                random() % 1_000,
                random() % 100,
                random().is_multiple_of(2),
                random() % 10_000,
                random(),
                random(),
                random() % 100,
                random() % 1_000,
            )
            .into_bytes()
        })
        .collect()
}

/// The contents of the files in a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// The number of compressed files.
    pub(crate) compressed_files: u64,
    /// The number of other files.
    pub(crate) plain_files: u64,
}

/// Reads all files of a directory, except hidden files and files that are being compressed.
pub(crate) fn found(directory: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name.ends_with(".tmp") {
            continue;
        }
        let file = File::open(&path)?;
        if name.ends_with(".gz") {
            found.compressed_files += 1;
            found.read(MultiGzDecoder::new(file))
        } else {
            found.plain_files += 1;
            found.read(file)
        }
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    }
    Ok(found)
}

impl Found {
    fn read(&mut self, file: impl Read) -> io::Result<()> {
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        loop {
            line.clear();
            if file.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            if !(line.starts_with(b"{") && line.ends_with(b"}\n")) {
                let line = String::from_utf8_lossy(&line);
                return Err(io::Error::other(format!("not a whole line: {line}")));
            }
            self.lines += 1;
            self.bytes += line.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepared_lines_have_about_300_bytes() {
        let lines = prepared();
        let bytes: usize = lines.iter().map(Vec::len).sum();
        let mean = bytes / lines.len();
        assert!((295..=305).contains(&mean), "{mean}");
    }

    #[test]
    fn finds_cut_line() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cut.log"), "{\"one\":1}\n{\"two\":").unwrap();
        let error = found(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("not a whole line: {\"two\":"), "{error}");
    }
}
