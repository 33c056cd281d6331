//! Conditions of filters. The parts of a condition that depend only on the target and the level are
//! decided once per callsite. Each *test* of a field value has a bit, so that a `u64` is a set of
//! tests.

use std::{cell::OnceCell, fmt};

use spanwise_core::{TargetPattern, internal::panic_safe};
use tracing::{Level, level_filters::LevelFilter};
use tracing_core::{Field, field::Visit};

use crate::{
    Preset,
    sink_settings::{Condition, FieldTest, FieldValue},
};

/// A condition that refers to each test of a field value by its bit.
#[derive(Debug, Clone)]
pub(super) enum Compiled {
    Always(bool),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// The event has this level or a more severe one.
    Level(LevelFilter),
    Target(TargetPattern),
    /// The bit of a [`ValueTest`], which must hold.
    Value(u64),
}

/// A test of the value of one field.
#[derive(Debug, PartialEq)]
pub(super) struct ValueTest {
    field: String,
    test: Test,
}

/// A test of a value.
#[derive(Debug, PartialEq)]
enum Test {
    /// With `true`, the value is one of these. With `false`, it is none of these.
    IsOneOf(Vec<FieldValue>, bool),
    Starts(String),
    Contains(String),
    Above(f64),
    Below(f64),
    /// With `true`, the field has a value. With `false`, it has none.
    Exists(bool),
}

/// The tests of all filters. The bit of a test is `1 << index`.
#[derive(Debug, Default)]
pub(super) struct ValueTests {
    tests: Vec<ValueTest>,
    /// The bits of the tests that hold if the field has no value.
    without_value: u64,
}

/// The outcomes of the [`ValueTest`]s, by their bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcomes {
    /// The bits of the tests whose field has a value.
    pub(super) known: u64,
    /// The bits of the tests that hold.
    pub(super) truth: u64,
}

/// The tests of the fields of a callsite.
#[derive(Debug, Default)]
pub(super) struct FieldTests {
    /// The index of each tested field in the callsite, and the bits of its tests.
    by_field: Vec<(usize, u64)>,
    /// For each tested field, the bit at its index modulo 64. With it, most other fields are ruled
    /// out without a search in `by_field`.
    tested: u64,
}

/// The maximum number of different tests in all filters together.
const MAX_TESTS: usize = 64;

/// The name of the field that has the message.
pub(super) const MESSAGE: &str = "message";

/// The maximum length of the text of a value that is formatted for a test, in bytes.
const MAX_VALUE_LEN: usize = 16 * 1024;

impl Compiled {
    /// Compiles a condition, and adds its tests to `tests`. Returns `None` if `tests` would have
    /// more than [`MAX_TESTS`].
    pub(super) fn new(
        condition: &Condition,
        preset: Preset,
        tests: &mut ValueTests,
    ) -> Option<Self> {
        let mut compile_each = |conditions: &[Condition]| -> Option<Vec<Self>> {
            let compiled = conditions.iter().map(|it| Self::new(it, preset, tests));
            compiled.collect()
        };
        Some(match condition {
            Condition::All(conditions) => Self::All(compile_each(conditions)?),
            Condition::Any(conditions) => Self::Any(compile_each(conditions)?),
            Condition::Not(condition) => Self::Not(Box::new(Self::new(condition, preset, tests)?)),
            Condition::Preset(presets) => Self::Always(presets.contains(&preset)),
            Condition::Level(most_verbose) => Self::Level(*most_verbose),
            Condition::Target(module) => Self::Target(TargetPattern::route(module)),
            Condition::Message(text) => Self::Value(tests.add(ValueTest {
                field: MESSAGE.to_owned(),
                test: Test::Contains(text.clone()),
            })?),
            Condition::Field(name, test) => Self::Value(tests.add(ValueTest {
                field: name.clone(),
                test: Test::new(test),
            })?),
        })
    }

