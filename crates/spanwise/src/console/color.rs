//! ANSI colours.

use tracing_core::Level;

/// Writes ANSI colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsiColor(pub(crate) bool);

impl AnsiColor {
    pub(crate) fn dim(self, out: &mut String, write: impl FnOnce(&mut String)) {
        self.with(out, "2", write);
    }

    pub(crate) fn bold(self, out: &mut String, write: impl FnOnce(&mut String)) {
        self.with(out, "1", write);
    }

    /// Appends `text`, in the colour of `level`.
    pub(crate) fn level(self, out: &mut String, level: Level, text: &str) {
        let color = match level {
            Level::ERROR => "1;31",
            Level::WARN => "33",
            Level::INFO => "32",
            Level::DEBUG => "34",
            Level::TRACE => "35",
        };
        self.with(out, color, |out| out.push_str(text));
    }

    /// Resets the colour before each line break: a program that prefixes lines, or shows one of
    /// them alone, is not coloured by another line.
    fn with(self, out: &mut String, code: &str, write: impl FnOnce(&mut String)) {
        let start = out.len();
        write(out);
        if !self.0 {
            return;
        }
        let text = out.split_off(start);
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                out.push('\n');
            }
            if !line.is_empty() {
                out.push_str(&format!("\u{1b}[{code}m{line}\u{1b}[0m"));
            }
        }
    }
}
