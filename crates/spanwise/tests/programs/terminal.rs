//! Lines for people on terminals of several widths: a pseudo-terminal is the stderr of a program.

use spanwise::{Builder, InitError, unit_span};
use tracing::{error, field::Empty, info, info_span};

use crate::{Test, pseudo_terminal, victim};

pub(crate) const TEST: Test = Test {
    name: "terminal",
    run: || {
        for columns in [80, 100, 160] {
            events_that_fit_are_one_line(columns);
            lines_are_not_too_wide(columns);
            compact_is_one_line(columns);
        }
        context_ends_at_the_edge();
        colours_are_for_terminals();
        terminal_without_a_width_has_none();
        readme_shows_what_is_printed();
    },
    victims: &[
        ("events-of-many-lengths", events),
        ("one-event", one_event),
        ("readme", readme),
    ],
};

const REQUEST_ID: &str = "01a1fd81-d90f-75a9-8914-dd55bc1bfe9c";
const TRACE_ID: &str = "01a1fd81d90f75a98914dd55bc1bfe9c";

/// The words of the messages, one more for each event.
const WORDS: usize = 24;

/// A value that looks like a line.
const FORGED: &str = "x\n12:00:00.000 ERROR forged\u{1b}[2J";

fn events() -> Result<(), InitError> {
    let _telemetry = Builder::from_env()?.init()?;
    let request = unit_span!(
        "http.request",
        http.request.method = "POST",
        http.route = "/orders/{id}/pay",
        request_id = REQUEST_ID,
        trace_id = TRACE_ID,
        tenant_id = "acme",
        forged = FORGED,
        user_id = Empty,
    );
    let _request = request.enter();
    let _inner = info_span!("pay_order", order_id = 42, amount = "19.99 EUR").entered();
    for words in 1..=WORDS {
        let message = message(words);
        info!(target: "shop::orders", words, attempt = 1, "{message}");
    }
    spanwise::context::set("user_id", "ada");
    let wide = "w".repeat(300);
    info!(target: "shop::orders", wide, forged = FORGED, after = 1, "{FORGED}");
    let refused = std::io::Error::other(FORGED);
    error!(target: FORGED, error = spanwise::err(&refused), "refused");
    Ok(())
}

/// A message of this many words, which no value contains.
fn message(words: usize) -> String {
    vec!["lorem"; words].join("-")
}

fn one_event() -> Result<(), InitError> {
    let _telemetry = Builder::from_env()?.init()?;
    let request = unit_span!(
        "request",
        method = "GET",
        path = "/",
        request_id = REQUEST_ID
    );
    request.in_scope(|| info!(target: "shop", "served"));
    Ok(())
}

/// Runs a victim whose stderr is a terminal of this many columns, and returns what it printed.
fn on_terminal(name: &str, columns: u16, vars: &[(&str, &str)]) -> String {
    pseudo_terminal::run(victim(name).env_clear().envs(vars.iter().copied()), columns)
}

const PLAIN: (&str, &str) = ("NO_COLOR", "1");
const DEV: (&str, &str) = ("LOG_PRESET", "dev");
const COMPACT: (&str, &str) = ("LOG_FORMAT", "compact");

fn is_begin(line: &&str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit())
}

fn width(line: &str) -> usize {
    line.chars().count()
}

/// The lines of each event, without those of its spans.
fn of_events(text: &str) -> Vec<Vec<&str>> {
    let mut events: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if is_begin(&line) {
            events.push(vec![line]);
        } else {
            events.last_mut().unwrap().push(line);
        }
    }
    events.retain(|lines| !lines[0].contains("▸ POST"));
    events
}

fn events_that_fit_are_one_line(columns: u16) {
    let text = on_terminal("events-of-many-lengths", columns, &[DEV, PLAIN]);
    let events = of_events(&text);
    assert_eq!(events.len(), WORDS + 2, "{text}");
    let target = if columns < 100 { 12 } else { 20 };
    for words in 1..=WORDS {
        let lines = &events[words - 1];
        let message = message(words);
        let needed = format!(
            "12:00:00.000  INFO {:target$} {message} words={words} attempt=1",
            ""
        );
        let needed = width(&needed) + width("  …bc1bfe9c");
        let fits = needed <= usize::from(columns);
        assert_eq!(lines.len() == 1, fits, "{columns}: {needed} of {lines:#?}");
        // Nothing is lost or split.
        let whole = lines.concat();
        for part in [
            &*message,
            &format!(" words={words}"),
            " attempt=1",
            "…bc1bfe9c",
        ] {
            assert_eq!(whole.matches(part).count(), 1, "{part} in {lines:#?}");
        }
    }
}

