//! Error texts for invalid rules.

use spanwise_sample::{EventMatcher, First, Limit, Rate, Sampler};
use tracing::Level;

fn problem(text: &str) -> String {
    match text.parse::<Sampler>() {
        Ok(sampler) => panic!("{text} is accepted as {sampler}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_has_word_problem_and_accepted_form() {
    for (text, expected) in [
        (
            "info=1.5",
            "`info=1.5`: `1.5` is out of range: a ratio lies between 0 and 1; use 1 to keep \
             every event",
        ),
        (
            "info=-1",
            "`info=-1`: `-1` is out of range: a ratio lies between 0 and 1; use 1 to keep every \
             event",
        ),
        (
            "shop=5/x",
            "`shop=5/x`: `x` is not a time: write s, m, h or ms, or a number of them, such as 10s",
        ),
        ("shop=5/min", "`shop=5/min`: `min` is not a time: write `m`"),
        ("info:0.1", "`info:0.1` has no `=`: write `info=0.1`"),
        (
            "shop::cache:first:10/100",
            "`shop::cache:first:10/100` has no `=`: write `shop::cache=first:10/100`",
        ),
        ("sqlx::5/s", "`sqlx::5/s` has no `=`: write `sqlx=5/s`"),
        (
            "info=0.1 sqlx=5/s@tenant_id  shop=1",
            "`info=0.1 sqlx=5/s@tenant_id  shop=1`: words are joined by commas: write \
             `info=0.1,sqlx=5/s@tenant_id,shop=1`",
        ),
        (
            "shop=frist:10/100",
            "`shop=frist:10/100`: `frist:10/100` is not a ratio such as 0.1, a rate such as 5/s, \
             or first:10/100: did you mean `first:10/100`?",
        ),
        (
            "shop=first=10",
            "`shop=first=10`: `first=10` is not a ratio such as 0.1, a rate such as 5/s, or \
             first:10/100: did you mean `first:10`?",
        ),
        (
            "info=0.1@tenant_id",
            "`info=0.1@tenant_id`: `0.1@tenant_id`: `@tenant_id` belongs to a rate: write one \
             such as 5/s@tenant_id",
        ),
        (
            "info@tenant_id=5/s",
            "`info@tenant_id=5/s`: `info@tenant_id` is neither a level nor a target: write a \
             field behind a rate, such as `info=5/s@tenant_id`",
        ),
        (
            "sqlx=5/s@tenant_id/20",
            "`sqlx=5/s@tenant_id/20`: `@tenant_id` is the last part of a rate: write \
             5/s/20@tenant_id",
        ),
        (
            "sqlx=5/s@tenant id",
            "`sqlx=5/s@tenant id`: `tenant id` is not the name of a field: write one, such as \
             5/s@tenant_id",
        ),
        (
            "10%",
            "`10%` has no level or target: write one before it, such as `info=0.1`",
        ),
        (
            "200%",
            "`200%` has no level or target: write one before it, such as `info=0.1`; `200%` is not \
             a ratio such as 0.1, a rate such as 5/s, or first:10/100",
        ),
        (
            "info=0.7%",
            "`info=0.7%`: `0.7%` is a percentage: write 0.007",
        ),
        (
            "rate=100/s",
            "`rate=100/s`: `rate` is neither a level nor a target: write one before the `=`, such \
             as `info=100/s` (if `rate` is a target, write `rate::`)",
        ),
        (
            "Rate=10%",
            "`Rate=10%`: `Rate` is neither a level nor a target: write one before the `=`, such \
             as `info=0.1` (if `Rate` is a target, write `Rate::`)",
        ),
        (
            "first=10/100",
            "`first=10/100`: `first` is neither a level nor a target: write one before the `=`, \
             such as `info=first:10/100` (if `first` is a target, write `first::`)",
        ),
        (
            "limit=100",
            "`limit=100`: `limit` is neither a level nor a target: write one before the `=`, such \
             as `info=0.1` (if `limit` is a target, write `limit::`)",
        ),
        (
            "rate=x",
            "`rate=x`: `rate` is neither a level nor a target: write one before the `=`, such as \
             `info=0.1` (if `rate` is a target, write `rate::`)",
        ),
        (
            "info=0.1 sqlx=x",
            "`info=0.1 sqlx=x`: words are joined by commas",
        ),
        (
            "sqlx=5@tenant_id/s",
            "`sqlx=5@tenant_id/s`: `@tenant_id` is the last part of a rate: write 5/s@tenant_id",
        ),
        (
            "sqlx=5/s@tenant_id@user_id",
            "`sqlx=5/s@tenant_id@user_id`: `tenant_id@user_id` is not the name of a field: write \
             one, such as 5/s@tenant_id",
        ),
        (
            "shop=5/0s",
            "`shop=5/0s`: `0s` is not a time: write s, m, h or ms, or a number of them, such as \
             10s",
        ),
        (
            "shop=x/s",
            "`shop=x/s`: `x` is not a number of events: write a whole number, such as 5",
        ),
        (
            "shop=5/s/20/3",
            "`shop=5/s/20/3`: `/3` is too much: a rate is 5/s, or 5/s/20 with bursts of 20",
        ),
        (
            "shop=5/s@",
            "`shop=5/s@`: no field after the `@`: write one, such as 5/s@tenant_id",
        ),
        (
            "shop=first:",
            "`shop=first:`: `` is not a number of events: write a whole number, such as 5",
        ),
        (
            "shop=first:99999999999",
            "`shop=first:99999999999`: `99999999999` is too large: at most 4294967295",
        ),
        (
            "shop=first:1/2/m/3",
            "`shop=first:1/2/m/3`: `/3` is too much: write first:10, first:10/100 (and then \
             every 100th), or first:10/100/m (in each minute)",
        ),
        (
            "=0.1",
            "`=0.1`: nothing before the `=`: write a level or a target",
        ),
        (
            "0.1",
            "`0.1` has no level or target: write one before it, such as `info=0.1`",
        ),
        (
            "info",
            "`info` has no limit: write `info=0` to keep nothing, `info=0.1` for a tenth, \
             `info=5/s` for five per second",
        ),
        (
            "info=",
            "`info=`: nothing after the `=`: write a ratio such as 0.1, a rate such as 5/s, or \
             first:10/100",
        ),
        ("info=10%", "`info=10%`: `10%` is a percentage: write 0.1"),
        (
            "info=nan",
            "`info=nan`: `nan` is not a ratio such as 0.1, a rate such as 5/s, or first:10/100",
        ),
        (
            "sh op=1",
            "`sh op=1`: `sh op` is neither a level nor a target",
        ),
        (
            "inof=0.1",
            "`inof=0.1`: `inof` is not a level: did you mean `info`? (if `inof` is a target, \
             write `inof::`)",
        ),
        (
            "off=0.1",
            "`off=0.1`: `off` is not a level of events: write 0 to keep none, such as `info=0` \
             (if `off` is a target, write `off::`)",
        ),
        (
            "info=0.1,INFO=5/s",
            "`INFO=5/s`: `info` occurs twice: write it once",
        ),
        (
            "shop=0.1,shop::=5/s",
            "`shop::=5/s`: `shop` occurs twice: write it once",
        ),
        (
            "my-shop=0.1,my_shop=5/s",
            "`my_shop=5/s`: `my_shop` occurs twice: write it once",
        ),
        (
            "info=0.1,",
            "an empty word: write a level or a target and what is kept of it, such as \
             `info=0.1`, joined by commas",
        ),
        (
            "",
            "an empty word: write a level or a target and what is kept of it, such as \
             `info=0.1`, joined by commas",
        ),
        (
            "info=0.1,,",
            "an empty word: write a level or a target and what is kept of it, such as \
             `info=0.1`, joined by commas",
        ),
        (
            "sqlx=5",
            "`sqlx=5`: `5` is out of range: a ratio lies between 0 and 1, 1 keeps every event; \
             for 5 per second at each callsite write 5/s",
        ),
        (
            "sqlx=5@tenant_id",
            "`sqlx=5@tenant_id`: `5@tenant_id` has no period: write 5/s@tenant_id, or another \
             period",
        ),
        (
            "sqlx=first:10@tenant",
            "`sqlx=first:10@tenant`: `@tenant` belongs to a rate, such as 5/s@tenant: first \
             counts the events of each callsite, whatever their values",
        ),
        (
            "first:10@tenant",
            "`first:10@tenant` has no level or target: write one before it, such as `info=0.1`; \
             `@tenant` belongs to a rate, such as 5/s@tenant: first counts the events of each \
             callsite, whatever their values",
        ),
        (
            "all=0.1",
            "`all=0.1`: there is no word for all levels: write each, such as \
             `info=0.1,debug=0.1` (if `all` is a target, write `all::`)",
        ),
        (
            "*=0.1",
            "`*=0.1`: there is no word for all levels: write each, such as `info=0.1,debug=0.1`",
        ),
        (
            "a=0.1;b=0.2",
            "`a=0.1;b=0.2`: words are joined by commas: write `a=0.1,…`",
        ),
        (
            "info=0,1",
            "`info=0,1`: a ratio is written with a point: write `info=0.1`",
        ),
        (
            "info=1/10",
            "`info=1/10`: `1/10` has no period: write 1/10s for 1 in 10 seconds, or 0.1 for that \
             ratio",
        ),
        (
            "sqlx=off",
            "`sqlx=off`: `off` is not a ratio such as 0.1, a rate such as 5/s, or first:10/100; \
             write 0 to keep none",
        ),
        (
            "sqlx=5/s/0",
            "`sqlx=5/s/0`: `/0` is too little: a burst is at least one event; write 0 to keep none",
        ),
        (
            "5/s/0",
            "`5/s/0` has no level or target: write one before it, such as `info=0.1`; `/0` is too \
             little: a burst is at least one event; write 0 to keep none",
        ),
        (
            "on",
            "`on` is not a rule: write a level or a target, and what is kept of it, such as \
             `info=0.1`",
        ),
        (
            "hyper",
            "`hyper` has no limit: write `hyper=0` to keep nothing, `hyper=0.1` for a tenth, \
             `hyper=5/s` for five per second",
        ),
        (
            "info=2,shop=5/x",
            "`info=2`: `2` is out of range: a ratio lies between 0 and 1, 1 keeps every event; for 2 per second at each callsite write 2/s; \
             `shop=5/x`: `x` is not a time: write s, m, h or ms, or a number of them, such as 10s",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn displayed_rules_parse_to_the_same() {
    for text in [
        "info=0.1",
        "shop::cache=0.01,sqlx=5/s,info=0.1",
        "trade::=5/10s/20@tenant_id,error=100/m,trace=0",
        "a=first:10,b=first:10/100,c=first:0/7/m,d=first:3/250ms,e=1/h",
        "a=1",
        "earning=0.1,warming=0.1,ratio=0.1",
        "rate::=100/s",
        "a=5/s@http/route,b=5/s/20@app/name,c=5/s@items[0]",
    ] {
        let sampler: Sampler = text.parse().unwrap();
        assert_eq!(sampler.to_string(), text);
    }
    let odd = " INFO = 0.10 , sqlx=5/1000ms@ user_id,x=first:5/s ";
    let odd: Sampler = odd.parse().unwrap();
    assert_eq!(odd.to_string(), "sqlx=5/s@user_id,x=first:5,info=0.1");
}

#[test]
fn rules_without_syntax_are_displayed() {
    let sampler = Sampler::builder()
        .rule(
            EventMatcher::target("shop").and_level(Level::WARN),
            Rate::per_second(5),
        )
        .rule(
            EventMatcher::name("miss").and_field("tenant_id", "a\"b"),
            Limit::keep(),
        )
        .rule(EventMatcher::any(), First::new(1))
        .build();
    assert_eq!(
        sampler.to_string(),
        r#"shop[level="warn"]=5/s,[name="miss" tenant_id="a\"b"]=1,[]=first:1"#
    );
    assert_eq!(format!("{:?}", Sampler::builder().build()), "Sampler()");
    assert!(Limit::ratio(f64::INFINITY).is_err());
}

/// The names of levels are the same as in every setting of levels.
#[test]
fn other_level_names_are_accepted() {
    for (text, rule) in [
        ("warning=0.1", "warn=0.1"),
        ("WARNING=0.1", "warn=0.1"),
        ("Fatal=0", "error=0"),
        ("critical=5/s", "error=5/s"),
        ("INFO=0.5", "info=0.5"),
        ("warning::=0.5", "warning::=0.5"),
    ] {
        assert_eq!(text.parse::<Sampler>().unwrap().to_string(), rule, "{text}");
    }
}
