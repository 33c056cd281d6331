//! Formats the lines of an event, and of the spans that it shows for the first time.
//!
//! The *context* of an event is the label of its unit of work, such as `POST /orders`, and an id.
//! It is at the right edge of a terminal, or else behind a bar after the fields of the event.

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

/// The content of the lines of an event.
pub(crate) struct EventText<'a> {
    /// The time of the event, and the offset of local time in minutes. `None` if lines show no
    /// time.
    pub(crate) time: Option<(SystemTime, i16)>,
    /// The name of the level, and its style.
    pub(crate) level: (&'static str, TextStyle),
    pub(crate) target: &'a str,
    pub(crate) access: Option<AccessSummary>,
    pub(crate) fields: &'a Fields,
    /// The new parts of the event's span and of its ancestors, the outermost span first.
    pub(crate) spans: &'a [SpanUpdate],
    pub(crate) unit: Option<EventUnit<'a>>,
    /// The id that the context shows.
    pub(crate) id: Option<&'a UnitId<'a>>,
    /// The columns of the terminal. `None` without a terminal.
    pub(crate) width: Option<usize>,
}

/// The unit of work of an event, and the position of the event's span in it.
#[derive(Clone, Copy)]
pub(crate) struct EventUnit<'a> {
    pub(crate) label: &'a SpanLabel,
    /// The number of ancestors of the span inside the unit.
    pub(crate) span_depth: u32,
    pub(crate) span_name: &'static str,
}

/// Where a field of an event is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldPlace {
    /// On the line of its event.
    Line,
    /// On lines of its own, as an error with its causes.
    Error,
    /// On lines of its own, because it has several lines.
    Block,
    /// Not as a field: another part of the lines shows it, or its value is the main thread of a
    /// panic.
    Hidden,
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

/// The columns of the target on a terminal of less than [`MIN_WIDE_TERMINAL`] columns.
const SHORT_TARGET_WIDTH: usize = 12;
const MIN_WIDE_TERMINAL: usize = 100;

/// The prefix of each line of a value, and of each line of a message after the first. No other line
/// begins with it.
const TEXT_PREFIX: &str = "> ";

/// The usual names of error fields. An error in such a field is shown without the name.
const ERROR_NAMES: [&str; 4] = ["error", "err", "e", "exception"];