fn lines_are_not_too_wide(columns: u16) {
    let text = on_terminal("events-of-many-lengths", columns, &[DEV, PLAIN]);
    for line in text.lines() {
        let is_begin = is_begin(&line);
        assert!(is_begin || line.starts_with("             | "), "{line:?}");
        assert!(
            line.trim_end() == line && !line.contains('\u{1b}'),
            "{line:?}"
        );
        // One value alone may be wider.
        let is_one_value =
            !line.contains(' ') || line.trim_start_matches([' ', '|']).split(' ').count() == 1;
        assert!(
            width(line) <= usize::from(columns) || is_one_value,
            "{columns}: {line}"
        );
    }
    let begun: Vec<&str> = text.lines().filter(is_begin).collect();
    assert_eq!(begun.len(), WORDS + 3, "{text}");
    assert_span_fields_once(&text);
}

/// The fields of the spans are shown once, and the ids of their trace never.
fn assert_span_fields_once(text: &str) {
    for once in [
        "tenant_id=acme",
        "order_id=42",
        "amount=\"19.99 EUR\"",
        "user_id=ada",
    ] {
        assert_eq!(text.matches(once).count(), 1, "{once} in {text}");
    }
    assert!(!text.contains(TRACE_ID), "{text}");
}

fn compact_is_one_line(columns: u16) {
    let text = on_terminal("events-of-many-lengths", columns, &[DEV, COMPACT, PLAIN]);
    assert_eq!(text.lines().count(), WORDS + 2, "{text}");
    assert!(text.lines().all(|line| is_begin(&line)), "{text}");
    assert_span_fields_once(&text);
}

fn context_ends_at_the_edge() {
    let text = on_terminal("one-event", 90, &[DEV, PLAIN]);
    let line = text.trim_end_matches('\n');
    assert!(line.ends_with("  GET / …bc1bfe9c"), "{line}");
    assert_eq!(width(line), 90, "{line}");
}

fn colours_are_for_terminals() {
    let green = "\u{1b}[32m INFO\u{1b}[0m";
    assert!(on_terminal("one-event", 90, &[DEV]).contains(green));
    assert!(!on_terminal("one-event", 90, &[DEV, PLAIN]).contains('\u{1b}'));
    // As under `docker compose`, whose log is not a terminal.
    for (vars, is_coloured) in [(&[DEV][..], false), (&[DEV, ("FORCE_COLOR", "1")], true)] {
        let output = victim("one-event")
            .env_clear()
            .envs(vars.iter().copied())
            .output();
        let text = String::from_utf8(output.unwrap().stderr).unwrap();
        assert_eq!(text.contains(green), is_coloured, "{text}");
        assert!(text.contains("| GET / …bc1bfe9c"), "{text}");
    }
}

/// The program of the README.
fn readme() -> Result<(), InitError> {
    let _telemetry = Builder::from_env()?.init()?;
    let request = info_span!("http.request", request_id = "r-1", tenant_id = "acme");
    request.in_scope(|| {
        spanwise::context::set("user_id", "ada");
        info!(target: "shop", order_id = 42, "order created");
    });
    Ok(())
}

fn readme_shows_what_is_printed() {
    let readme = include_str!("../../../../README.md");
    let (_, block) = readme.split_once("on a terminal, it prints").unwrap();
    let block = block.split("```").nth(1).unwrap();
    let shown = block.strip_prefix("text\n").unwrap();
    let printed = on_terminal("readme", 90, &[DEV, PLAIN]);
    let without_times =
        |text: &str| -> Vec<String> { text.lines().map(|line| line[12..].to_owned()).collect() };
    assert_eq!(without_times(&printed), without_times(shown));
}

fn terminal_without_a_width_has_none() {
    let text = on_terminal("one-event", 0, &[DEV, PLAIN]);
    assert!(text.ends_with(" served | GET / …bc1bfe9c\n"), "{text:?}");
}
