//! The lines of an event, and of the spans that it shows for the first time.

use std::{borrow::Cow, fmt::Write as _, time::SystemTime};

use spanwise_core::internal::rfc3339;

use super::{
    access_summary::AccessSummary,
    color::{AnsiColor, TextStyle},
    display_width::display_width,
    escaped_text::{push_escaped, push_message, push_name, push_quoted, push_value},
    fields::{Fields, PANIC_BACKTRACE, Value, ValueKind},
    line_layout::{Continuation, EdgeText, LineLayout},
    own_frames::own_frames,
    pending_spans::{REQUEST_ID, SpanUpdate},
    span_label::SpanLabel,
    unit_duration::duration_field,
};

/// The layout of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One line if it fits. Errors and values of several lines are on lines of their own.
    Pretty,
    /// One line. Only a panic takes several lines.
    Compact,
    /// One line, without the target. Only panics, backtraces of errors, and messages and values of
    /// several lines take several lines.
    Short,
}

/// How events are written.
#[derive(Debug)]
pub(crate) struct EventStyle {
    pub(crate) style: Style,
    pub(crate) color: AnsiColor,
    /// The crates and modules whose frames a backtrace shows. `None` for all frames.
    pub(crate) own_targets: Option<Vec<String>>,
    pub(crate) shows_target: bool,
    /// The setting that shows all frames of a panic, if there is one.
    pub(crate) full_backtrace_setting: Option<String>,
}

/// What the lines of an event show.
pub(crate) struct EventText<'a> {
    /// The time of the event, and the offset of local time in minutes. `None` if lines show no
    /// time.
    pub(crate) time: Option<(SystemTime, i16)>,
    pub(crate) level: (&'static str, TextStyle),
    pub(crate) target: &'a str,
    pub(crate) access: Option<AccessSummary>,
    pub(crate) fields: &'a Fields,
    /// What the lines show of the event's span and of the ancestors of that span.
    pub(crate) spans: &'a [SpanUpdate],
    /// The label of the unit, the number of ancestors of the span inside the unit, and the name of
    /// the span.
    pub(crate) unit: Option<(&'a SpanLabel, u32, &'static str)>,
    pub(crate) id: Option<&'a UnitId<'a>>,
    /// The columns of the terminal.
    pub(crate) width: Option<usize>,
}

/// Where a field of an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldPlace {
    /// On the line of its event.
    Line,
    /// On lines of its own, with the causes.
    Error,
    /// On lines of its own, because it has several lines.
    Block,
    /// Not as a field, because another part of the lines shows it.
    Elsewhere,
}

/// The id of a unit of work.
#[derive(Debug)]
pub(crate) struct UnitId<'a> {
    /// The context key of the id.
    pub(crate) key: &'a str,
    /// The id, or the end of a long one.
    pub(crate) text: String,
    pub(crate) is_whole: bool,
}

/// The columns of the target.
const TARGET_WIDTH: usize = 20;

/// The columns of the target on a terminal of less than [`NARROW`] columns.
const SHORT_TARGET_WIDTH: usize = 12;
const NARROW: usize = 100;

/// The prefix of the further lines of a message and of the lines of a value. No other line has it.
const TEXT_PREFIX: &str = "> ";

/// The names of fields whose error is shown without the name of the field.
const ERROR_NAMES: [&str; 4] = ["error", "err", "e", "exception"];

impl EventStyle {
    /// Returns the lines of an event.
    pub(crate) fn lines(&self, event: &EventText<'_>) -> String {
        let mut out = String::with_capacity(256);
        if self.style == Style::Pretty {
            out = self.span_lines(out, event);
        }
        let mut line = self.begin_line(out);
        self.push_start(&mut line, event, |line| {
            line.push(event.level.1, event.level.0);
        });
        if self.style != Style::Short && self.shows_target {
            let width = target_width(event.width);
            line.push(TextStyle::PLAIN, " ");
            let end = line.column() + width;
            line.paint(TextStyle::DIM, |out| {
                push_name(out, &shortened(event.target, width))
            });
            line.pad_to(end);
        }
        self.push_event(&mut line, event);
        self.push_blocks(&mut line, event);
        line.finish()
    }

