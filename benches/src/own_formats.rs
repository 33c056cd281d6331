//! Formats that an application defines: a table, code, and a template.

#![expect(clippy::expect_used, reason = "the formats are valid")]

use std::fmt;

use spanwise_json::{ErrorLayout, EventView, Format, LineBuf, LineFormat, OtherFields, Timestamp};

pub(crate) fn table() -> Format {
    Format::custom("acme")
        .timestamp("ts", Timestamp::micros())
        .level("sev", ["trace", "debug", "info", "warn", "error", "fatal"])
        .message("text")
        .target("logger")
        .field("request_id", "rid")
        .other_fields(OtherFields::Prefix("x_".to_owned()))
        .error(ErrorLayout::Text)
        .constant("schema", 3)
        .build()
        .expect("no two parts have one key")
}

pub(crate) fn code() -> Format {
    Format::from_code("words", Words).expect("the name is free")
}

pub(crate) fn template() -> Format {
    let template = "text:{time} {level} {target} {message} {fields}";
    template.parse().expect("all placeholders are known")
}

struct Words;

impl LineFormat for Words {
    fn write(&self, event: &EventView<'_>, line: &mut LineBuf<'_>) -> fmt::Result {
        line.raw(event.level().as_str());
        line.raw(" ");
        line.text(&event.target());
        line.raw(": ");
        line.text(&event.message().unwrap_or_default());
        for (name, value) in event.fields() {
            line.raw(" ");
            line.text(&name);
            line.raw("=");
            line.value(&value);
        }
        Ok(())
    }
}
