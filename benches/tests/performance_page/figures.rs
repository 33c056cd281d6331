//! The data file: a figure a line, with its id, its value and its command.

use std::collections::BTreeMap;

#[derive(Debug)]
pub(crate) struct Figures(BTreeMap<String, f64>);

impl Figures {
    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let figures = lines.map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [id, value, _command] = columns[..] else {
                panic!("not three columns: {line}");
            };
            let value = value
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line}"));
            (id.to_owned(), value)
        });
        Self(figures.collect())
    }

    pub(crate) fn get(&self, id: &str) -> Option<f64> {
        self.0.get(id).copied()
    }

    /// The value of an id, of `a ÷ b`, or of `a - c ÷ b - c`.
    pub(crate) fn evaluate(&self, formula: &str) -> Option<f64> {
        if let Some((above, below)) = formula.split_once(" ÷ ") {
            return Some(self.evaluate(above)? / self.evaluate(below)?);
        }
        match formula.split_once(" - ") {
            Some((value, base)) => Some(self.get(value)? - self.get(base)?),
            None => self.get(formula),
        }
    }
}

/// With a comma for every thousand, and a fraction only in numbers below a hundred.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        let text = format!("{value:.2}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
