//! The encoding of attributes of the OpenTelemetry API.

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};

use crate::wire::WireWriter as _;

/// Appends a `KeyValue` as the field `field`.
pub(crate) fn write_key_value(into: &mut Vec<u8>, field: u32, attribute: &KeyValue) {
    const KEY: u32 = 1;
    const VALUE: u32 = 2;

    into.message(field, |key_value| {
        key_value.bytes(KEY, attribute.key.as_str().as_bytes());
        key_value.message(VALUE, |any_value| write_value(any_value, &attribute.value));
    });
}

/// Appends an `InstrumentationScope` as the field `field`.
pub(crate) fn write_scope(into: &mut Vec<u8>, field: u32, scope: &InstrumentationScope) {
    const NAME: u32 = 1;
    const VERSION: u32 = 2;
    const ATTRIBUTES: u32 = 3;

    into.message(field, |encoded| {
        encoded.bytes(NAME, scope.name().as_bytes());
        if let Some(version) = scope.version() {
            encoded.bytes(VERSION, version.as_bytes());
        }
        for attribute in scope.attributes() {
            write_key_value(encoded, ATTRIBUTES, attribute);
        }
    });
}

/// Appends the field of an `AnyValue`.
fn write_value(into: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(value) => write_bool(into, *value),
        Value::I64(value) => write_int(into, *value),
        Value::F64(value) => write_double(into, *value),
        Value::String(value) => write_text(into, value.as_str()),
        Value::Array(array) => write_array(into, array),
        // The enum may grow.
        other => write_text(into, &other.as_str()),
    }
}

fn write_array(into: &mut Vec<u8>, array: &Array) {
    const ARRAY_VALUE: u32 = 5;

    into.message(ARRAY_VALUE, |list| match array {
        Array::Bool(values) => write_each(list, values, |any_value, value| {
            write_bool(any_value, *value);
        }),
        Array::I64(values) => write_each(list, values, |any_value, value| {
            write_int(any_value, *value);
        }),
        Array::F64(values) => write_each(list, values, |any_value, value| {
            write_double(any_value, *value);
        }),
        Array::String(values) => write_each(list, values, |any_value, value| {
            write_text(any_value, value.as_str());
        }),
        _ => {}
    });
}

fn write_each<T>(list: &mut Vec<u8>, values: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    const VALUES: u32 = 1;

    for value in values {
        list.message(VALUES, |any_value| write(any_value, value));
    }
}

fn write_text(any_value: &mut Vec<u8>, text: &str) {
    const STRING_VALUE: u32 = 1;
    any_value.bytes(STRING_VALUE, text.as_bytes());
}

fn write_bool(any_value: &mut Vec<u8>, value: bool) {
    const BOOL_VALUE: u32 = 2;
    any_value.uint(BOOL_VALUE, value.into());
}

fn write_int(any_value: &mut Vec<u8>, value: i64) {
    const INT_VALUE: u32 = 3;
    any_value.uint(INT_VALUE, value as u64);
}

fn write_double(any_value: &mut Vec<u8>, value: f64) {
    const DOUBLE_VALUE: u32 = 4;
    any_value.double(DOUBLE_VALUE, value);
}
