//! Redaction and limits of the attributes of metrics.

use std::collections::HashMap;

use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use spanwise_core::{KeyVerdict, Redact, Redaction, internal::KeyVerdicts};

use crate::{api_attributes::redaction, limits::AttributeLimits};

/// Redacts, sorts and cuts attributes. Remembers decisions of the policy.
pub(super) struct AttributePolicy<'p> {
    policy: Option<&'p dyn Redact>,
    /// The policy's decisions that depend on the key alone, for the keys that occurred.
    verdicts: HashMap<String, KeyVerdicts>,
}

impl<'p> AttributePolicy<'p> {
    pub(super) fn new(policy: Option<&'p dyn Redact>) -> Self {
        Self {
            policy,
            verdicts: HashMap::new(),
        }
    }

    /// Returns the redacted and cut attributes, sorted by key. No key occurs twice.
    pub(super) fn apply<'a>(
        &mut self,
        attributes: impl Iterator<Item = &'a KeyValue>,
    ) -> Vec<KeyValue> {
        let mut redacted: Vec<KeyValue> = match self.policy {
            None => attributes.cloned().collect(),
            Some(policy) => attributes
                .filter_map(|attribute| self.redact(policy, attribute))
                .collect(),
        };
        // The SDK may keep several attributes with the same key, of which the last one counts.
        // Reverse them, so that it is the first one of its key after the stable sort, and
        // `dedup_by` keeps it.
        redacted.reverse();
        redacted.sort_by(|a, b| a.key.cmp(&b.key));
        redacted.dedup_by(|removed, kept| removed.key == kept.key);
        for attribute in &mut redacted {
            cut_texts(&mut attribute.value);
        }
        redacted
    }

    /// Returns the scope with redacted attributes.
    pub(super) fn redacted_scope(&mut self, scope: &InstrumentationScope) -> InstrumentationScope {
        if scope.attributes().next().is_none() {
            return scope.clone();
        }
        let mut redacted = InstrumentationScope::builder(scope.name().to_owned())
            .with_attributes(self.apply(scope.attributes()));
        if let Some(version) = scope.version() {
            redacted = redacted.with_version(version.to_owned());
        }
        if let Some(url) = scope.schema_url() {
            redacted = redacted.with_schema_url(url.to_owned());
        }
        redacted.build()
    }

    /// Returns the redacted attribute, or `None` if the policy removes it.
    fn redact(&mut self, policy: &dyn Redact, attribute: &KeyValue) -> Option<KeyValue> {
        let key = attribute.key.as_str();
        let verdicts = match self.verdicts.get(key) {
            Some(verdicts) => *verdicts,
            None => *self
                .verdicts
                .entry(key.to_owned())
                .or_insert(policy.verdicts(key)),
        };
        let redaction = redaction(policy, verdicts, key, &attribute.value);
        match redaction {
            Redaction::Keep if verdicts.text == KeyVerdict::Trust => Some(attribute.clone()),
            Redaction::Keep => Some(with_redacted_texts(policy, attribute)),
            Redaction::Remove => None,
            Redaction::Replace(text) => {
                Some(KeyValue::new(attribute.key.clone(), text.into_owned()))
            }
        }
    }
}

/// Cuts texts at [`MAX_VALUE_LEN`](crate::limits::MAX_VALUE_LEN).
fn cut_texts(value: &mut Value) {
    let limits = AttributeLimits::default();
    let cut = |text: &mut StringValue| {
        let kept = limits.cut_text(text.as_str());
        if kept.len() < text.as_str().len() {
            *text = StringValue::from(kept.to_owned());
        }
    };
    match value {
        Value::String(text) => cut(text),
        Value::Array(Array::String(texts)) => texts.iter_mut().for_each(cut),
        _ => {}
    }
}

/// Redacts the texts of an array one by one, because [`redaction`] looks only at the key of an
/// array of texts. Returns attributes of other types as they are.
fn with_redacted_texts(policy: &dyn Redact, attribute: &KeyValue) -> KeyValue {
    let Value::Array(Array::String(texts)) = &attribute.value else {
        return attribute.clone();
    };
    let key = attribute.key.as_str();
    let texts = texts.iter().map(|text| {
        let redacted = policy.redact_value(key, text.as_str());
        StringValue::from(redacted.into_owned())
    });
    let texts = Value::Array(Array::String(texts.collect()));
    KeyValue::new(attribute.key.clone(), texts)
}
