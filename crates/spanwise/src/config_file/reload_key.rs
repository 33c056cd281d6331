//! The key `reload`, which sets when changed configuration files are applied.

use std::{str::FromStr, time::Duration};

use spanwise_core::{ParseError, internal::parse_duration};

use super::{merge::Merged, reader::FileReader};

/// When changed configuration files are applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Reload {
    /// Never.
    #[default]
    Off,
    /// When [`Handle::reload`](crate::Handle::reload) is called.
    Manual,
    /// When [`Handle::reload`](crate::Handle::reload) is called, or when a comparison at this
    /// interval shows that the files have changed.
    Every(Duration),
    /// When [`Handle::reload`](crate::Handle::reload) is called, or when the process receives
    /// `SIGHUP`.
    #[cfg(all(unix, feature = "sighup"))]
    Sighup,
}

/// The minimum interval between two comparisons of the files.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

impl FromStr for Reload {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text {
            "off" => Ok(Self::Off),
            "manual" => Ok(Self::Manual),
            #[cfg(all(unix, feature = "sighup"))]
            "sighup" => Ok(Self::Sighup),
            #[cfg(all(unix, not(feature = "sighup")))]
            "sighup" => Err(ParseError::new(
                "`sighup` needs the feature `sighup` of `spanwise`: add it, or write `manual`, and \
                 call `Handle::reload` in the handler of the signal",
            )),
            #[cfg(not(unix))]
            "sighup" => Err(ParseError::new(
                "`sighup` needs Unix: write `manual`, or an interval such as `5s`",
            )),
            text => match parse_duration(text) {
                Ok(interval) if interval >= MIN_INTERVAL => Ok(Self::Every(interval)),
                Ok(_) => Err(ParseError::new("the shortest interval is `1s`")),
                Err(_) => Err(ParseError::new(
                    "write off, manual, sighup, or an interval such as `5s`",
                )),
            },
        }
    }
}

impl Merged {
    /// Returns the value of `reload`, or the default if the value is unset or invalid.
    pub(crate) fn reload(&self) -> Reload {
        let text = self.root.get("reload").and_then(super::syntax::Node::text);
        let reload = text.and_then(|text| text.trim().parse().ok());
        reload.unwrap_or_default()
    }
}

impl FileReader<'_, '_> {
    /// Reports an invalid value of `reload`.
    pub(super) fn check_reload(&mut self) {
        let merged = self.merged;
        let _: Option<Reload> = self.parsed(&merged.root, "reload", "", str::parse);
    }

    /// Adds the value of `reload` to `explain()`, if the file sets it.
    pub(super) fn explain_reload(&mut self) {
        if let Some(node) = self.merged.root.get("reload") {
            self.explain_node(node, "reload");
        }
    }
}
