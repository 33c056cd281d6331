//! The scanner accepts any text, borrows clean texts, and hides planted secrets.

use std::{borrow::Cow, sync::LazyLock};

use spanwise_core::{REDACTED, Redact};
use spanwise_redact::{Action, Policy};

use super::{input::Input, json::Json, plant::Plant};

/// A policy and its properties.
struct Kind {
    policy: Policy,
    pii: bool,
    /// Whether a second scan hides the visible part of a value.
    keeps_last: bool,
}

static KINDS: LazyLock<[Kind; 4]> = LazyLock::new(|| {
    let by_path = Policy::secrets_and_pii()
        .hide("user.*.badge")
        .and_then(|policy| policy.hide("**.badge_no"))
        .expect("a path is a rule");
    let kind = |policy, pii, keeps_last| Kind {
        policy,
        pii,
        keeps_last,
    };
    [
        kind(Policy::secrets_and_pii(), true, false),
        kind(Policy::secrets(), false, false),
        kind(by_path, true, false),
        kind(
            Policy::secrets_and_pii().action(Action::KeepLast(4)),
            true,
            true,
        ),
    ]
});

/// Interprets the bytes as choices and a text. The choices are first, see `fuzz/seeds/scan`.
pub fn check(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = &KINDS[usize::from(input.byte()) % KINDS.len()];
    let place = usize::from(input.byte());
    let plant = Plant::new(&mut input);
    let text = input.rest();
    read(kind, &text);
    planted(kind, &text, place, &plant);
    // Each part is the text of a string.
    let parts: Vec<&str> = text.split('\u{1f}').collect();
    document(kind, &parts);
}

fn read<'t>(kind: &Kind, text: &'t str) -> Cow<'t, str> {
    let shown = kind.policy.text(text);
    match &shown {
        Cow::Borrowed(same) => assert_eq!(*same, text, "borrowed from elsewhere"),
        Cow::Owned(shown) => {
            assert!(
                kind.keeps_last || shown.contains(REDACTED),
                "{text:?} became {shown:?}"
            );
        }
    }
    if !kind.keeps_last {
        assert!(is_left_of(&shown, text), "{text:?} became {shown:?}");
        // The result may differ, because the visible name of a hidden part may hide the value after
        // it.
        let again = kind.policy.text(&shown);
        assert!(
            is_left_of(&again, &shown),
            "{shown:?}, of {text:?}, became {again:?}"
        );
    }
    // A number alone is a plain text.
    if let Some(json) = Json::parse(text).filter(|json| !matches!(json, Json::Other(_))) {
        let shown =
            Json::parse(&shown).unwrap_or_else(|| panic!("{text} is no JSON any more: {shown}"));
        if !kind.keeps_last {
            json.check(&shown, &kind.policy, false);
        }
    }
    shown
}

/// Returns whether all shown characters, apart from quotes, were in the text in the same order.
fn is_left_of(shown: &str, text: &str) -> bool {
    let plain = |text: &str| text.replace(['"', '\\'], "");
    let (shown, text) = (plain(shown), plain(text));
    let mut rest = text.as_str();
    shown
        .split(REDACTED)
        .all(|part| match rest.split_once(part) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
}

fn planted(kind: &Kind, text: &str, place: usize, plant: &Plant) {
    if plant.pii && !kind.pii {
        return;
    }
    let place = text.len() * place / 255;
    let place = (0..=place)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let (before, after) = text.split_at(place);
    // A hidden value without its closing quote or bracket may extend into the text after it.
    let open = format!("{before};x");
    let open = KINDS[0].policy.text(&open);
    if open.trim_end_matches(['"', '\\']).ends_with(REDACTED) {
        return;
    }
    let planted = format!("{before}{}{after}", plant.text);
    let shown = read(kind, &planted);
    for secret in &plant.secrets {
        let known = text.contains(secret) || plant.text.matches(secret).count() > 1;
        assert!(
            known || !shown.contains(secret),
            "{secret} of {planted:?} is in {shown:?}"
        );
    }
}

fn document(kind: &Kind, parts: &[&str]) {
    let string = |text: &str| serde_json::to_string(text).unwrap();
    let part = |index: usize| string(parts[index % parts.len()]);
    let members = [
        ("message", part(0)),
        ("password", part(1)),
        ("badge_no", format!("[{}, 4111111111111111]", part(2))),
        ("body", string(&format!("{{\"pin\":{},\"n\":12}}", part(0)))),
        ("pin", "-1.5e3".to_owned()),
        (
            "list",
            format!("[{},-4111111111111111,{{}},{}]", part(1), part(0)),
        ),
        ("user", "null".to_owned()),
    ];
    let members: Vec<String> = members
        .into_iter()
        .map(|(name, value)| format!("{}:{value}", string(name)))
        .collect();
    read(kind, &format!("{{{},{}:1}}", members.join(","), part(0)));
}
