//! Straight-line code that is written for the lines of the workloads: a lower bound of their cost.
//!
//! It does only what is necessary: it reads the clock, turns numbers into digits, escapes every
//! text and writes once per event. It copies everything that is the same in each line. The lines
//! are those that `JsonLayer` writes.

mod line;

use std::{hint::black_box, io, ops::Range};

use line::Line;

use crate::{Workload, data::Data};

#[derive(Debug)]
pub(crate) struct Limit<W> {
    writer: W,
    line: Line,
    /// The fields of the spans that are open during all units.
    spans: Line,
}

impl<W: io::Write> Limit<W> {
    pub(crate) fn new(writer: W, workload: Workload, data: &Data) -> Self {
        let mut spans = Line::default();
        if workload.is_nested() {
            spans.text(b",\"provider\":\"", data.provider);
            spans.number(b",\"timeout_ms\":", data.timeout_ms);
            spans.uuid(b",\"payment_id\":\"", data.payment_id);
            spans.text(b",\"queue\":\"", data.queue);
            spans.number(b",\"attempt\":", data.attempt);
            spans.uuid(b",\"order_id\":\"", data.order_id);
            spans.text(b",\"route\":\"", data.route);
            spans.number(b",\"port\":", data.port);
            spans.uuid(b",\"request_id\":\"", data.request_id);
            spans.literal(b",\"span\":\"charge\"");
        }
        Self {
            writer,
            line: Line::default(),
            spans,
        }
    }

    pub(crate) fn take_turns(
        &mut self,
        workload: Workload,
        data: &Data,
        turns: Range<u64>,
    ) -> io::Result<()> {
        let unit = match workload {
            Workload::Flat
            | Workload::FlatHidden
            | Workload::FlatMixed
            | Workload::Nested
            | Workload::NestedHidden
            | Workload::NestedMixed => Self::flat,
            Workload::Request | Workload::RequestHidden => Self::request,
            Workload::Escape | Workload::Text2k => Self::body,
            // `Contender::takes_part_in` excludes the other workloads.
            _ => return Ok(()),
        };
        for turn in turns {
            unit(self, black_box(data), turn)?;
        }
        Ok(())
    }

    fn flat(&mut self, data: &Data, turn: u64) -> io::Result<()> {
        self.line.begin();
        self.line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"order placed\"",
        );
        self.line.number(b",\"order_number\":", data.order_number);
        self.line.float(b",\"amount\":", data.amount);
        self.line.boolean(b",\"express\":", data.express);
        self.line.text(b",\"customer\":\"", data.customer(turn));
        self.line.bytes(self.spans.as_bytes());
        self.finish()
    }

    fn request(&mut self, data: &Data, turn: u64) -> io::Result<()> {
        let Self { line, spans, .. } = self;
        spans.clear();
        spans.text(b",\"method\":\"", data.method);
        spans.text(b",\"route\":\"", data.route);
        spans.uuid(b",\"request_id\":\"", data.id_of_request(turn));
        spans.text(b",\"tenant_id\":\"", data.tenant_id);

        line.begin();
        line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"request received\"",
        );
        line.number(b",\"port\":", data.port);
        line.text(b",\"customer\":\"", data.customer(turn));
        line.bytes(spans.as_bytes());
        line.literal(b",\"span\":\"request\"");
        self.finish()?;

        // The lines of the child span have the fields of the child before those of the request. So
        // remember where the fields of the request end.
        let Self { line, spans, .. } = self;
        spans.number(b",\"user_id\":", data.user_id);
        let request_len = spans.as_bytes().len();
        spans.text(b",\"provider\":\"", data.provider);
        spans.float(b",\"amount\":", data.amount);

        line.begin();
        line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"charging\"",
        );
        line.number(b",\"attempt\":", data.attempt);
        line.number(b",\"timeout_ms\":", data.timeout_ms);
        line.bytes(&spans.as_bytes()[request_len..]);
        line.bytes(&spans.as_bytes()[..request_len]);
        line.literal(b",\"span\":\"charge\"");
        self.finish()?;

        let Self { line, spans, .. } = self;
        line.begin();
        line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"charged\"",
        );
        line.uuid(b",\"payment_id\":\"", data.payment_id);
        line.float(b",\"elapsed_ms\":", data.elapsed_ms);
        line.boolean(b",\"express\":", data.express);
        line.bytes(&spans.as_bytes()[request_len..]);
        line.bytes(&spans.as_bytes()[..request_len]);
        line.literal(b",\"span\":\"charge\"");
        self.finish()?;

        let Self { line, spans, .. } = self;
        line.begin();
        line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"request finished\"",
        );
        line.number(b",\"status\":", data.status);
        line.float(b",\"elapsed_ms\":", data.elapsed_ms);
        line.number(b",\"order_number\":", data.order_number);
        line.text(b",\"queue\":\"", data.queue);
        line.bytes(&spans.as_bytes()[..request_len]);
        line.literal(b",\"span\":\"request\"");
        self.finish()
    }

    fn body(&mut self, data: &Data, _: u64) -> io::Result<()> {
        self.line.begin();
        self.line.literal(
            b"\",\"level\":\"INFO\",\"target\":\"benches::workload\",\"message\":\"body received\"",
        );
        self.line.text(b",\"body\":\"", &data.body);
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.line.literal(b"}\n");
        self.writer.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}
