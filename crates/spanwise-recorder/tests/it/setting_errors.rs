//! Error texts for invalid words of `LOG_RECORDER`.

use spanwise_recorder::Recorder;

fn problem(text: &str) -> String {
    match text.parse::<Recorder>() {
        Ok(recorder) => panic!("{text} is accepted as {recorder}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn each_mistake_has_word_and_way_out() {
    for (text, expected) in [
        (
            "debug,slow=1",
            "`slow=1`: `1` has no unit: write `1s` for seconds, or one of m, h and ms after it",
        ),
        (
            "slow=1.5s",
            "`slow=1.5s`: `1.5s` is not a time: write `1500ms`",
        ),
        (
            "slow=1 sec",
            "`slow=1 sec`: `1 sec` is not a time: write `1s`",
        ),
        (
            "debug slow=1s tail=0.1",
            "`debug slow=1s tail=0.1`: words are joined by commas: write `debug,slow=1s,tail=0.1`",
        ),
        (
            "slow=1s;tail=0.1",
            "`slow=1s;tail=0.1`: words are joined by commas: write `slow=1s,tail=0.1`",
        ),
        (
            "debug,line=100/s",
            "`line=100/s`: did you mean `lines=100/s`?",
        ),
        ("Slow=1s", "`Slow=1s`: did you mean `slow=1s`?"),
        ("debug,slow:1s", "`slow:1s`: did you mean `slow=1s`?"),
        (
            "debug,slow",
            "`slow`: it has no value: write one, such as `slow=1s`; if `slow` is a target, write \
             `slow=trace`",
        ),
        (
            "debug,TAIL",
            "`TAIL`: it has no value: write one, such as `tail=0.01`; if `TAIL` is a target, \
             write `TAIL=trace`",
        ),
        (
            "slow=1;tail=1%",
            "`slow=1;tail=1%`: words are joined by commas",
        ),
        (
            "slow:x",
            "`slow:x`: did you mean `slow=1s`? `x` is not a time: write s, m, h or ms, or a number \
             of them, such as 10s",
        ),
        (
            "tail=0.7%",
            "`tail=0.7%`: `0.7%` is a percentage: write 0.007",
        ),
        ("tail=1%", "`tail=1%`: `1%` is a percentage: write 0.01"),
        ("lines=200", "`lines=200`: `200` has no period: write 200/s"),
        (
            "lines=0/s",
            "`lines=0/s`: `0/s` is not a number of lines per second: write at least 1, such as \
             10000/s",
        ),
    ] {
        assert_eq!(problem(text), expected);
    }
}

#[test]
fn directives_like_options_stay_directives() {
    for text in [
        "info,slow=debug",
        "info,tail::x=trace",
        "info,lime=debug",
        "info,shop=debug",
    ] {
        let recorder: Recorder = text.parse().unwrap();
        assert_eq!(recorder.to_string(), text);
    }
    let recorder: Recorder = "info,shop=4".parse().unwrap();
    assert_eq!(recorder.to_string(), "info,shop=debug");
    assert!(problem("shop=debgu").contains("did you mean `debug`?"));
}
