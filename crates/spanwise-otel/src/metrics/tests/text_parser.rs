//! A strict parser of the text formats, independent of the writer.

use std::collections::{BTreeMap, BTreeSet};

/// The labels of a sample, in the order of their names.
pub(super) type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ParsedFamily {
    pub(super) kind: String,
    pub(super) help: String,
    pub(super) unit: Option<String>,
    /// The values, by the name and the labels of the sample.
    pub(super) samples: BTreeMap<(String, Labels), f64>,
}

/// Parses a text, and panics if it is not valid.
#[track_caller]
pub(super) fn parse(text: &str, is_open_metrics: bool) -> BTreeMap<String, ParsedFamily> {
    let mut families: BTreeMap<String, ParsedFamily> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut seen_names = BTreeSet::new();
    let body = match is_open_metrics {
        true => text.strip_suffix("# EOF\n").expect("it ends with EOF"),
        false => text,
    };
    assert!(body.is_empty() || body.ends_with('\n'), "{text}");
    for line in body.lines() {
        assert!(!line.is_empty(), "{text}");
        if let Some(comment) = line.strip_prefix("# ") {
            let (keyword, name_and_value) = comment.split_once(' ').unwrap();
            let (name, value) = name_and_value.split_once(' ').unwrap();
            check_name(name, true);
            if current.as_deref() != Some(name) {
                assert!(
                    seen_names.insert(name.to_owned()),
                    "{name} is interrupted: {text}"
                );
                current = Some(name.to_owned());
            }
            let family = families.entry(name.to_owned()).or_default();
            match keyword {
                "HELP" => {
                    assert!(family.help.is_empty(), "{line}");
                    family.help = unescape(value, is_open_metrics);
                }
                "TYPE" => {
                    assert!(
                        family.kind.is_empty() && family.samples.is_empty(),
                        "{line}"
                    );
                    family.kind = value.to_owned();
                }
                "UNIT" => {
                    assert!(is_open_metrics && family.unit.is_none(), "{line}");
                    assert!(name.ends_with(&format!("_{value}")), "{line}");
                    family.unit = Some(value.to_owned());
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let name = current.clone().unwrap_or_default();
        let family = families.get_mut(&name).expect("a comment comes first");
        let (sample, labels, value) = parse_sample(line);
        let suffix = sample
            .strip_prefix(&*name)
            .unwrap_or_else(|| panic!("{line}"));
        let suffixes: &[&str] = match (&*family.kind, is_open_metrics) {
            ("counter", true) => &["_total"],
            ("info", true) => &["_info"],
            ("counter" | "gauge", _) => &[""],
            ("histogram", _) => &["_bucket", "_sum", "_count"],
            _ => panic!("the type of {line}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert_eq!(labels.contains_key("le"), suffix == "_bucket", "{line}");
        let is_new = family.samples.insert((sample, labels), value).is_none();
        assert!(is_new, "{line} is doubled");
    }
    for (name, family) in &families {
        assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
        check_histogram(name, family);
    }
    families
}

/// Checks that the counts of the buckets never decrease, and that the bucket `+Inf` has the count
/// of the series.
fn check_histogram(name: &str, family: &ParsedFamily) {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for ((sample, labels), value) in &family.samples {
        let mut labels = labels.clone();
        if let Some(bound) = labels.remove("le") {
            assert_eq!(*sample, format!("{name}_bucket"));
            series
                .entry(labels)
                .or_default()
                .push((parse_number(&bound), *value));
        }
    }
    for (labels, mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(
            buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1),
            "{name} {buckets:?}"
        );
        let (bound, all) = buckets.last().copied().unwrap();
        assert_eq!(bound, f64::INFINITY);
        if let Some(count) = family.samples.get(&(format!("{name}_count"), labels)) {
            assert_eq!(*count, all);
        }
    }
}

fn parse_sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).unwrap();
    let name = &line[..end];
    check_name(name, true);
    let mut labels = Labels::new();
    let mut unparsed = &line[end..];
    if let Some(list) = unparsed.strip_prefix('{') {
        unparsed = list;
        loop {
            let (label, after) = unparsed.split_once("=\"").unwrap();
            check_name(label, false);
            let mut value = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().unwrap() {
                    (at, '"') => break at + 1,
                    (_, '\\') => value.push(match chars.next().unwrap().1 {
                        'n' => '\n',
                        c @ ('\\' | '"') => c,
                        other => panic!("\\{other} in {line}"),
                    }),
                    (_, c) => value.push(c),
                }
            };
            let is_new = labels.insert(label.to_owned(), value).is_none();
            assert!(is_new, "{label} is doubled in {line}");
            unparsed = &after[end..];
            match unparsed.split_at(1) {
                (",", more) => unparsed = more,
                ("}", more) => {
                    unparsed = more;
                    break;
                }
                _ => panic!("{line}"),
            }
        }
    }
    (
        name.to_owned(),
        labels,
        parse_number(unparsed.strip_prefix(' ').unwrap()),
    )
}

fn parse_number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => {
            assert!(
                text.starts_with(|c: char| c == '-' || c.is_ascii_digit()),
                "{text}"
            );
            text.parse().unwrap()
        }
    }
}

fn check_name(name: &str, is_metric: bool) {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || is_metric && c == ':';
    assert!(name.starts_with(is_start), "{name}");
    assert!(
        name.chars().all(|c| is_start(c) || c.is_ascii_digit()),
        "{name}"
    );
    assert!(is_metric || !name.starts_with("__"), "{name}");
}

fn unescape(text: &str, is_open_metrics: bool) -> String {
    let mut chars = text.chars();
    let mut unescaped = String::new();
    while let Some(c) = chars.next() {
        unescaped.push(match c {
            '\\' => match chars.next().unwrap() {
                'n' => '\n',
                '\\' => '\\',
                '"' if is_open_metrics => '"',
                other => panic!("\\{other} in {text}"),
            },
            '"' if is_open_metrics => panic!("{text}"),
            c => c,
        });
    }
    unescaped
}
