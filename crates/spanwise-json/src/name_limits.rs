//! Length limits for names. Different names stay different.

use std::borrow::Cow;

use crate::escape;

/// Returns the name of a field, span or target. If it takes more than [`MAX_NAME_LEN`] bytes of a
/// line, returns its start, `…` and a hash of the whole name.
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

fn fits(name: &str, max: usize) -> bool {
    // A byte takes at most six bytes when escaped.
    name.len() <= max / 6 || (name.len() <= max && escape::quoted(name).len() - 2 <= max)
}

/// Returns the length of the first characters that together take at most `max` bytes of a line.
fn prefix_len(chars: impl Iterator<Item = char>, max: usize) -> usize {
    let (mut prefix_len, mut room) = (0, max);
    for character in chars {
        let escaped = escape::quoted(character.encode_utf8(&mut [0; 4])).len() - 2;
        if escaped > room {
            break;
        }
        room -= escaped;
        prefix_len += character.len_utf8();
    }
    prefix_len
}

/// FNV-1a: the same in every build.
fn fingerprint(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The maximum length of the name of a field, span, target or thread in a line, in bytes.
const MAX_NAME_LEN: usize = 256;

/// The maximum length of the path of a source file in a line, in bytes.
const MAX_PATH_LEN: usize = 1024;