    /// Begins a line behind the lines in `out`.
    fn begin_line(&self, out: String) -> LineLayout {
        LineLayout::new(out, self.color, Continuation(self.indent()))
    }

    fn indent(&self) -> usize {
        match self.style {
            Style::Pretty | Style::Compact => 13,
            Style::Short => 6,
        }
    }

    /// Writes the time, and then calls `level`, which writes the level.
    fn push_start(
        &self,
        line: &mut LineLayout,
        event: &EventText<'_>,
        level: impl FnOnce(&mut LineLayout),
    ) {
        if let Some((time, offset)) = event.time {
            line.paint(TextStyle::DIM, |out| push_time(out, time, offset));
            line.push(TextStyle::PLAIN, " ");
        }
        level(line);
    }

    /// Appends a line with the spans that no earlier line has shown, unless it would show no more
    /// than the context of the event.
    fn span_lines(&self, out: String, event: &EventText<'_>) -> String {
        let new_spans = || event.spans.iter().filter(|span| event.has_line(span));
        let Some(first) = new_spans().next() else {
            return out;
        };
        if !new_spans().any(SpanUpdate::has_content) {
            return out;
        }
        let mut line = self.begin_line(out);
        if let Some((_, offset)) = event.time {
            line.paint(TextStyle::DIM, |out| push_time(out, first.opened, offset));
            // Blanks in place of the level.
            line.push(TextStyle::PLAIN, "      ");
        }
        let content = |line: &mut LineLayout| {
            for span in new_spans() {
                line.item(|line| {
                    line.push(TextStyle::DIM, "▸ ");
                    let style = match span.begins_unit {
                        true => TextStyle::PLAIN,
                        false => TextStyle::DIM,
                    };
                    line.paint(style, |out| span.label.push(out));
                });
                push_fields(line, &span.fields);
            }
        };
        let edges = edges(event, !new_spans().any(|span| span.begins_unit));
        match event.width {
            Some(width) => line.fit(width, &edges, content),
            None => {
                content(&mut line);
                push_context(&mut line, edges.first());
            }
        }
        line.finish()
    }

    /// Writes the message, the fields and the context.
    fn push_event(&self, line: &mut LineLayout, event: &EventText<'_>) {
        let known_spans = || event.spans.iter().filter(|span| !event.has_line(span));
        let edges = edges(event, event.access.is_none());
        let has_text = |edge: &EdgeText| !edge.is_empty();
        match (self.style, event.width) {
            (Style::Pretty, Some(width)) => line.fit(width, &edges, |line| {
                self.push_content(line, event);
                push_spans(line, known_spans());
            }),
            (Style::Pretty, None) => {
                self.push_content(line, event);
                push_spans(line, known_spans());
                push_context(line, edges.first());
            }
            (Style::Compact | Style::Short, _) => {
                self.push_content(line, event);
                push_context(line, edges.first());
                // The fields of the span that begins the unit follow the context.
                let follows = |span: &&SpanUpdate| span.begins_unit && edges.iter().any(has_text);
                let (unit, others): (Vec<_>, Vec<_>) = event.spans.iter().partition(follows);
                unit.iter().for_each(|span| push_fields(line, &span.fields));
                push_spans(line, others.into_iter());
            }
        }
    }

    /// Writes the message and the fields that belong to the line of the event.
    fn push_content(&self, line: &mut LineLayout, event: &EventText<'_>) {
        match &event.access {
            Some(access) => push_access(line, access),
            None => self.push_message(line, event.fields),
        }
        let is_panic = panic_place(event.fields).is_some();
        for (name, value) in &event.fields.others {
            if self.place(name, value, is_panic) == FieldPlace::Line {
                let shown = name.strip_prefix("panic.").filter(|_| is_panic);
                let name = shown.unwrap_or(name);
                line.item(|line| push_field(line, name, value, event.fields));
            }
        }
    }