    /// Returns what remains of the condition for events with this target and level. Decided parts
    /// are removed. The level is `None` if an earlier filter may change it.
    pub(super) fn for_events(&self, target: &str, level: Option<Level>) -> Self {
        let parts = |parts: &[Self]| -> Vec<Self> {
            parts
                .iter()
                .map(|it| it.for_events(target, level))
                .collect()
        };
        match (self, level) {
            (Self::All(all), _) => Self::joined(parts(all), false, Self::All),
            (Self::Any(any), _) => Self::joined(parts(any), true, Self::Any),
            (Self::Not(not), _) => match not.for_events(target, level) {
                Self::Always(holds) => Self::Always(!holds),
                other => Self::Not(Box::new(other)),
            },
            (Self::Level(most_verbose), Some(level)) => Self::Always(level <= *most_verbose),
            (Self::Target(pattern), _) => Self::Always(pattern.matches(target)),
            (Self::Always(_) | Self::Value(_) | Self::Level(_), _) => self.clone(),
        }
    }

    /// Joins the parts of `All` or `Any`. A constant part with the value `decisive` decides the
    /// whole condition.
    fn joined(parts: Vec<Self>, decisive: bool, join: fn(Vec<Self>) -> Self) -> Self {
        let is_decisive = |part: &Self| matches!(part, Self::Always(holds) if *holds == decisive);
        if parts.iter().any(is_decisive) {
            return Self::Always(decisive);
        }
        let undecided = parts
            .into_iter()
            .filter(|part| !matches!(part, Self::Always(_)));
        let mut undecided: Vec<Self> = undecided.collect();
        match undecided.len() {
            0 => Self::Always(!decisive),
            1 => undecided.remove(0),
            _ => join(undecided),
        }
    }

    /// Returns whether the condition holds for an event.
    #[inline]
    pub(super) fn holds(&self, outcomes: Outcomes, level: Level) -> bool {
        match self {
            Self::Value(bit) => outcomes.truth & bit != 0,
            Self::Always(holds) => *holds,
            Self::All(all) => all.iter().all(|it| it.holds(outcomes, level)),
            Self::Any(any) => any.iter().any(|it| it.holds(outcomes, level)),
            Self::Not(not) => !not.holds(outcomes, level),
            Self::Level(most_verbose) => level <= *most_verbose,
            // Not reached, because `for_events` replaces this part by a constant.
            Self::Target(_) => false,
        }
    }

    /// Returns the bits of the tests in the condition.
    pub(super) fn tests(&self) -> u64 {
        match self {
            Self::Value(bit) => *bit,
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().fold(0, |bits, part| bits | part.tests())
            }
            Self::Not(not) => not.tests(),
            Self::Always(_) | Self::Level(_) | Self::Target(_) => 0,
        }
    }
}

impl ValueTests {
    /// Adds a test, unless it is already there. Returns its bit, or `None` if there are too many.
    fn add(&mut self, test: ValueTest) -> Option<u64> {
        let known = self.tests.iter().position(|other| *other == test);
        let index = known.unwrap_or(self.tests.len());
        if index >= MAX_TESTS {
            return None;
        }
        let bit = 1 << index;
        if known.is_none() {
            if test.test.holds_without_value() {
                self.without_value |= bit;
            }
            self.tests.push(test);
        }
        Some(bit)
    }

    /// Returns the tests among `bits` for the fields of a callsite.
    pub(super) fn field_tests(
        &self,
        fields: &tracing_core::field::FieldSet,
        bits: u64,
    ) -> FieldTests {
        let mut by_field: Vec<(usize, u64)> = Vec::new();
        for (test_index, test) in self.tests.iter().enumerate() {
            let bit = bits & 1 << test_index;
            let Some(field) = fields.field(&*test.field).filter(|_| bit != 0) else {
                continue;
            };
            match by_field
                .iter_mut()
                .find(|(index, _)| *index == field.index())
            {
                Some((_, bits)) => *bits |= bit,
                None => by_field.push((field.index(), bit)),
            }
        }
        FieldTests {
            tested: by_field
                .iter()
                .fold(0, |tested, (index, _)| tested | 1 << (index % 64)),
            by_field,
        }
    }

