use std::{cell::Cell, collections::HashMap};

use spanwise_core::Redact;

use crate::{Policy, builtin_keys, tokens::tokens};

thread_local! {
    static WORK: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn count(count: usize) {
    WORK.set(WORK.get() + count as u64);
}

/// The maximum number of bytes read for each byte of a text.
///
/// Short literals cost most, because each may read some hundred bytes backwards. A quadratic loop
/// already exceeds the limit in a text of [`MIN_LEN`].
const MAX_WORK: u64 = 128;

/// The length of the texts whose work is compared with [`MAX_WORK`].
const MIN_LEN: usize = 4 * 1024;
/// The lengths of the two texts whose work shows whether it grows linearly.
const SHORT: usize = 8 * 1024;
const LONG: usize = 64 * 1024;

/// Returns the number of bytes read for `before` and repetitions of `part` up to `length`.
fn work(policy: &Policy, before: &str, part: &str, length: usize) -> u64 {
    let text = format!("{before}{}", part.repeat(length / part.len()));
    let start = WORK.get();
    let _ = policy.text(&text);
    WORK.get() - start
}

#[track_caller]
fn check(policy: &Policy, before: &str, part: &str) {
    let work = work(policy, before, part, MIN_LEN);
    let bound = MAX_WORK * MIN_LEN as u64;
    assert!(work <= bound, "{before}{part}…: {work} for {MIN_LEN} bytes");
}

#[track_caller]
fn check_growth(policy: &Policy, before: &str, part: &str) {
    check(policy, before, part);
    let [short, long] = [SHORT, LONG].map(|length| work(policy, before, part, length));
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
        // Four separators for each literal, so that each kind of literal is combined with all
        // separators.
        for turn in 0..4 {
            let separator = SEPARATORS[(index + turn * 5) % SEPARATORS.len()];
            check(&policy, "", &format!("{}{separator}", token.literal));
        }
        check(&policy, "", &format!("_{} a1", token.literal));
    }
}

#[test]
fn literals_grow_as_their_text() {
    let policy = policy();
    for (index, token) in tokens().enumerate().step_by(11) {
        let separator = SEPARATORS[index % SEPARATORS.len()];
        let part = format!("{}{separator}", token.literal);
        check_growth(&policy, "", &part);
    }
    for part in [
        "token-", "basic/", "token ", "basic ", "bearer-", "eyJ.", "_eyJ", "://", "://a:", "a@",
    ] {
        check_growth(&policy, "", part);
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
            check(&policy, "", &form.replace("{k}", &key));
        }
    }
    for query in builtin_keys::QUERY_PARAMETERS {
        check(&policy, "", &format!("&{query}=a"));
    }
}

const AROUND: [&str; 7] = [
    "",
    "{\"a\":\"",
    "password=\"",
    "password: '",
    "[\"a\",\"",
    "https://h/p?",
    "it's ",
];

/// Returns a list of `costly_forms.json`, by its name. The list `notations` has forms of pairs and
/// values, and of what encloses them.
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
            check(&policy, AROUND[(index + 2 * turn) % AROUND.len()], form);
        }
        if index % 3 == 0 {
            check_growth(&policy, AROUND[(index + 1) % AROUND.len()], form);
        }
        // Each with the next one.
        let next = &forms[(index + 7) % forms.len()];
        check(&policy, "", &format!("{form}{next}"));
    }
}

/// Tests values that are shown, or that begin inside each other.
#[test]
fn values_in_values_cost_linear_work() {
    let policy = policy();
    for part in forms("values in values") {
        check_growth(&policy, "", &part);
    }
    // The elements are not closed, or are closed only at the end of the text.
    let text = "<a><![CDATA[".repeat(5_400) + "]]>";
    let start = WORK.get();
    let _ = policy.text(&text);
    let work = WORK.get() - start;
    assert!(work <= MAX_WORK * text.len() as u64, "{work}");
}

#[test]
fn rules_about_paths_cost_linear_work() {
    let mut policy = policy();
    for rule in ["items[*].card", "**.a.*.b", "a.**.b.**.c"] {
        policy = policy.hide(rule).expect("a path");
    }
    for part in forms("JSON with paths") {
        for before in ["", "{\"items\":["] {
            check_growth(&policy, before, &part);
        }
    }
}

#[test]
fn rules_of_the_user_cost_linear_work() {
    let policy = Policy::secrets()
        .hide("badge")
        .expect("a name")
        .hide("*_handle")
        .expect("an end");
    for part in forms("user rules") {
        check_growth(&policy, "", &part);
    }
    let shown = Policy::secrets().show("secret_key").expect("a name");
    for part in ["secretkey=(", "secretkey=\"", "secretkey=a"] {
        check_growth(&shown, "", part);
    }
}
