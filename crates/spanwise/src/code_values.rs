//! The values that the setters of [`Builder`](crate::Builder) set. They override all other sources.

use std::{any::Any, collections::HashMap};

use spanwise_core::{ParseError, SettingValue};

use crate::{
    choices::describe,
    conceal,
    setting_row::{ErrorStyle, SettingRow},
};

/// The values that code sets, and the problems of invalid arguments.
#[derive(Default)]
pub(crate) struct CodeValues {
    /// The values by the name of the setting. Each has the type of its [`SettingRow`].
    values: HashMap<&'static str, Box<dyn Any + Send + Sync>>,
    /// The problems of invalid arguments of setters.
    pub(crate) problems: Vec<String>,
}

impl CodeValues {
    /// Parses the argument of a setter. Returns `None` if the argument is empty or invalid. If it
    /// is invalid, also stores the problem.
    pub(crate) fn parse<V, T>(
        &mut self,
        setter: &str,
        row: &SettingRow<T>,
        value: SettingValue<V>,
    ) -> Option<T>
    where
        T: From<V>,
    {
        match value.read(|text| (row.parse)(&row.def, text)) {
            Ok(value) => value,
            Err((text, error)) => {
                // Only with `QuotesValue`, an error may show the value behind the setter's name.
                let shown = match row.errors {
                    ErrorStyle::QuotesValue => {
                        format!("Builder::{setter}({})", conceal::shown(&text))
                    }
                    ErrorStyle::ParserQuotes | ErrorStyle::NamesSetting => {
                        format!("Builder::{setter}")
                    }
                };
                self.add_text_problem(&shown, &text, &error);
                None
            }
        }
    }

    pub(crate) fn add_problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Adds the problem of an invalid `text`. `shown` names the setter: see [`describe`].
    pub(crate) fn add_text_problem(&mut self, shown: &str, text: &str, error: &ParseError) {
        self.problems.push(describe(shown, text, error));
    }

    pub(crate) fn put<T: Send + Sync + 'static>(&mut self, row: &SettingRow<T>, value: T) {
        self.values.insert(row.def.name, Box::new(value));
    }

    pub(crate) fn get<T: Clone + 'static>(&self, row: &SettingRow<T>) -> Option<T> {
        let value = self.values.get(row.def.name)?;
        value.downcast_ref().cloned()
    }
}
