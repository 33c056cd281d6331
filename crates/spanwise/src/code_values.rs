//! The values that the setters of the builder set.

use std::{any::Any, collections::HashMap};

use spanwise_core::{ParseError, SettingValue};

use crate::{
    choices::describe,
    conceal,
    setting_row::{ErrorStyle, SettingRow},
};

/// The values that code sets, by setting.
#[derive(Default)]
pub(crate) struct CodeValues {
    values: HashMap<&'static str, Box<dyn Any + Send + Sync>>,
    /// The problems of invalid arguments of setters.
    pub(crate) problems: Vec<String>,
}

impl CodeValues {
    /// Parses the argument of a setter. Returns `None` if it is empty or invalid. Stores the
    /// problem of an invalid one.
    pub(crate) fn parse<V, T>(
        &mut self,
        setter: &str,
        entry: &SettingRow<T>,
        value: SettingValue<V>,
    ) -> Option<T>
    where
        T: From<V>,
    {
        match value.read(|text| (entry.parse)(&entry.def, text)) {
            Ok(value) => value,
            Err((text, error)) => {
                // Only `QuotesValue` allows the value next to the name of the setter.
                let shown = match entry.errors {
                    ErrorStyle::QuotesValue => {
                        format!("Builder::{setter}({})", conceal::shown(&text))
                    }
                    ErrorStyle::ParserQuotes | ErrorStyle::NamesSetting => {
                        format!("Builder::{setter}")
                    }
                };
                self.refuse(&shown, &text, &error);
                None
            }
        }
    }

    pub(crate) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Adds the problem of a text that a setter was passed.
    pub(crate) fn refuse(&mut self, shown: &str, text: &str, error: &ParseError) {
        self.problems.push(describe(shown, text, error));
    }

    pub(crate) fn put<T: Send + Sync + 'static>(&mut self, entry: &SettingRow<T>, value: T) {
        self.values.insert(entry.def.name, Box::new(value));
    }

    pub(crate) fn get<T: Clone + 'static>(&self, entry: &SettingRow<T>) -> Option<T> {
        let value = self.values.get(entry.def.name)?;
        value.downcast_ref().cloned()
    }
}
