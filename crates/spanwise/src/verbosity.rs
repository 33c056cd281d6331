//! The verbosity that `-v` and `-q` on a command line set.

use crate::Builder;

impl Builder {
    /// Sets the verbosity relative to the default: the number of `-v` minus the number of `-q`.
    ///
    /// Each step moves the default levels by one: those of the preset, of
    /// [`default_levels`](Self::default_levels) or of a configuration file. It also moves the
    /// levels that [`levels`](Self::levels) sets. With [`Preset::Cli`](crate::Preset::Cli), 0 is
    /// WARN, 1 is INFO, 2 is DEBUG, 3 is TRACE, -1 is ERROR, and -2 is off. A target that is `off`
    /// stays off.
    ///
    /// The command line overrides `RUST_LOG`: any number except 0 replaces the default level of
    /// `RUST_LOG`. Its directives remain, because they are more specific than `-v`.
    ///
    /// | `RUST_LOG` | 0 | 1 (`-v`) | -1 (`-q`) |
    /// | --- | --- | --- | --- |
    /// | not set | `warn` | `info` | `error` |
    /// | `debug` | `debug` | `info` | `error` |
    /// | `hyper=trace` | `warn,hyper=trace` | `info,hyper=trace` | `error,hyper=trace` |
    ///
    /// ```
    /// use spanwise::{Builder, Preset};
    ///
    /// let (verbose, quiet) = (2, 0);
    /// let builder = Builder::from_vars([("RUST_LOG", "hyper=off")])?
    ///     .preset(Preset::Cli)
    ///     .verbosity(verbose - quiet);
    /// let explanation = builder.explain().to_string();
    /// assert!(explanation.contains("RUST_LOG = debug,hyper=off (verbosity)"));
    /// # Ok::<(), spanwise::InitError>(())
    /// ```
    pub fn verbosity(mut self, steps: i8) -> Self {
        self.verbosity = steps;
        self
    }
}