    fn push_message(&self, line: &mut LineLayout, fields: &Fields) {
        let Some(message) = &fields.message else {
            return;
        };
        let message = message.joined();
        let shown = match self.is_multi_line() {
            true => message.lines().next().unwrap_or_default(),
            false => &message,
        };
        let mut text = String::new();
        if let Some(place) = panic_place(fields) {
            text.push_str("panicked at ");
            push_escaped(&mut text, place);
            text.push_str(": ");
        }
        push_message(&mut text, shown);
        if text.is_empty() {
            return;
        }
        if line.must_split(display_width(&text)) {
            for word in text.split(' ') {
                line.item(|line| line.push(TextStyle::BOLD, word));
            }
        } else {
            line.item(|line| line.push(TextStyle::BOLD, &text));
        }
    }

    fn place(&self, name: &str, value: &Value, is_panic: bool) -> FieldPlace {
        if is_panic
            && (matches!(name, PANIC_PLACE | PANIC_BACKTRACE) || is_main_thread(name, value))
        {
            FieldPlace::Elsewhere
        } else if self.style == Style::Pretty && is_error(name, value) {
            FieldPlace::Error
        } else if self.is_multi_line() && value.text.contains('\n') {
            FieldPlace::Block
        } else {
            FieldPlace::Line
        }
    }

    /// Returns whether a message or value of several lines is shown on several lines.
    fn is_multi_line(&self) -> bool {
        match self.style {
            Style::Pretty | Style::Short => true,
            Style::Compact => false,
        }
    }

    /// Writes the further lines of the message, and errors, values and backtraces that have lines
    /// of their own.
    fn push_blocks(&self, line: &mut LineLayout, event: &EventText<'_>) {
        let fields = event.fields;
        if self.is_multi_line()
            && let Some(message) = &fields.message
        {
            for text in message.joined().trim_end().lines().skip(1) {
                block_line(line, TEXT_PREFIX, text);
            }
        }
        let is_panic = panic_place(fields).is_some();
        // Only one error is shown without its name.
        let mut has_nameless = false;
        for (name, value) in &fields.others {
            match self.place(name, value, is_panic) {
                FieldPlace::Line | FieldPlace::Elsewhere => {}
                FieldPlace::Error => {
                    let has_name = has_nameless || !ERROR_NAMES.contains(name);
                    has_nameless |= !has_name;
                    push_error(line, has_name.then_some(name), value, event.level.1);
                }
                FieldPlace::Block => push_block(line, name, &value.joined()),
            }
            if self.is_multi_line()
                && let Some(backtrace) = value.backtrace()
            {
                self.push_frames(line, backtrace, None);
            }
        }
        if is_panic && let Some(backtrace) = fields.text(PANIC_BACKTRACE) {
            self.push_frames(line, backtrace, self.full_backtrace_setting.as_deref());
        }
    }

    /// Writes the frames of a backtrace. `full_setting` is the setting that shows the hidden
    /// frames.
    fn push_frames(&self, line: &mut LineLayout, backtrace: &str, full_setting: Option<&str>) {
        let Some(own) = &self.own_targets else {
            for text in backtrace.trim_end().lines() {
                block_line(line, "", text);
            }
            return;
        };
        let found = own_frames(backtrace, own);
        if found.frames.is_empty() && found.hidden == 0 {
            return block_line(line, "", backtrace.trim());
        }
        for frame in &found.frames {
            block_line(line, "at ", frame);
        }
        if found.hidden > 0 {
            line.break_line();
            let frames = if found.hidden == 1 { "frame" } else { "frames" };
            line.paint(TextStyle::DIM, |out| {
                // Writing to a `String` does not fail.
                let _ = write!(out, "… {} {frames} hidden", found.hidden);
                if let Some(setting) = full_setting {
                    let _ = write!(out, ": {setting} shows all");
                }
            });
        }
    }
}

impl EventText<'_> {
    /// Returns whether a span is shown on a separate line in front of the event. An access event
    /// needs no such line, because its own line shows the request and all fields.
    fn has_line(&self, span: &SpanUpdate) -> bool {
        span.is_new_span && self.access.is_none()
    }
}

