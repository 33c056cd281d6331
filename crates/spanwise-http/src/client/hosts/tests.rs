use super::*;

fn check(list: &str, inside: &[&str], outside: &[&str]) {
    let hosts: Hosts = list.parse().unwrap();
    for host in inside {
        assert!(hosts.contains(host), "{list} contains {host}");
    }
    for host in outside {
        assert!(!hosts.contains(host), "{list} does not contain {host}");
    }
}

#[test]
fn name_matches_one_host() {
    check(
        "warehouse",
        &["warehouse", "WAREHOUSE", "warehouse."],
        &[
            "warehouses",
            "awarehouse",
            "a.warehouse",
            "warehouse.com",
            "",
            ".",
        ],
    );
    check("Warehouse.", &["warehouse"], &["warehouse.."]);
    check("a_b-c.example", &["a_b-c.example"], &["example"]);
}

#[test]
fn star_matches_hosts_below() {
    check(
        "*.internal",
        &["a.internal", "a.b.internal", "A.INTERNAL", "a.internal."],
        &[
            "internal",
            ".internal",
            "ainternal",
            "internal.evil",
            "a.internal.evil",
            "a.internal:80",
            "",
        ],
    );
    // The suffix must not start inside a character.
    check("*.internal", &["ä.internal"], &["äinternal", "ä"]);
}

#[test]
fn addresses_compare_by_value() {
    check(
        "127.0.0.1",
        &["127.0.0.1"],
        &["127.0.0.10", "0.127.0.0.1", "127.1"],
    );
    check("::1", &["[::1]", "::1", "[0:0::1]"], &["[::2]", "::11"]);
    check("[0:0:0:0:0:0:0:1]", &["[::1]"], &["[::2]"]);
}

#[test]
fn list_is_separated_by_commas() {
    check(
        " warehouse , *.internal ,",
        &["warehouse", "a.internal"],
        &["a.warehouse", "internal"],
    );
}

#[test]
fn invalid_hosts_are_refused() {
    for list in [
        "*",
        "*.",
        "**.internal",
        "a.*.internal",
        "ware*",
        "*.0.0.1",
        "http://warehouse",
        "warehouse:8080",
        "[::1]:80",
        "[::1",
        "warehouse/",
        "a b",
        "a..b",
        ".internal",
        "bücher.example",
        "warehouse,*",
        "user@warehouse",
    ] {
        let error = list.parse::<Hosts>().unwrap_err().to_string();
        assert!(error.contains("is not a host name"), "{list}: {error}");
    }
    assert_eq!(
        " , ".parse::<Hosts>().unwrap_err().to_string(),
        "there is no host in the list: write at least one, such as `warehouse` or `*.internal`"
    );
    assert!(
        "a\u{1b}[31m"
            .parse::<Hosts>()
            .unwrap_err()
            .to_string()
            .contains(r"\u{1b}")
    );
}
