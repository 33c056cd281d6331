//! Keys in the wrong table, keys that occur twice, and keys beside a wrong kind of sink.

use super::problems;

#[test]
fn misplaced_keys_name_their_place() {
    let check = |file: &str, advice: &str| {
        let found = problems(file, &[("LOG_PRESET", "prod")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(advice), "{found:?}");
    };
    check(
        "[sink.main]\nlevels = 'info'\n",
        "sink.main.levels is not a setting: did you mean level, or levels above the first table?",
    );
    check(
        "[http]\nreload = '5s'\n",
        ": write it above the first table",
    );
    check(
        "filters = ['noise']\n",
        "filters is not a setting: write it as filters below [root]",
    );
}

#[test]
fn wrong_kind_hides_no_other_problem() {
    let file = "[sink.app]\nkind = 'fil'\nlevel = 'wran'\nfilters = ['noise']\n";
    let found = problems(file, &[("LOG_PRESET", "prod")]);
    let places: Vec<&str> = found.iter().filter_map(|it| it.get(..10)).collect();
    assert_eq!(
        places,
        ["config:2:8", "config:3:9", "config:4:1"],
        "{found:?}"
    );
}

#[test]
fn duplicate_keys_are_named() {
    let file = "levels = 'info'\nservice = { name = 'a', name = 'b' }\n\"levels\" = 'b'\n\
                [sink.main]\n[sink.main]\n";
    assert_eq!(
        problems(file, &[("LOG_PRESET", "prod")]),
        [
            "config:2:25: name is in this table already: remove one of the two",
            "config:3:1: \"levels\" is in this table already: remove one of the two",
            "config:5:7: main is in this table already: remove one of the two",
        ]
    );
}

#[test]
fn limits_of_the_recorder_are_no_levels() {
    for (key, advice) in [
        ("slow", "write a duration, such as `1s`"),
        ("tail", "write a number from 0 to 1"),
        ("lines", "write a rate, such as `10000/s`"),
    ] {
        let file = format!("[recorder]\ncapture = 'debug'\n{key} = '${{LIMIT:-off}}'\n");
        let found = problems(&file, &[("LOG_PRESET", "prod")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(advice), "{found:?}");
    }
}