impl SpanUpdate {
    /// Returns whether the span has more to show than its name and the context of its lines:
    /// fields, or a request that the application sends.
    fn has_content(&self) -> bool {
        let has_request = || !self.begins_unit && self.label.request().is_some();
        !self.fields.is_empty() || (self.is_new_span || self.is_relabelled) && has_request()
    }
}

const PANIC_PLACE: &str = "panic.location";
const PANIC_THREAD: &str = "panic.thread";

/// Returns the source location of a panic, if the event reports a panic.
fn panic_place(fields: &Fields) -> Option<&str> {
    fields.get(PANIC_THREAD)?;
    fields.text(PANIC_PLACE)
}

fn is_main_thread(name: &str, value: &Value) -> bool {
    name == PANIC_THREAD && value.text == "main"
}

fn is_error(name: &str, value: &Value) -> bool {
    match value.kind {
        ValueKind::Error { .. } => true,
        ValueKind::Text => ERROR_NAMES.contains(&name) && !value.text.is_empty(),
        ValueKind::Number(_) | ValueKind::Bool => false,
    }
}

/// Writes an error and its causes on lines of their own, in the style of the level.
fn push_error(line: &mut LineLayout, name: Option<&str>, value: &Value, style: TextStyle) {
    let mut lines = value.text.trim_end().lines();
    line.break_line();
    if let Some(name) = name {
        line.paint(TextStyle::DIM, |out| {
            push_name(out, name);
            out.push_str(": ");
        });
    }
    line.paint(style, |out| {
        push_error_text(out, lines.next().unwrap_or_default())
    });
    lines.for_each(|text| block_line(line, "    ", text));
    for cause in value.causes() {
        let mut lines = cause.trim_end().lines();
        line.break_line();
        line.push(TextStyle::DIM, "  caused by: ");
        line.paint(TextStyle::PLAIN, |out| {
            push_escaped(out, lines.next().unwrap_or_default())
        });
        lines.for_each(|text| block_line(line, "    ", text));
    }
}

/// Writes the first line of an error, in quotes if it looks like a frame, a cause or a line of a
/// text.
fn push_error_text(out: &mut String, text: &str) {
    match text.starts_with([' ', '>', '…']) || text.starts_with("at ") {
        true => push_quoted(out, text),
        false => push_escaped(out, text),
    }
}

/// Writes a value on lines of its own.
fn push_block(line: &mut LineLayout, name: &str, text: &str) {
    line.break_line();
    line.paint(TextStyle::DIM, |out| {
        push_name(out, name);
        out.push(':');
    });
    for text in text.trim_end().lines() {
        block_line(line, TEXT_PREFIX, text);
    }
}

fn block_line(line: &mut LineLayout, indent: &str, text: &str) {
    line.break_line();
    line.paint(TextStyle::PLAIN, |out| {
        out.push_str(indent);
        push_escaped(out, text);
    });
}

/// Writes `GET /orders/42 200 0.66ms`.
fn push_access(line: &mut LineLayout, access: &AccessSummary) {
    line.item(|line| {
        line.paint(TextStyle::BOLD, |out| {
            push_name(out, &access.method);
            if let Some(path) = &access.path {
                out.push(' ');
                push_name(out, path);
            }
        });
    });
    line.item(|line| line.paint(access.status_style, |out| push_name(out, &access.status)));
    if let Some(duration) = &access.duration {
        line.item(|line| line.push(TextStyle::PLAIN, duration));
    }
    if let Some(size) = &access.size {
        line.item(|line| line.push(TextStyle::DIM, size));
    }
}

