//! Encoded records that are sent together.

use std::sync::Arc;

use spanwise_core::export::ExportItem;
use tracing_core::Level;

use crate::wire::WireWriter as _;

/// The instrumentation scope of a record: the target of its callsite, or a tracer of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    Target(&'static str),
    /// A target that is known only at run time, such as that of a record of the `log` crate.
    Named(Arc<str>),
    /// An encoded `InstrumentationScope`.
    Encoded(Arc<[u8]>),
}

/// Spans or log records of one level of importance, encoded, in the order in which they ended.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Under which level a record is counted if it is dropped.
    level: Level,
    /// The records one after the other.
    bytes: Vec<u8>,
    records: Vec<BatchRecord>,
    /// At least the length of the records and their scopes in a request.
    request_len: usize,
}

#[derive(Debug)]
struct BatchRecord {
    scope: Scope,
    len: usize,
}

/// At least the length of a tag and a length.
const HEADER_LEN: usize = 6;

impl Batch {
    pub(crate) fn new(level: Level) -> Self {
        Self {
            level,
            bytes: Vec::new(),
            records: Vec::new(),
            request_len: 0,
        }
    }

    /// Returns an empty batch with room for as much as this one has.
    pub(crate) fn successor(&self) -> Self {
        Self {
            level: self.level,
            bytes: Vec::with_capacity(self.bytes.len()),
            records: Vec::with_capacity(self.records.len()),
            request_len: 0,
        }
    }

    /// Adds an encoded `Span` or `LogRecord`.
    pub(crate) fn push(&mut self, scope: Scope, record: &[u8]) {
        self.request_len = self.request_len_with(&scope, record);
        self.bytes.extend_from_slice(record);
        self.records.push(BatchRecord {
            scope,
            len: record.len(),
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns at least the length of a request with one more record, without the resource.
    pub(crate) fn request_len_with(&self, scope: &Scope, record: &[u8]) -> usize {
        let shares_scope = self.records.last().is_some_and(|last| last.scope == *scope);
        let scope_len = match scope {
            _ if shares_scope => 0,
            Scope::Target(name) => name.len() + 3 * HEADER_LEN,
            Scope::Named(name) => name.len() + 3 * HEADER_LEN,
            Scope::Encoded(scope) => scope.len() + 2 * HEADER_LEN,
        };
        self.request_len + scope_len + record.len() + HEADER_LEN
    }

    /// Returns an `ExportTraceServiceRequest` or `ExportLogsServiceRequest`: the requests of both
    /// signals have the same field numbers. `resource` is an encoded `Resource`.
    ///
    /// Consecutive records with the same scope share a `ScopeSpans` or `ScopeLogs`.
    pub(crate) fn request(&self, resource: &[u8]) -> Vec<u8> {
        const RESOURCE_RECORDS: u32 = 1;
        const RESOURCE: u32 = 1;
        const SCOPE_RECORDS: u32 = 2;
        const SCOPE: u32 = 1;
        const RECORD: u32 = 2;
        const SCOPE_NAME: u32 = 1;

        let mut request = Vec::with_capacity(self.bytes.len() + self.bytes.len() / 8 + 256);
        request.message(RESOURCE_RECORDS, |resource_records| {
            resource_records.bytes(RESOURCE, resource);
            let mut rest = &self.bytes[..];
            for records in self.records.chunk_by(|one, next| one.scope == next.scope) {
                resource_records.message(SCOPE_RECORDS, |scope_records| {
                    match &records[0].scope {
                        Scope::Target(name) => {
                            scope_records
                                .message(SCOPE, |scope| scope.bytes(SCOPE_NAME, name.as_bytes()));
                        }
                        Scope::Named(name) => {
                            scope_records
                                .message(SCOPE, |scope| scope.bytes(SCOPE_NAME, name.as_bytes()));
                        }
                        Scope::Encoded(scope) => scope_records.bytes(SCOPE, scope),
                    }
                    for record in records {
                        let (bytes, others) = rest.split_at(record.len);
                        rest = others;
                        scope_records.bytes(RECORD, bytes);
                    }
                });
            }
        });
        request
    }
}

impl ExportItem for Batch {
    fn events(&self) -> u64 {
        self.records.len() as u64
    }

    fn bytes(&self) -> usize {
        self.bytes.len() + self.records.len() * size_of::<BatchRecord>()
    }

    fn level(&self) -> Level {
        self.level
    }
}
