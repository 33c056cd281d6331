//! Length limits for names and paths. A shortened name ends with a hash, so that different names
//! stay different.

use std::borrow::Cow;

use crate::escape;

/// Returns the name of a field, span, target or thread. If it takes more than [`MAX_NAME_LEN`]
/// bytes of a line, returns its start, `…` and a hash of the whole name.
pub(crate) fn limit_name(name: &str) -> Cow<'_, str> {
    limit_name_with(name, "…")
}

/// Like [`limit_name`], with a mark of at most three bytes in place of `…`.
pub(crate) fn limit_name_with<'n>(name: &'n str, mark: &str) -> Cow<'n, str> {
    if fits(name, MAX_NAME_LEN) {
        return Cow::Borrowed(name);
    }
    // Three bytes for the mark, and sixteen for the hash.
    let start = &name[..prefix_len(name.chars(), MAX_NAME_LEN - 19)];
    Cow::Owned(format!("{start}{mark}{:016x}", fingerprint(name)))
}

/// Returns the path of a source file. If it takes more than [`MAX_PATH_LEN`] bytes of a line,
/// returns `…` and its end.
pub(crate) fn limit_path(path: &str) -> Cow<'_, str> {
    if fits(path, MAX_PATH_LEN) {
        return Cow::Borrowed(path);
    }
    // Three bytes for `…`.
    let end_start = path.len() - prefix_len(path.chars().rev(), MAX_PATH_LEN - 3);
    Cow::Owned(format!("…{}", &path[end_start..]))
}

/// Returns whether a name or path takes at most `max` bytes of a line, where it is escaped.
fn fits(name: &str, max: usize) -> bool {
    // A byte takes at most six bytes when escaped.
    name.len() <= max / 6 || (name.len() <= max && escaped_len(name) <= max)
}

fn escaped_len(text: &str) -> usize {
    escape::quoted(text).len() - "\"\"".len()
}

/// Returns how many bytes the first of `chars` have that together take at most `max` bytes of a
/// line, where they are escaped.
fn prefix_len(chars: impl Iterator<Item = char>, max: usize) -> usize {
    let (mut prefix_len, mut room) = (0, max);
    for character in chars {
        let escaped_len = escaped_len(character.encode_utf8(&mut [0; 4]));
        if escaped_len > room {
            break;
        }
        room -= escaped_len;
        prefix_len += character.len_utf8();
    }
    prefix_len
}

/// Returns the FNV-1a hash, which is the same in every build.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The maximum length of the name of a field, span, target or thread in a line, in bytes.
const MAX_NAME_LEN: usize = 256;

/// The maximum length of the path of a source file in a line, in bytes.
const MAX_PATH_LEN: usize = 1024;
