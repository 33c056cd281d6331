//! The variables for the limits of spans and log records.

use spanwise_core::{Sensitivity, Setting};

use super::OtelSetting;
use crate::{SignalKind, setting_texts::parse_limit};

/// The limits. The variables for spans and log records together come first. Those for one of them
/// are applied later, so that their values take precedence.
pub(super) const LIMITS: &[OtelSetting] = rows! {
    "OTEL_ATTRIBUTE_COUNT_LIMIT" => (None, "max_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes a span or log record has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_attributes(limit)).log_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (None, "max_value_chars") {
        default: "none, except 16 KiB",
        accepts: "a number",
        help: "How many characters the text of an attribute has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_value_chars(limit)).log_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_attributes") {
        default: "OTEL_ATTRIBUTE_COUNT_LIMIT",
        accepts: "a number",
        help: "How many attributes a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (Some(SignalKind::Traces), "max_value_chars") {
        default: "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        accepts: "a number",
        help: "How many characters the text of an attribute of a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_EVENT_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_events") {
        default: "128",
        accepts: "a number",
        help: "How many events a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_events(limit)));
            Ok(())
        },
    }
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_event_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes an event of a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_event_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_SPAN_LINK_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_links") {
        default: "128",
        accepts: "a number",
        help: "How many links a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_links(limit)));
            Ok(())
        },
    }
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Traces), "max_link_attributes") {
        default: "128",
        accepts: "a number",
        help: "How many attributes a link of a span has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.span_options(|options| options.max_link_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT" => (Some(SignalKind::Logs), "max_attributes") {
        default: "OTEL_ATTRIBUTE_COUNT_LIMIT",
        accepts: "a number",
        help: "How many attributes a log record has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.log_options(|options| options.max_attributes(limit)));
            Ok(())
        },
    }
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT" => (Some(SignalKind::Logs), "max_value_chars") {
        default: "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        accepts: "a number",
        help: "How many characters the text of an attribute of a log record has at most.",
        apply: |builder, text| {
            let limit = parse_limit(text)?;
            builder.change(|builder| builder.log_options(|options| options.max_value_chars(limit)));
            Ok(())
        },
    }
};
