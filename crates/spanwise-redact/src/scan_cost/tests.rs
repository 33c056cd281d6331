use std::{cell::Cell, collections::HashMap};

use spanwise_core::Redact;

use crate::{Policy, builtin_keys, tokens::tokens};

thread_local! {
    /// The number of bytes that this thread has read.
    static WORK: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count(count: usize) {
    WORK.set(WORK.get() + count as u64);
}

/// The maximum number of bytes read for each byte of a text.
///
/// Short literals cost most, because after each the scanner may read some hundred bytes backwards.
/// A quadratic loop exceeds this limit in a text of [`LEN`].
const MAX_WORK_PER_BYTE: u64 = 128;

/// The length of the texts whose work is compared with [`MAX_WORK_PER_BYTE`], in bytes.
const LEN: usize = 4 * 1024;
/// The lengths of two texts, in bytes, whose work shows whether the work grows linearly.
const SHORT_LEN: usize = 8 * 1024;
const LONG_LEN: usize = 64 * 1024;

/// Returns the number of bytes read for `before` and repetitions of `part` up to `length`.
fn work(policy: &Policy, before: &str, part: &str, length: usize) -> u64 {
    let text = format!("{before}{}", part.repeat(length / part.len()));
    let start = WORK.get();
    let _ = policy.text(&text);
    WORK.get() - start
}

#[track_caller]
fn check_work(policy: &Policy, before: &str, part: &str) {
    let work = work(policy, before, part, LEN);
    let bound = MAX_WORK_PER_BYTE * LEN as u64;
    assert!(work <= bound, "{before}{part}…: {work} for {LEN} bytes");
}

/// Checks the work for one text, and that the work grows linearly with the length.
#[track_caller]
fn check_linear(policy: &Policy, before: &str, part: &str) {
    check_work(policy, before, part);
    let [short, long] = [SHORT_LEN, LONG_LEN].map(|length| work(policy, before, part, length));
    // The long text has 8 times the length, and may take 1.2 × 8 times the work.
    assert!(long * 10 <= short * 96, "{before}{part}…: {short}, {long}");
}

fn policy() -> Policy {
    Policy::secrets_and_pii()
}

const SEPARATORS: [&str; 16] = [
    "", " ", "=", ": ", "-", "_", "/", ".", ",", ";", "&", "\"", "'", "\\", "\n", "@",
];

#[test]
fn literals_cost_linear_work() {
    let policy = policy();
    for (index, token) in tokens().enumerate() {
        // Four separators for each literal. So the literals of one kind are combined with all
        // separators.
        for turn in 0..4 {
            let separator = SEPARATORS[(index + turn * 5) % SEPARATORS.len()];
            check_work(&policy, "", &format!("{}{separator}", token.literal));
        }
        check_work(&policy, "", &format!("_{} a1", token.literal));
    }
}

#[test]
fn literals_cost_grows_linearly() {
    let policy = policy();
    for (index, token) in tokens().enumerate().step_by(11) {
        let separator = SEPARATORS[index % SEPARATORS.len()];
        let part = format!("{}{separator}", token.literal);
        check_linear(&policy, "", &part);
    }
    for part in [
        "token-", "basic/", "token ", "basic ", "bearer-", "eyJ.", "_eyJ", "://", "://a:", "a@",
    ] {
        check_linear(&policy, "", part);
    }
}

#[test]
fn keys_cost_linear_work() {
    let policy = policy();
    let lists = [
        builtin_keys::STRONG,
        builtin_keys::SECRETS,
        builtin_keys::PII,
        builtin_keys::SHOWN,
    ]
    .concat();
    let keys = lists.iter().flat_map(|line| line.split('|'));
    for (index, key) in keys.enumerate() {
        let key = key
            .trim()
            .trim_start_matches('=')
            .replace("(s)", "")
            .replace("(es)", "");
        let key = key.replace(' ', "_");
        let forms = [
            "{k}=", "{k}: a ", "\"{k}\":", "?{k}=a", "{k}=a;", "&{k}=(", "{k}: ", "{k}%3D",
            "<{k}>", " --{k} a",
        ];
        for form in [forms[index % forms.len()], forms[(index / 3) % forms.len()]] {
            check_work(&policy, "", &form.replace("{k}", &key));
        }
    }
    for query in builtin_keys::QUERY_PARAMETERS {
        check_work(&policy, "", &format!("&{query}=a"));
    }
}

/// Texts that open a string, a URL or a value before the costly form.
const OPENINGS: [&str; 7] = [
    "",
    "{\"a\":\"",
    "password=\"",
    "password: '",
    "[\"a\",\"",
    "https://h/p?",
    "it's ",
];

/// Returns a list of `costly_forms.json`, by its name. The list `notations` has forms of pairs, of
/// values, and of the texts that enclose them.
fn forms(list: &str) -> Vec<String> {
    let lists = include_str!("../../tests/data/costly_forms.json");
    let mut lists: HashMap<String, Vec<String>> = serde_json::from_str(lists).expect("lists");
    lists.remove(list).expect("a list of the file")
}

#[test]
fn forms_and_nestings_cost_linear_work() {
    let policy = policy();
    let forms = forms("notations");
    for (index, form) in forms.iter().enumerate() {
        for turn in 0..3 {
            check_work(&policy, OPENINGS[(index + 2 * turn) % OPENINGS.len()], form);
        }
        if index % 3 == 0 {
            check_linear(&policy, OPENINGS[(index + 1) % OPENINGS.len()], form);
        }
        // Each form together with another form.
        let other = &forms[(index + 7) % forms.len()];
        check_work(&policy, "", &format!("{form}{other}"));
    }
}

/// Tests values that are shown, or that begin inside each other.
#[test]
fn values_in_values_cost_linear_work() {
    let policy = policy();
    for part in forms("values in values") {
        check_linear(&policy, "", &part);
    }
    // The elements are not closed, or are closed only at the end of the text.
    let text = "<a><![CDATA[".repeat(5_400) + "]]>";
    let start = WORK.get();
    let _ = policy.text(&text);
    let work = WORK.get() - start;
    assert!(work <= MAX_WORK_PER_BYTE * text.len() as u64, "{work}");
}

#[test]
fn path_rules_cost_linear_work() {
    let mut policy = policy();
    for rule in ["items[*].card", "**.a.*.b", "a.**.b.**.c"] {
        policy = policy.hide(rule).expect("a path");
    }
    for part in forms("JSON with paths") {
        for before in ["", "{\"items\":["] {
            check_linear(&policy, before, &part);
        }
    }
}

#[test]
fn user_rules_cost_linear_work() {
    let policy = Policy::secrets()
        .hide("badge")
        .expect("a name")
        .hide("*_handle")
        .expect("an end");
    for part in forms("user rules") {
        check_linear(&policy, "", &part);
    }
    let shown = Policy::secrets().show("secret_key").expect("a name");
    for part in ["secretkey=(", "secretkey=\"", "secretkey=a"] {
        check_linear(&shown, "", part);
    }
}