impl EventStyle {
    /// Returns the lines of an event.
    pub(crate) fn lines(&self, event: &EventText<'_>) -> String {
        let mut out = String::with_capacity(256);
        if self.style == Style::Pretty {
            out = self.add_span_line(out, event);
        }
        let mut line = self.begin_line(out);
        if let Some((time, offset)) = event.time {
            line.paint(TextStyle::DIM, |out| push_time(out, time, offset));
            line.push(TextStyle::PLAIN, " ");
        }
        line.push(event.level.1, event.level.0);
        if self.style != Style::Short && self.shows_target {
            let width = target_width(event.width);
            line.push(TextStyle::PLAIN, " ");
            let end = line.column() + width;
            line.paint(TextStyle::DIM, |out| {
                push_name(out, &shorten_target(event.target, width))
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

    /// Returns the columns before the bar of a continuation line: those of the time and a blank, or
    /// of the level and a blank.
    fn indent(&self) -> usize {
        match self.style {
            Style::Pretty | Style::Compact => 13,
            Style::Short => 6,
        }
    }

    /// Appends a line with the spans that no earlier line has shown. Appends nothing if that line
    /// would show no more than the context of the event does.
    fn add_span_line(&self, out: String, event: &EventText<'_>) -> String {
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
            // Blanks take the place of the level.
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
        let edges = edge_texts(event, !new_spans().any(|span| span.begins_unit));
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
        let spans_on_line = || event.spans.iter().filter(|span| !event.has_line(span));
        let edges = edge_texts(event, event.access.is_none());
        let has_text = |edge: &EdgeText| !edge.is_empty();
        match (self.style, event.width) {
            (Style::Pretty, Some(width)) => line.fit(width, &edges, |line| {
                self.push_content(line, event);
                push_spans(line, spans_on_line());
            }),
            (Style::Pretty, None) => {
                self.push_content(line, event);
                push_spans(line, spans_on_line());
                push_context(line, edges.first());
            }
            (Style::Compact | Style::Short, _) => {
                self.push_content(line, event);
                push_context(line, edges.first());
                // The fields of the unit's root span follow the context, which shows its label.
                let follows_context =
                    |span: &&SpanUpdate| span.begins_unit && edges.iter().any(has_text);
                let (unit, others): (Vec<_>, Vec<_>) =
                    event.spans.iter().partition(follows_context);
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
        let is_panic = panic_location(event.fields).is_some();
        for (name, value) in &event.fields.others {
            if self.field_place(name, value, is_panic) == FieldPlace::Line {
                let short_name = name.strip_prefix("panic.").filter(|_| is_panic);
                let name = short_name.unwrap_or(name);
                line.item(|line| push_field(line, name, value, event.fields));
            }
        }
    }

    fn push_message(&self, line: &mut LineLayout, fields: &Fields) {
        let Some(message) = &fields.message else {
            return;
        };
        let message = message.joined();
        let shown_message = match self.keeps_line_breaks() {
            true => message.lines().next().unwrap_or_default(),
            false => &message,
        };
        let mut text = String::new();
        if let Some(location) = panic_location(fields) {
            text.push_str("panicked at ");
            push_escaped(&mut text, location);
            text.push_str(": ");
        }
        push_message(&mut text, shown_message);
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

    fn field_place(&self, name: &str, value: &Value, is_panic: bool) -> FieldPlace {
        if is_panic
            && (matches!(name, PANIC_LOCATION | PANIC_BACKTRACE) || is_main_thread(name, value))
        {
            FieldPlace::Hidden
        } else if self.style == Style::Pretty && is_error(name, value) {
            FieldPlace::Error
        } else if self.keeps_line_breaks() && value.text.contains('\n') {
            FieldPlace::Block
        } else {
            FieldPlace::Line
        }
    }

    /// Returns whether a message or value of several lines is shown on several lines.
    fn keeps_line_breaks(&self) -> bool {
        match self.style {
            Style::Pretty | Style::Short => true,
            Style::Compact => false,
        }
    }

    /// Writes the further lines of the message, and errors, values and backtraces that have lines
    /// of their own.
    fn push_blocks(&self, line: &mut LineLayout, event: &EventText<'_>) {
        let fields = event.fields;
        if self.keeps_line_breaks()
            && let Some(message) = &fields.message
        {
            for text in message.joined().trim_end().lines().skip(1) {
                block_line(line, TEXT_PREFIX, text);
            }
        }
        let is_panic = panic_location(fields).is_some();
        // Only one error is shown without the name of its field.
        let mut has_unnamed_error = false;
        for (name, value) in &fields.others {
            match self.field_place(name, value, is_panic) {
                FieldPlace::Line | FieldPlace::Hidden => {}
                FieldPlace::Error => {
                    let has_name = has_unnamed_error || !ERROR_NAMES.contains(name);
                    has_unnamed_error |= !has_name;
                    push_error(line, has_name.then_some(name), value, event.level.1);
                }
                FieldPlace::Block => push_block(line, name, &value.joined()),
            }
            if self.keeps_line_breaks()
                && let Some(backtrace) = value.backtrace()
            {
                self.push_frames(line, backtrace, None);
            }
        }
        if is_panic && let Some(backtrace) = fields.text(PANIC_BACKTRACE) {
            self.push_frames(line, backtrace, self.full_backtrace_setting.as_deref());
        }
    }

    /// Writes the frames of a backtrace. `full_setting` is the setting that shows all frames, for a
    /// hint.
    fn push_frames(&self, line: &mut LineLayout, backtrace: &str, full_setting: Option<&str>) {
        let Some(own) = &self.own_targets else {
            for text in backtrace.trim_end().lines() {
                block_line(line, "", text);
            }
            return;
        };
        let own_frames = own_frames(backtrace, own);
        if own_frames.frames.is_empty() && own_frames.hidden == 0 {
            return block_line(line, "", backtrace.trim());
        }
        for frame in &own_frames.frames {
            block_line(line, "at ", frame);
        }
        if own_frames.hidden > 0 {
            line.break_line();
            let frames = if own_frames.hidden == 1 {
                "frame"
            } else {
                "frames"
            };
            line.paint(TextStyle::DIM, |out| {
                // Writing to a `String` does not fail.
                let _ = write!(out, "… {} {frames} hidden", own_frames.hidden);
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
    /// Returns whether the span has more to show than its name and the context of its lines: new
    /// fields, or the label of a request that the application sends.
    fn has_content(&self) -> bool {
        let has_request = || !self.begins_unit && self.label.request().is_some();
        !self.fields.is_empty() || (self.is_new_span || self.is_relabelled) && has_request()
    }
}

const PANIC_LOCATION: &str = "panic.location";
const PANIC_THREAD: &str = "panic.thread";

/// Returns the source location of a panic, if the event reports a panic.
fn panic_location(fields: &Fields) -> Option<&str> {
    fields.get(PANIC_THREAD)?;
    fields.text(PANIC_LOCATION)
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

/// Writes the context behind a bar, for lines that do not show it at the right edge of a terminal.
fn push_context(line: &mut LineLayout, context: Option<&EdgeText>) {
    if let Some(context) = context.filter(|context| !context.is_empty()) {
        line.push(TextStyle::PLAIN, " ");
        line.push(TextStyle::DIM, &format!("| {}", context.text()));
    }
}

/// Returns the forms of the context of an event, the longest first. The first form has the label of
/// the unit, if `shows_label`, and the id. The second form has the id alone.
fn edge_texts(event: &EventText<'_>, shows_label: bool) -> Vec<EdgeText> {
    let mut label = String::new();
    if shows_label && let Some(unit) = event.unit {
        unit.label.push(&mut label);
        if unit.span_depth > 0 && unit.label.request().is_none() {
            label.push_str(if unit.span_depth > 1 { ":…:" } else { ":" });
            push_name(&mut label, unit.span_name);
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
        Some(..MIN_WIDE_TERMINAL) => SHORT_TARGET_WIDTH,
        _ => TARGET_WIDTH,
    }
}

/// Shortens a target to `width` columns. Keeps as many of its last modules as fit: `…::module`. If
/// not even the last module fits, truncates its end: `…::mod…`.
fn shorten_target(target: &str, width: usize) -> Cow<'_, str> {
    if target.len() <= width {
        return target.into();
    }
    let prefix = "…::";
    let fits = |start: &usize| target.len() - start + prefix.chars().count() <= width;
    let mut modules = target.match_indices("::").map(|(index, _)| index + 2);
    if let Some(start) = modules.find(fits) {
        return format!("{prefix}{}", &target[start..]).into();
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

/// Appends the time of day to the millisecond, in the time zone `offset_minutes` ahead of UTC.
fn push_time(out: &mut String, time: SystemTime, offset_minutes: i16) {
    let (second, nanos) = rfc3339::since_epoch(time);
    let date_time = rfc3339::date_time(second.saturating_add(i64::from(offset_minutes) * 60));
    let mut text = *b"00:00:00.000";
    text[..8].copy_from_slice(&date_time[11..]);
    rfc3339::write_fraction(&mut text[9..], nanos);
    out.extend(text.map(char::from));
}
