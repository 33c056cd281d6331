//! The definition of one key of a configuration file, which is a row of `KEYS`.

use spanwise_core::Setting;

/// The accepted values of a switch.
pub(super) const SWITCH: &str = "true or false";

/// The definition of a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    /// The path, such as `sink.*.rotate`. A star matches any name.
    pub(super) path: &'static str,
    pub(super) kind: KeyKind,
    /// The accepted values, as the JSON Schema shows them. An error about a value of the wrong kind
    /// shows them only for texts and numbers.
    pub(super) accepts: &'static str,
    pub(super) help: &'static str,
    /// All accepted texts. Empty if they cannot be listed.
    pub(super) words: &'static [&'static str],
    /// The kinds of sinks that have the key. [`Sinks::All`] for a key outside of sinks.
    pub(super) sinks: Sinks,
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Text,
    Integer,
    /// An integer or a float.
    Number,
    Bool,
    /// A list of texts.
    List,
    /// A table with the keys below this path.
    Table,
    /// A table of tables, each with a name that the file chooses.
    NamedTables,
    /// A condition of a filter, which is a table.
    Condition,
}

/// The kinds of sinks that have a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sinks {
    All,
    /// Sinks that write lines.
    Lines,
    /// Sinks that write to stdout or stderr.
    Streams,
    Files,
    Sentry,
    Otlp,
}

impl Sinks {
    pub(super) fn contain(self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Lines => ["stdout", "stderr", "file"].contains(&kind),
            Self::Streams => ["stdout", "stderr"].contains(&kind),
            Self::Files => kind == "file",
            Self::Sentry => kind == "sentry",
            Self::Otlp => kind == "otlp",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "all sinks",
            Self::Lines => "stdout, stderr and file",
            Self::Streams => "stdout and stderr",
            Self::Files => "file",
            Self::Sentry => "sentry",
            Self::Otlp => "otlp",
        }
    }
}

impl Key {
    pub(super) const fn new(
        path: &'static str,
        kind: KeyKind,
        accepts: &'static str,
        help: &'static str,
    ) -> Self {
        Self {
            path,
            kind,
            accepts,
            help,
            words: &[],
            sinks: Sinks::All,
        }
    }

    /// Creates a key at `path` with the help text of a setting. The accepted values are those of
    /// the variable, except for switches and lists, which have their own syntax in a file.
    pub(super) const fn with_texts_of(path: &'static str, kind: KeyKind, def: &Setting) -> Self {
        let accepts = match kind {
            KeyKind::Bool => SWITCH,
            KeyKind::List => "a list of texts",
            _ => def.accepts,
        };
        Self::new(path, kind, accepts, def.help)
    }

    /// Creates the key of a setting, at the path that the setting has in a file.
    pub(super) const fn for_setting(kind: KeyKind, def: &Setting) -> Self {
        match def.key {
            Some(path) => Self::with_texts_of(path, kind, def),
            // This fails the build, because the list of keys is a constant.
            None => panic!("the setting has no key"),
        }
    }

    pub(super) const fn accepts(mut self, accepts: &'static str) -> Self {
        self.accepts = accepts;
        self
    }

    pub(super) const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.words = words;
        self
    }

    pub(super) const fn only_for(mut self, sinks: Sinks) -> Self {
        self.sinks = sinks;
        self
    }

    /// Returns the last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}
