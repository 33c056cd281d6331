//! The encoding of attributes from the OpenTelemetry API. Metrics use it, after they have redacted
//! and cut the attributes.

use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};

use crate::{attributes::AnyValue, wire::WireWriter as _};

/// Appends a `KeyValue` as the field with the number `field`.
pub(crate) fn write_key_value(into: &mut Vec<u8>, field: u32, attribute: &KeyValue) {
    const KEY: u32 = 1;
    const VALUE: u32 = 2;

    into.message(field, |key_value| {
        key_value.bytes(KEY, attribute.key.as_str().as_bytes());
        key_value.message(VALUE, |any_value| write_value(any_value, &attribute.value));
    });
}

/// Appends an `InstrumentationScope` as the field with the number `field`.
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

/// Appends the field inside an `AnyValue` message.
fn write_value(into: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(bool) => AnyValue::Bool(*bool).encode(into),
        Value::I64(int) => AnyValue::Int(*int).encode(into),
        Value::F64(double) => AnyValue::Double(*double).encode(into),
        Value::String(text) => AnyValue::Text(text.as_str()).encode(into),
        Value::Array(array) => AnyValue::Array(&encode_elements(array)).encode(into),
        // `Value` is non-exhaustive.
        other => AnyValue::Text(&other.as_str()).encode(into),
    }
}

/// Returns the encoded elements of an `ArrayValue`.
fn encode_elements(array: &Array) -> Vec<u8> {
    const VALUES: u32 = 1;
    let mut encoded = Vec::new();
    let mut push = |value: AnyValue<'_>| encoded.message(VALUES, |element| value.encode(element));
    match array {
        Array::Bool(values) => values.iter().for_each(|bool| push(AnyValue::Bool(*bool))),
        Array::I64(values) => values.iter().for_each(|int| push(AnyValue::Int(*int))),
        Array::F64(values) => values
            .iter()
            .for_each(|double| push(AnyValue::Double(*double))),
        Array::String(values) => values
            .iter()
            .for_each(|text| push(AnyValue::Text(text.as_str()))),
        // `Array` is non-exhaustive.
        other => push(AnyValue::Text(&other.to_string())),
    }
    encoded
}