    /// Returns the bits of the tests that the fields of spans can decide: all except those of the
    /// message.
    pub(super) fn span_bits(&self) -> u64 {
        let tests = self.tests.iter().enumerate();
        let tests = tests.filter(|(_, test)| test.field != MESSAGE);
        tests.fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Adds the outcomes of the tests among `bits` whose field has no value.
    #[inline]
    pub(super) fn with_absent(&self, outcomes: Outcomes, bits: u64) -> Outcomes {
        let absent = self.without_value & bits & !outcomes.known;
        Outcomes {
            truth: outcomes.truth | absent,
            ..outcomes
        }
    }

    /// Runs the tests among `bits` on the texts that `value` returns for the names of their fields.
    /// Skips tests for which it returns `None`.
    pub(super) fn run_on_texts<'v>(
        &self,
        bits: u64,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for (index, test) in self.tests.iter().enumerate() {
            let bit = bits & 1 << index;
            if bit != 0
                && let Some(text) = value(&test.field)
            {
                outcomes.add(bit, test.test.holds(&TestedValue::Text(text)));
            }
        }
        outcomes
    }

    /// Runs the tests on the values that `record` passes to a visitor.
    #[inline]
    pub(super) fn run(&self, fields: &FieldTests, record: impl FnOnce(&mut dyn Visit)) -> Outcomes {
        if fields.tested == 0 {
            return Outcomes::default();
        }
        let mut runner = TestRunner {
            tested: fields.tested,
            tests: &self.tests,
            fields: &fields.by_field,
            outcomes: Outcomes::default(),
        };
        record(&mut runner);
        runner.outcomes
    }
}

impl Outcomes {
    fn add(&mut self, bit: u64, holds: bool) {
        self.known |= bit;
        self.truth = self.truth & !bit | if holds { bit } else { 0 };
    }

    /// Returns the outcomes of only the tests among `bits`.
    pub(super) fn only(self, bits: u64) -> Self {
        Self {
            known: self.known & bits,
            truth: self.truth & bits,
        }
    }

    /// Adds the outcomes of `other` for tests that have none here.
    pub(super) fn or(self, other: Self) -> Self {
        let new = other.known & !self.known;
        Self {
            known: self.known | new,
            truth: self.truth | other.truth & new,
        }
    }
}

/// A visitor that runs the tests of the fields that it visits.
struct TestRunner<'a> {
    /// See [`FieldTests::tested`].
    tested: u64,
    tests: &'a [ValueTest],
    /// See [`FieldTests::by_field`].
    fields: &'a [(usize, u64)],
    outcomes: Outcomes,
}

impl TestRunner<'_> {
    /// Returns whether a field may have tests.
    #[inline(always)] // Each event calls it for each field, and few fields have a test.
    fn is_tested(&self, field: &Field) -> bool {
        self.tested >> (field.index() % 64) & 1 != 0
    }

    /// Runs the tests of a field.
    #[inline(never)] // Kept out of line, so that a field without a test needs no stack.
    fn run<'v>(&mut self, field: &Field, value: impl Into<TestedValue<'v>>) {
        let value = value.into();
        let index = field.index();
        let tests = self.fields.iter().find(|(tested, _)| *tested == index);
        let mut bits = tests.map_or(0, |(_, bits)| *bits);
        while bits != 0 {
            let test = &self.tests[bits.trailing_zeros() as usize].test;
            // The lowest bit is that of this test.
            let bit = bits & bits.wrapping_neg();
            self.outcomes.add(bit, test.holds(&value));
            bits &= bits - 1;
        }
    }
}

/// Implements methods of `Visit` that run the tests of a field, if it has some.
macro_rules! run_tests {
    ($($method:ident: $value:ty;)*) => {$(
        fn $method(&mut self, field: &Field, value: $value) {
            if self.is_tested(field) {
                self.run(field, value);
            }
        }
    )*};
}

impl Visit for TestRunner<'_> {
    run_tests! {
        record_debug: &dyn fmt::Debug;
        record_str: &str;
        record_bool: bool;
        record_i64: i64;
        record_u64: u64;
        record_i128: i128;
        record_u128: u128;
        record_f64: f64;
    }
}

/// The value of a field.
enum TestedValue<'a> {
    Text(&'a str),
    /// A value whose text is formatted for the first test that reads it.
    Formatted(&'a dyn fmt::Debug, OnceCell<String>),
    Integer(i128),
    Float(f64),
    Bool(bool),
}

impl<'v> From<&'v dyn fmt::Debug> for TestedValue<'v> {
    fn from(value: &'v dyn fmt::Debug) -> Self {
        Self::Formatted(value, OnceCell::new())
    }
}

