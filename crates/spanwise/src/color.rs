//! Whether lines for people have colours.

use std::fmt;

/// The choice for the output of lines; files have none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ColorChoice {
    /// If the output is a terminal.
    #[default]
    Auto,
    Always,
    Never,
}

impl ColorChoice {
    pub(crate) const NAMED: [(&str, Self); 3] = [
        (Self::Auto.name(), Self::Auto),
        (Self::Always.name(), Self::Always),
        (Self::Never.name(), Self::Never),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    pub(crate) fn applies(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

impl fmt::Display for ColorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
