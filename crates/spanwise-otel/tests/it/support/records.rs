//! A writer that decodes the records that it gets.

#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

use std::{
    io,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    logs::v1::{LogRecord, ResourceLogs},
};
use prost::Message as _;
use tracing_subscriber::fmt::MakeWriter;

use super::receiver::{attribute, body, text};

/// Stores what a layer of logs writes. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Records(Arc<Mutex<Vec<u8>>>);

/// A record with the name of its scope.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub scope: String,
    pub record: LogRecord,
}

impl Records {
    /// Returns all records, in the order in which they were written.
    #[track_caller]
    pub fn all(&self) -> Vec<Record> {
        // The messages of all writes are one message.
        let logs = ResourceLogs::decode(&self.bytes()[..]).expect("a ResourceLogs");
        let mut all = Vec::new();
        for of_scope in logs.scope_logs {
            let scope = of_scope.scope.expect("a scope").name;
            let records = of_scope.log_records.into_iter().map(|record| Record {
                scope: scope.clone(),
                record,
            });
            all.extend(records);
        }
        all
    }

    /// Returns the only record.
    #[track_caller]
    pub fn only(&self) -> Record {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    /// Returns the only record with this body.
    #[track_caller]
    pub fn with_body(&self, body: &str) -> Record {
        let mut all = self.all();
        all.retain(|record| record.has_body() && record.body() == body);
        assert_eq!(all.len(), 1, "{body:?}: {all:#?}");
        all.remove(0)
    }

    pub fn bodies(&self) -> Vec<String> {
        let all = self.all();
        all.iter().map(|record| record.body().to_owned()).collect()
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }

    pub fn clear(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Record {
    #[track_caller]
    pub fn body(&self) -> &str {
        body(&self.record.body)
    }

    pub fn has_body(&self) -> bool {
        self.record.body.is_some()
    }

    #[track_caller]
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.record.attributes, key)
    }

    #[track_caller]
    pub fn value(&self, key: &str) -> Option<&Value> {
        attribute(&self.record.attributes, key)
    }

    #[track_caller]
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::IntValue(int) => Some(*int),
            other => panic!("{key} is no integer: {other:?}"),
        }
    }

    /// Returns the keys of all attributes. Fails if a key occurs twice.
    #[track_caller]
    pub fn keys(&self) -> Vec<&str> {
        let attributes = self.record.attributes.iter();
        let keys: Vec<&str> = attributes.map(|pair| &*pair.key).collect();
        for key in &keys {
            self.value(key);
        }
        keys
    }

    pub fn trace_id(&self) -> String {
        digits(&self.record.trace_id)
    }

    pub fn span_id(&self) -> String {
        digits(&self.record.span_id)
    }

    pub fn time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.record.time_unix_nano)
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl io::Write for Records {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let logs = ResourceLogs::decode(record).expect("each write is a ResourceLogs");
        let [scope] = &logs.scope_logs[..] else {
            panic!("one scope: {logs:?}");
        };
        assert_eq!(scope.log_records.len(), 1, "one record");
        self.0.lock().unwrap().extend_from_slice(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Records {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
