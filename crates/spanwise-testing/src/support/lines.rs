//! A writer that stores the output of a layer, so that tests can read its lines.

use std::{
    io, mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use spanwise_core::internal::sync::Mutex;

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::parse_json;

/// Stores the lines that a layer writes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

/// The maximum time that a test waits until the clones are dropped, even on a busy machine.
const DROP_TIMEOUT: Duration = Duration::from_secs(300);

#[expect(clippy::must_use_candidate, reason = "most of these assert")]
impl Lines {
    /// Returns the output as text.
    #[track_caller]
    pub fn text(&self) -> String {
        text(self.0.lock().clone())
    }

    /// Returns the output as text, and clears it.
    #[track_caller]
    pub fn take(&self) -> String {
        text(mem::take(&mut *self.0.lock()))
    }

    /// Waits until all clones are dropped. A layer that writes to this output drops its clone when
    /// it is dropped itself.
    ///
    /// # Panics
    /// If a clone is left after five minutes.
    #[track_caller]
    pub fn wait_for_drops(&self) {
        let deadline = Instant::now() + DROP_TIMEOUT;
        while Arc::strong_count(&self.0) > 1 {
            assert!(Instant::now() < deadline, "the output is still in use");
            thread::yield_now();
        }
    }

    /// Clears the output.
    pub fn clear(&self) {
        self.0.lock().clear();
    }

    /// Returns the lines as JSON. Fails if a line is not a JSON object, or if an object repeats a
    /// key.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        objects(&self.text())
    }

    /// Like [`objects`](Self::objects), and clears the output.
    #[track_caller]
    pub fn take_objects(&self) -> Vec<Value> {
        objects(&self.take())
    }

    /// Returns the only line. Fails if there is none, or more than one.
    #[track_caller]
    pub fn only(&self) -> Value {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}", self.text());
        objects.remove(0)
    }

    /// Returns the only line with this message. Fails if there is none, or more than one.
    #[track_caller]
    pub fn with_message(&self, message: &str) -> Value {
        let mut objects = self.objects();
        objects.retain(|line| line["message"] == message);
        assert_eq!(objects.len(), 1, "{message:?} in:\n{}", self.text());
        objects.remove(0)
    }

    /// Returns the message of each line that has one.
    #[track_caller]
    pub fn messages(&self) -> Vec<String> {
        self.values_of("message")
    }

    /// Returns the value of `key`, as text, of each line that has it.
    #[track_caller]
    pub fn values_of(&self, key: &str) -> Vec<String> {
        let objects = self.objects();
        let values = objects.iter().filter_map(|line| line.get(key));
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), Into::into);
        values.map(text).collect()
    }
}

#[track_caller]
fn text(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => panic!("the output is not UTF-8: {error}"),
    }
}

#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let objects: Vec<Value> = text.lines().map(parse_json).collect();
    assert!(objects.iter().all(Value::is_object), "{text}");
    objects
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