impl<'v> From<&'v str> for TestedValue<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for TestedValue<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for TestedValue<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for TestedValue<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i128> for TestedValue<'_> {
    fn from(number: i128) -> Self {
        Self::Integer(number)
    }
}

impl From<u128> for TestedValue<'_> {
    fn from(number: u128) -> Self {
        i128::try_from(number).map_or(Self::Float(number as f64), Self::Integer)
    }
}

impl From<f64> for TestedValue<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl TestedValue<'_> {
    /// Returns the value as a number. Parses a text.
    #[inline]
    fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(_) | Self::Formatted(..) => self.with_text(str::parse).ok(),
            Self::Bool(_) => None,
        }
    }

    /// Calls `f` with the text of the value, without the quotes and escapes of `Debug`.
    fn with_text<R>(&self, f: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Text(text) => f(text),
            Self::Formatted(value, text) => f(text.get_or_init(|| {
                unquoted(panic_safe::format_text(
                    format_args!("{value:?}"),
                    MAX_VALUE_LEN,
                ))
            })),
            Self::Integer(number) => f(&number.to_string()),
            Self::Float(number) => f(&number.to_string()),
            Self::Bool(true) => f("true"),
            Self::Bool(false) => f("false"),
        }
    }

    fn equals(&self, other: &FieldValue) -> bool {
        match other {
            FieldValue::Text(other) => self.with_text(|text| text == other),
            FieldValue::Integer(other) => match self {
                Self::Integer(number) => *number == i128::from(*other),
                _ => self.number() == Some(*other as f64),
            },
            FieldValue::Float(other) => self.number() == Some(*other),
            FieldValue::Bool(other) => match self {
                Self::Bool(value) => value == other,
                _ => self.with_text(|text| text == if *other { "true" } else { "false" }),
            },
        }
    }
}

/// Returns the string whose `Debug` text is `text`, so that `?name` compares as `name` does, or
/// `text` itself if it is not the `Debug` text of a string.
fn unquoted(mut text: String) -> String {
    let without_start = text.strip_prefix('"');
    let Some(inside) = without_start.and_then(|text| text.strip_suffix('"')) else {
        return text;
    };
    if inside.contains(['"', '\\']) {
        return unescaped(inside).unwrap_or(text);
    }
    text.pop();
    text.remove(0);
    text
}

/// Returns the string whose `Debug` text has `inside` between its quotes, if there is one.
fn unescaped(inside: &str) -> Option<String> {
    let mut string = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        string.push(match c {
            '"' => return None,
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                escaped @ ('"' | '\'' | '\\') => escaped,
                'u' => {
                    let (digits, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
                    chars = rest.chars();
                    char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
                }
                _ => return None,
            },
            _ => c,
        });
    }
    Some(string)
}

impl Test {
    fn new(test: &FieldTest) -> Self {
        match test {
            FieldTest::Is(values) => Self::IsOneOf(values.clone(), true),
            FieldTest::Not(values) => Self::IsOneOf(values.clone(), false),
            FieldTest::Starts(text) => Self::Starts(text.clone()),
            FieldTest::Contains(text) => Self::Contains(text.clone()),
            FieldTest::Above(number) => Self::Above(*number),
            FieldTest::Below(number) => Self::Below(*number),
            FieldTest::Exists(exists) => Self::Exists(*exists),
        }
    }

    /// Returns whether the test holds if the field has no value.
    fn holds_without_value(&self) -> bool {
        match self {
            Self::Exists(exists) => !exists,
            Self::IsOneOf(_, expected) => !expected,
            Self::Starts(_) | Self::Contains(_) | Self::Above(_) | Self::Below(_) => false,
        }
    }

    #[inline]
    fn holds(&self, value: &TestedValue<'_>) -> bool {
        match self {
            Self::IsOneOf(values, expected) => {
                values.iter().any(|other| value.equals(other)) == *expected
            }
            Self::Starts(start) => value.with_text(|text| text.starts_with(&**start)),
            Self::Contains(part) => value.with_text(|text| text.contains(&**part)),
            Self::Above(limit) => value.number().is_some_and(|number| number > *limit),
            Self::Below(limit) => value.number().is_some_and(|number| number < *limit),
            Self::Exists(exists) => *exists,
        }
    }
}
