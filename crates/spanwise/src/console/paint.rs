//! Colours.

use tracing_core::Level;

/// ANSI colours, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
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

    fn with(self, out: &mut String, code: &str, write: impl FnOnce(&mut String)) {
        if !self.0 {
            return write(out);
        }
        out.push_str(&format!("\u{1b}[{code}m"));
        write(out);
        out.push_str("\u{1b}[0m");
    }
}
