//! Batches: encoded spans or log records that are sent in one request.

use spanwise_core::export::{ExportItem, SinkCounters};
use tracing_core::Level;

use crate::{destination::ExportRequest, wire::WireWriter as _};

/// Encoded spans or log records of the same importance, in the order in which they were pushed.
#[derive(Debug)]
pub(crate) struct Batch {
    importance: Importance,
    /// The encoded records, one after the other.
    bytes: Vec<u8>,
    records: Vec<BatchRecord>,
    /// The encoded `InstrumentationScope`s of the records. Consecutive records with equal scopes
    /// share one.
    scopes: Vec<u8>,
    /// An upper bound of the length that the records and their scopes take in a request, in bytes.
    request_len: usize,
}

/// The importance of a batch. It decides which batches are sent first, and which are dropped if the
/// queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    /// The batch is sent before ordinary batches, may displace them, and may fill the queue. Spans
    /// and log records at WARN and ERROR have this importance.
    High,
    /// All ordinary batches together may take half of the queue's bytes.
    Ordinary,
}

#[derive(Debug)]
struct BatchRecord {
    level: Level,
    /// The byte offset of the record's scope in `scopes`.
    scope_start: u32,
    scope_len: u32,
    len: usize,
}

/// The maximum length of a field's header: a tag of one byte, and a length of up to five bytes.
const MAX_HEADER_LEN: usize = 6;

impl Batch {
    pub(crate) fn new(importance: Importance) -> Self {
        Self {
            importance,
            bytes: Vec::new(),
            records: Vec::new(),
            scopes: Vec::new(),
            request_len: 0,
        }
    }

    /// Returns an empty batch of the same importance, with memory for as many bytes and records as
    /// this batch has.
    pub(crate) fn successor(&self) -> Self {
        Self {
            importance: self.importance,
            bytes: Vec::with_capacity(self.bytes.len()),
            records: Vec::with_capacity(self.records.len()),
            scopes: Vec::with_capacity(self.scopes.len()),
            request_len: 0,
        }
    }

    /// Adds an encoded `Span` or `LogRecord`, which is the concatenation of the parts in `record`.
    /// `scope` is its encoded `InstrumentationScope`.
    #[inline]
    pub(crate) fn push<const N: usize>(&mut self, scope: &[u8], record: [&[u8]; N], level: Level) {
        if self.last_scope() != Some(scope) {
            self.scopes.extend_from_slice(scope);
            self.request_len += scope.len() + 2 * MAX_HEADER_LEN;
        }
        let len = record_len(record);
        self.request_len += len + MAX_HEADER_LEN;
        for part in record {
            self.bytes.extend_from_slice(part);
        }
        self.records.push(BatchRecord {
            // A batch is far below 4 GiB, so its offsets fit into `u32`.
            scope_start: (self.scopes.len() - scope.len()) as u32,
            scope_len: scope.len() as u32,
            len,
            level,
        });
    }

    /// Returns the scope of the last record, which is at the end of `scopes`.
    #[inline]
    fn last_scope(&self) -> Option<&[u8]> {
        self.records.last().map(|last| self.scope(last))
    }

    #[inline]
    fn scope(&self, record: &BatchRecord) -> &[u8] {
        &self.scopes[record.scope_start as usize..][..record.scope_len as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Returns an upper bound, in bytes, of the length of a request with one more record. It does
    /// not include the resource.
    #[inline]
    pub(crate) fn request_len_with<const N: usize>(
        &self,
        scope: &[u8],
        record: [&[u8]; N],
    ) -> usize {
        self.request_len + scope.len() + record_len(record) + 3 * MAX_HEADER_LEN
    }
}

/// Returns the length of a record that consists of these parts.
#[inline]
fn record_len<const N: usize>(parts: [&[u8]; N]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

impl ExportRequest for Batch {
    /// Returns an `ExportTraceServiceRequest` or `ExportLogsServiceRequest`: the requests of both
    /// signals have the same field numbers.
    ///
    /// Consecutive records with the same scope share a `ScopeSpans` or `ScopeLogs`.
    fn request(&self, resource: &[u8]) -> Vec<u8> {
        const RESOURCE_RECORDS: u32 = 1;
        const RESOURCE: u32 = 1;
        const SCOPE_RECORDS: u32 = 2;
        const SCOPE: u32 = 1;
        const RECORD: u32 = 2;

        let mut request = Vec::with_capacity(self.bytes.len() + self.bytes.len() / 8 + 256);
        request.message(RESOURCE_RECORDS, |resource_records| {
            resource_records.bytes(RESOURCE, resource);
            let mut remaining_bytes = &self.bytes[..];
            let share_scope = |record: &BatchRecord, next: &BatchRecord| {
                (record.scope_start, record.scope_len) == (next.scope_start, next.scope_len)
            };
            for records in self.records.chunk_by(share_scope) {
                resource_records.message(SCOPE_RECORDS, |scope_records| {
                    scope_records.bytes(SCOPE, self.scope(&records[0]));
                    for record in records {
                        let (bytes, after) = remaining_bytes.split_at(record.len);
                        remaining_bytes = after;
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
        self.bytes.len() + self.scopes.len() + self.records.len() * size_of::<BatchRecord>()
    }

    fn level(&self) -> Level {
        let levels = self.records.iter().map(|record| record.level);
        levels.min().unwrap_or(Level::INFO)
    }

    fn is_urgent(&self) -> bool {
        self.importance == Importance::High
    }

    fn count_shed(&self, counters: &SinkCounters) {
        for record in &self.records {
            counters.shed(record.level);
        }
    }

    fn split(mut self) -> Result<(Self, Self), Self> {
        let half = self.records.len() / 2;
        if half == 0 {
            return Err(self);
        }
        let records = self.records.split_off(half);
        let len = self.records.iter().map(|record| record.len).sum();
        let bytes = self.bytes.split_off(len);
        // Both halves keep all scopes, so that `scope_start` of each record stays valid.
        let second = Self {
            importance: self.importance,
            bytes,
            records,
            scopes: self.scopes.clone(),
            request_len: self.request_len,
        };
        Ok((self, second))
    }
}
