//! The name of the executable.
//!
//! It is the default of `SERVICE_NAME`, and suggests the default of `LOG_OWN`, if no macro of this
//! crate has provided the name of the application's crate.

use std::{
    env::{self, consts::EXE_SUFFIX},
    path::Path,
};

/// The name of the executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProgramName {
    name: String,
}

impl ProgramName {
    pub(crate) fn current() -> Self {
        // If the system cannot return the path, use the first argument.
        let path = env::current_exe().ok();
        let path = path.or_else(|| env::args_os().next().map(Into::into));
        path.map(|path| Self::from_path(&path)).unwrap_or_default()
    }

    fn from_path(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Linux appends this to the path of a file that was deleted or replaced after the start.
        let name = name.strip_suffix(" (deleted)").unwrap_or(&name);
        let name = name.strip_suffix(EXE_SUFFIX).unwrap_or(name);
        let is_in_deps = path
            .parent()
            .and_then(Path::file_name)
            .is_some_and(|folder| folder == "deps");
        let name = if is_in_deps { without_hash(name) } else { name };
        if name.is_empty() {
            Self::default()
        } else {
            Self {
                name: name.to_owned(),
            }
        }
    }

    /// Returns the file name, without `.exe` and without the hash of a test binary: `shop-1.4.2`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the target of events of the application's crate, if the file name suggests one:
    /// `shop`.
    ///
    /// A file name often consists of the crate, a version and a platform: `shop-1.4.2-linux-amd64`.
    pub(crate) fn own_target(&self) -> Option<String> {
        let is_version = |word: &str| {
            let number = word.strip_prefix('v').unwrap_or(word);
            number.starts_with(|c: char| c.is_ascii_digit())
        };
        // The crate name ends before a version, a platform or an extension. The first word always
        // belongs to it.
        let mut words = Vec::new();
        for word in self.name.split('-') {
            let (word, extension) = word.split_once('.').unwrap_or((word, ""));
            if !words.is_empty() && (is_version(word) || is_platform(word)) {
                break;
            }
            words.push(word);
            if !extension.is_empty() {
                break;
            }
        }
        let target = without_version(&words.join("_")).to_owned();
        let is_crate_name = !target.starts_with(|c: char| c.is_numeric())
            && target.contains(char::is_alphabetic)
            && target.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_crate_name.then_some(target)
    }
}

impl Default for ProgramName {
    fn default() -> Self {
        Self {
            name: "unknown".to_owned(),
        }
    }
}

/// Removes the hash that cargo appends to the name of a test binary: `shop-0123456789abcdef`.
fn without_hash(file_name: &str) -> &str {
    match file_name.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.chars().all(|c| c.is_ascii_hexdigit()) => {
            name
        }
        _ => file_name,
    }
}

/// Removes a number at the end: `shop_1`, the part of `shop_1.4.2` before the dot, becomes `shop`.
/// Keeps `shop_v2`, which is a plausible crate name.
fn without_version(name: &str) -> &str {
    match name.rsplit_once('_') {
        Some((name, number)) if !name.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => {
            name
        }
        _ => name,
    }
}

/// Returns whether `word` is a part of a target triple, or of the platform in a release name.
fn is_platform(word: &str) -> bool {
    const WORDS: &str = "linux darwin macos apple windows win32 win64 freebsd musl gnu static \
                         amd64 arm64 armv7 aarch64 riscv64gc i686 x86 x64 x86_64 unknown";
    let mut words = WORDS.split(' ');
    words.any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A unit test, because an integration test cannot choose the name of its executable.
    #[test]
    fn names_and_targets_of_files() {
        for (path, name, target) in [
            ("/usr/bin/shop", "shop", Some("shop")),
            ("/usr/bin/shop-api", "shop-api", Some("shop_api")),
            ("/usr/bin/shop_api", "shop_api", Some("shop_api")),
            ("/opt/shop-1.4.2", "shop-1.4.2", Some("shop")),
            ("/opt/shop-api-1.4.2", "shop-api-1.4.2", Some("shop_api")),
            ("/opt/shop-v1.4.2-rc.1", "shop-v1.4.2-rc.1", Some("shop")),
            ("/opt/shop_1.4.2", "shop_1.4.2", Some("shop")),
            ("/opt/shop.1.4.2", "shop.1.4.2", Some("shop")),
            ("/opt/shop-20261128", "shop-20261128", Some("shop")),
            ("/opt/shop.new", "shop.new", Some("shop")),
            ("/opt/shop-api.bin", "shop-api.bin", Some("shop_api")),
            ("/opt/shop-linux.bin", "shop-linux.bin", Some("shop")),
            ("/opt/shop (deleted)", "shop", Some("shop")),
            ("/opt/shop-1.4.2 (deleted)", "shop-1.4.2", Some("shop")),
            (
                "/opt/shop-1.4.2-x86_64-unknown-linux-gnu",
                "shop-1.4.2-x86_64-unknown-linux-gnu",
                Some("shop"),
            ),
            ("/opt/shop-linux-amd64", "shop-linux-amd64", Some("shop")),
            ("/opt/shop-v2", "shop-v2", Some("shop")),
            ("/opt/h2load", "h2load", Some("h2load")),
            ("/opt/7zip", "7zip", None),
            ("/opt/my shop", "my shop", None),
            ("/opt/größe", "größe", Some("größe")),
            ("/t/deps/shop-0123456789abcdef", "shop", Some("shop")),
            (
                "/opt/shop-0123456789abcdef",
                "shop-0123456789abcdef",
                Some("shop"),
            ),
            ("/opt/-", "-", None),
            ("/", "unknown", Some("unknown")),
        ] {
            let program = ProgramName::from_path(Path::new(path));
            assert_eq!(program.name(), name, "{path}");
            assert_eq!(program.own_target().as_deref(), target, "{path}");
        }
    }
}
