//! The setting `LOG_COLOR`, which decides when human-readable lines are coloured.

/// Whether `pretty`, `compact` and `short` are coloured in the output. Files are never coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Color {
    /// Coloured if the output is a terminal. `NO_COLOR`, `FORCE_COLOR`, `CLICOLOR_FORCE` and
    /// `TERM=dumb` override this.
    #[default]
    Auto,
    /// Coloured even if the output is not a terminal, such as under `docker compose`.
    Always,
    /// Not coloured.
    Never,
}

impl Color {
    /// Returns whether lines are coloured. `is_terminal` is whether the output is a terminal.
    pub(crate) fn applies(self, is_terminal: bool) -> bool {
        match self {
            Self::Auto => is_terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

crate::named::named!(Color: Auto = "auto", Always = "always", Never = "never");
