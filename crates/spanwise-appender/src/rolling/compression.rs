//! Compression of rolled files.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Write},
    str::FromStr,
};

use spanwise_core::{
    ParseError,
    internal::{TextSetting, suggest::closest},
};

/// The compression of rolled files. A separate thread compresses. Defaults to none.
///
/// ```
/// use spanwise_appender::Compression;
///
/// assert_eq!("none".parse(), Ok(Compression::None));
/// assert_eq!(Compression::Zstd.to_string(), "zstd");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// Gzip: `.gz`. Needs the feature `gzip`.
    Gzip,
    /// Zstandard: `.zst`. Needs the feature `zstd`.
    Zstd,
}

impl Compression {
    const ALL: [Self; 3] = [Self::None, Self::Gzip, Self::Zstd];

    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    const fn is_compiled_in(self) -> bool {
        match self {
            Self::None => true,
            Self::Gzip => cfg!(feature = "gzip"),
            Self::Zstd => cfg!(feature = "zstd"),
        }
    }

    /// Checks that the feature for this compression is enabled.
    pub(super) fn check_compiled_in(self) -> Result<(), ParseError> {
        if self.is_compiled_in() {
            return Ok(());
        }
        let hint = format!("enable the cargo feature `{self}`");
        Err(ParseError::word(self.name(), "is not compiled in", hint))
    }

    /// Compresses all of `from` into `to`. Returns the number of bytes that were read.
    pub(super) fn compress(self, from: &mut impl Read, to: &mut impl Write) -> io::Result<u64> {
        match self {
            Self::None => io::copy(from, to),
            #[cfg(feature = "gzip")]
            Self::Gzip => {
                let mut to = flate2::write::GzEncoder::new(to, flate2::Compression::default());
                let bytes = io::copy(from, &mut to)?;
                to.finish()?;
                Ok(bytes)
            }
            #[cfg(feature = "zstd")]
            Self::Zstd => {
                let mut to =
                    zstd::stream::write::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                to.include_checksum(true)?;
                let bytes = io::copy(from, &mut to)?;
                to.finish()?;
                Ok(bytes)
            }
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns whether `compressed`, once decompressed, has the content of `plain`.
    pub(super) fn has_content_of(self, compressed: File, plain: &mut File) -> io::Result<bool> {
        match self {
            Self::None => has_same_content(compressed, plain),
            #[cfg(feature = "gzip")]
            Self::Gzip => has_same_content(flate2::read::MultiGzDecoder::new(compressed), plain),
            #[cfg(feature = "zstd")]
            Self::Zstd => has_same_content(zstd::stream::read::Decoder::new(compressed)?, plain),
            #[cfg(not(all(feature = "gzip", feature = "zstd")))]
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

// With this trait, setters of `spanwise` also accept the text of a compression, such as "gzip".
impl TextSetting for Compression {}

impl FromStr for Compression {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let word = text.trim();
        let known = Self::ALL
            .into_iter()
            .find(|known| known.name().eq_ignore_ascii_case(word));
        let Some(known) = known else {
            let suggestion = closest(word, Self::ALL.map(Self::name))
                .map(|name| format!("did you mean `{name}`? "));
            let suggestion = suggestion.unwrap_or_default();
            let hint = format!("{suggestion}write one of none, gzip, zstd");
            return Err(ParseError::word(word, "is not a compression", hint));
        };
        known.check_compiled_in()?;
        Ok(known)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn has_same_content(mut one: impl Read, other: &mut impl Read) -> io::Result<bool> {
    let (mut a, mut b) = (vec![0; COMPARE_BLOCK_LEN], vec![0; COMPARE_BLOCK_LEN]);
    loop {
        let (read_a, read_b) = (read_full(&mut one, &mut a)?, read_full(other, &mut b)?);
        if a[..read_a] != b[..read_b] {
            return Ok(false);
        }
        if read_a == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the input ends, and returns the number of bytes.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The length in bytes of the blocks that are read and compared.
const COMPARE_BLOCK_LEN: usize = 64 * 1024;