/// Writes fields of a span.
fn push_fields(line: &mut LineLayout, fields: &[(&'static str, Value)]) {
    for (name, value) in fields {
        line.item(|line| {
            push_key(line, name);
            line.paint(TextStyle::DIM, |out| push_value(out, &value.joined()));
        });
    }
}

fn push_spans<'a>(line: &mut LineLayout, spans: impl Iterator<Item = &'a SpanUpdate>) {
    for span in spans.filter(|span| span.has_content()) {
        line.item(|line| {
            line.push(TextStyle::DIM, "▸");
            if !span.begins_unit {
                line.push(TextStyle::DIM, " ");
                line.paint(TextStyle::DIM, |out| span.label.push(out));
            }
        });
        push_fields(line, &span.fields);
    }
}

fn push_key(line: &mut LineLayout, name: &str) {
    line.paint(TextStyle::DIM, |out| {
        push_name(out, name);
        out.push('=');
    });
}

/// Writes a field of an event on its line.
fn push_field(line: &mut LineLayout, name: &str, value: &Value, fields: &Fields) {
    if let ValueKind::Number(number) = value.kind
        && let Some((name, duration)) = duration_field(name, number)
        && fields.get(name).is_none()
    {
        push_key(line, name);
        return line.push(TextStyle::PLAIN, &duration);
    }
    push_key(line, name);
    line.paint(TextStyle::PLAIN, |out| push_value(out, &value.joined()));
}

/// Writes the context behind a bar, for lines that do not have it at the right edge of a terminal.
fn push_context(line: &mut LineLayout, context: Option<&EdgeText>) {
    if let Some(context) = context.filter(|context| !context.is_empty()) {
        line.push(TextStyle::PLAIN, " ");
        line.push(TextStyle::DIM, &format!("| {}", context.text()));
    }
}

/// Returns the forms of the context of an event, the longest first: with the label of the unit, if
/// `has_label`, and with the id alone.
fn edges(event: &EventText<'_>, has_label: bool) -> Vec<EdgeText> {
    let mut label = String::new();
    if has_label && let Some((unit, depth, name)) = event.unit {
        unit.push(&mut label);
        if depth > 0 && unit.request().is_none() {
            label.push_str(if depth > 1 { ":…:" } else { ":" });
            push_name(&mut label, name);
        }
    }
    let mut id = String::new();
    if let Some(UnitId { key, text, .. }) = event.id {
        // The id of a request is shown without its key.
        if *key != REQUEST_ID {
            push_name(&mut id, key);
            id.push('=');
        }
        push_value(&mut id, text);
    }
    let full_text = match (label.is_empty(), id.is_empty()) {
        (false, false) => format!("{label} {id}"),
        _ => format!("{label}{id}"),
    };
    let mut edges = vec![EdgeText::new(full_text)];
    if !label.is_empty() && !id.is_empty() {
        edges.push(EdgeText::new(id));
    }
    edges
}

fn target_width(width: Option<usize>) -> usize {
    match width {
        Some(..NARROW) => SHORT_TARGET_WIDTH,
        _ => TARGET_WIDTH,
    }
}

/// Shortens a target to `width` columns, to as many modules as fit: `…::module`. If the last module
/// alone does not fit, its end is cut off: `…::mod…`.
fn shortened(target: &str, width: usize) -> Cow<'_, str> {
    if target.len() <= width {
        return target.into();
    }
    let prefix = "…::";
    let fits = |at: &usize| target.len() - at + prefix.chars().count() <= width;
    let mut modules = target.match_indices("::").map(|(at, _)| at + 2);
    if let Some(at) = modules.find(fits) {
        return format!("{prefix}{}", &target[at..]).into();
    }
    let last = target.rsplit("::").next().unwrap_or(target);
    let mut text = if last.len() < target.len() {
        prefix
    } else {
        ""
    }
    .to_owned();
    let room = width - text.chars().count() - 1;
    text.extend(last.chars().take(room));
    if last.chars().count() > room {
        text.push('…');
    }
    text.into()
}

/// Appends the time of day to the millisecond, at `offset_minutes` east of Greenwich.
fn push_time(out: &mut String, now: SystemTime, offset_minutes: i16) {
    let (second, nanos) = rfc3339::since_epoch(now);
    let date_time = rfc3339::date_time(second.saturating_add(i64::from(offset_minutes) * 60));
    let mut text = *b"00:00:00.000";
    text[..8].copy_from_slice(&date_time[11..]);
    rfc3339::write_fraction(&mut text[9..], nanos);
    out.extend(text.map(char::from));
}
