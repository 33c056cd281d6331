//! When lines for people have colours.

/// Whether `pretty`, `compact` and `short` have colours in the output. Files never have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Color {
    /// If the output is a terminal, unless `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE` or
    /// `TERM=dumb` is set.
    #[default]
    Auto,
    /// Also where there is no terminal, such as under `docker compose`.
    Always,
    /// Never.
    Never,
}

impl Color {
    pub(crate) fn applies(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

crate::named::named!(Color: Auto = "auto", Always = "always", Never = "never");
