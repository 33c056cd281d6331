//! Buffered events: passes their values to a recorder, and encodes their lines for a dump.
//!
//! Most buffered events are never written. So the layer gives the recorder the values of an event
//! instead of its line, with the current [`Fragment`] of its span: the encoded fields of the span.
//! A line is encoded and redacted only if the recorder dumps its unit of work, such as a request.

use std::{any::Any, io::Write as _, mem, sync::Arc};

use spanwise_core::{
    EventContext,
    internal::{
        DumpedRecord, LayerId, LineDisposition, SpanData, SpanDataCache, SpanSnapshot, SpanVersion,
        UnencodedEvent, reentrancy,
    },
};
use tracing::{Event, Subscriber};
use tracing_core::{Metadata, field::Visit};
use tracing_subscriber::{fmt::MakeWriter, layer::Context, registry::LookupSpan};

use crate::{
    JsonLayer,
    assemble::SpanScope,
    fragment::{Fragment, SpanNode},
    line_template::text_policy,
    plan::Plan,
    scratch::Scratch,
    stored_values::StoredEvent,
};

impl<W> JsonLayer<W>
where
    W: for<'w> MakeWriter<'w> + 'static,
{
    /// Passes the values of an event to the recorder that would buffer its line. Returns false,
    /// without passing them, if the line must be encoded now.
    #[inline(never)] // Kept out of line, so that the path of lines that are written stays small.
    pub(crate) fn buffer_unencoded<S>(
        &self,
        event: &Event<'_>,
        plan: &Plan,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) -> bool
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let Some(sink) = self.recorded_sink.get() else {
            return false;
        };
        let template = &self.template;
        // Lines that show the thread of their event are encoded on that thread: now.
        if template.has_threads || reentrancy::is_writing(self.id) {
            return false;
        }
        let Some(fields) = plan.stored_fields(text_policy(template, &self.options)) else {
            return false;
        };
        // The addition of a format may have the time of the event, even without a timestamp.
        let time = match template.timestamp.is_some() || plan.has_addition {
            true => self.options.clock.since_epoch(),
            false => (0, 0),
        };
        let mut scratch = Scratch::take();
        let record = |visitor: &mut dyn Visit| event.record(visitor);
        if !StoredEvent::write(&mut scratch.values, time, fields, record) {
            scratch.put_back();
            return false;
        }
        let values = scratch.values.as_bytes();
        // First tries with a borrowed fragment, which is cheaper than a shared one.
        let cheap_result = match scope {
            SpanScope::Current => self.with_current(|node, cache| {
                node.read_version(cache, |version| {
                    let span = Some(&FragmentVersion(version) as &dyn SpanSnapshot);
                    UnencodedEvent { values, span }.try_buffer(*sink)
                })
            }),
            SpanScope::Explicit(_) | SpanScope::NoSpan | SpanScope::Buffered(_) => Err(None),
        };
        let is_buffered = cheap_result.unwrap_or(false) || {
            let span = self.shared_fragment(scope, ctx);
            let span = span.as_ref().map(|span| span as &dyn SpanSnapshot);
            UnencodedEvent { values, span }.buffer(*sink)
        };
        if is_buffered {
            reentrancy::note_written();
            self.counters.add_delivered(1);
            scratch.put_back();
            return true;
        }
        // Another thread has just dumped the unit of work, so the line is written now. It is made
        // from the stored values, because a `Debug` must not be formatted again.
        let bytes = values.to_vec();
        scratch.put_back();
        self.encode_stored(event.metadata(), &bytes, scope, ctx, None);
        true
    }

    /// Returns the fragment that a line with this scope shows.
    #[cold]
    fn shared_fragment<S>(
        &self,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) -> Option<SharedFragment>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let share = |node: &SpanNode, cache: &mut SpanDataCache<Fragment>| {
            node.read_version(cache, |version| {
                let version = FragmentVersion(version);
                SharedFragment {
                    shared: version.share(),
                    memory_len: version.memory_len(),
                }
            })
        };
        let id = match scope {
            SpanScope::Current => match self.with_current(share) {
                Ok(shared) => return Some(shared),
                Err(id) => id.or_else(|| self.missed_current(ctx)),
            },
            SpanScope::Explicit(id) => Some((*id).clone()),
            SpanScope::NoSpan | SpanScope::Buffered(_) => None,
        };
        let node = self.look_up(&id?, ctx)?;
        Some(share(&node, &mut SpanDataCache::default()))
    }

    /// Writes a dump: its header, and then the buffered events that the recorder returns.
    #[inline(never)] // It has a copy of the whole encoder.
    pub(crate) fn write_dump<S>(
        &self,
        header: &Event<'_>,
        plan: &Plan,
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let context = EventContext::take();
        let mut line = Vec::new();
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, header.metadata(), context, None);
        draft.collected = Some(&mut line);
        let record = |visitor: &mut dyn Visit| header.record(visitor);
        self.push_fields(&mut draft, record);
        self.finish(&mut draft, scope, ctx);
        scratch.put_back();
        let mut result = reentrancy::guarded_write(self.id, || {
            let mut writer = self.make_writer.make_writer_for(header.metadata());
            writer.write_all(&line)
        });
        let sink = self.recorded_sink.get();
        if let Some(mut dump) = sink.and_then(|sink| LineDisposition::take_dump(*sink)) {
            let mut content = Vec::new();
            while let Some(record) = dump.next(&mut content) {
                line.clear();
                match record {
                    DumpedRecord::Line => mem::swap(&mut line, &mut content),
                    DumpedRecord::Event { callsite, span } => {
                        let scope = span
                            .as_deref()
                            .map_or(SpanScope::NoSpan, SpanScope::Buffered);
                        self.encode_stored(callsite, &content, &scope, ctx, Some(&mut line));
                    }
                }
                let written = reentrancy::guarded_write(self.id, || dump.write(&line));
                result = result.and(written);
            }
        }
        match result {
            Ok(()) => self.counters.add_delivered(1),
            Err(error) => self.write_failed(&error),
        }
    }

    /// Encodes the line of an event from its stored values, `bytes`. Appends it to `line`. Without
    /// `line`, passes it to the writer.
    #[inline(never)] // It has a copy of the whole encoder.
    fn encode_stored<S>(
        &self,
        callsite: &'static Metadata<'static>,
        bytes: &[u8],
        scope: &SpanScope<'_>,
        ctx: &Context<'_, S>,
        line: Option<&mut Vec<u8>>,
    ) where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let event = StoredEvent::read(bytes);
        let context = EventContext::for_buffered();
        let plan = self.plan(callsite);
        let mut scratch = Scratch::take();
        let mut draft = self.begin(&mut scratch, plan, callsite, context, Some(event.time()));
        draft.collected = line;
        let record = |visitor: &mut dyn Visit| event.record(callsite, visitor);
        self.push_fields(&mut draft, record);
        self.finish(&mut draft, scope, ctx);
        scratch.put_back();
    }

    /// Calls `write`, which writes a line that a recorder may buffer. If a recorder takes the
    /// disposition of this line, the layer's writer belongs to that recorder. The layer then
    /// remembers its sink, so that it can pass the recorder values instead of lines.
    pub(crate) fn noting_recorded_sink<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.recorded_sink.get().is_some() {
            return write();
        }
        let sink_before = LineDisposition::sink();
        let written = write();
        let is_taken = |sink: &LayerId| LineDisposition::sink() != Some(*sink);
        if let Some(sink) = sink_before.filter(is_taken) {
            self.recorded_sink.get_or_init(|| sink);
        }
        written
    }
}

/// The fragment of a span at the time of an event.
struct FragmentVersion<'a>(SpanVersion<'a, Fragment>);

impl SpanSnapshot for FragmentVersion<'_> {
    #[inline]
    fn address(&self) -> usize {
        self.0.address()
    }

    fn share(&self) -> Arc<dyn Any + Send + Sync> {
        self.0.share()
    }

    fn memory_len(&self) -> usize {
        size_of::<SpanData<Fragment>>() + self.0.value().heap_len()
    }
}

/// Like [`FragmentVersion`], but owned, so that it can be used when the spans of the thread are no
/// longer borrowed.
struct SharedFragment {
    shared: Arc<dyn Any + Send + Sync>,
    memory_len: usize,
}

impl SpanSnapshot for SharedFragment {
    fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    fn share(&self) -> Arc<dyn Any + Send + Sync> {
        Arc::clone(&self.shared)
    }

    fn memory_len(&self) -> usize {
        self.memory_len
    }
}
