//! Lists of hosts that ids are sent to.

use std::convert::Infallible;

use http::{Request, Response};
use spanwise_http::{Hosts, client};
use tower::{Layer as _, ServiceExt as _, service_fn};

/// Checks which hosts of a URI receive the ids of a call.
#[track_caller]
fn check(list: &str, inside: &[&str], outside: &[&str]) {
    let hosts: Hosts = list.parse().unwrap();
    let layer = client().ids_to(hosts);
    let gets_ids = |host: &str| {
        let network = service_fn(async |request: Request<()>| {
            let has_ids = request.headers().contains_key("traceparent");
            Ok::<_, Infallible>(Response::new(has_ids))
        });
        let request = Request::get(format!("http://{host}/")).body(()).unwrap();
        let call = layer.layer(network).oneshot(request);
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(call).unwrap().into_body()
    };
    for host in inside {
        assert!(gets_ids(host), "{list} contains {host}");
    }
    for host in outside {
        assert!(!gets_ids(host), "{list} does not contain {host}");
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
        &[
            "a.internal",
            "a.b.internal",
            "A.INTERNAL",
            "a.internal.",
            "a.internal:80",
        ],
        &[
            "internal",
            ".internal",
            "ainternal",
            "internal.evil",
            "a.internal.evil",
        ],
    );
}

#[test]
fn addresses_compare_by_value() {
    check(
        "127.0.0.1",
        &["127.0.0.1", "127.0.0.1:80"],
        &["127.0.0.10", "0.127.0.0.1", "127.1"],
    );
    check(
        "::1",
        &["[::1]", "[::1]:80", "[0:0::1]"],
        &["[::2]", "[::11]"],
    );
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
    let error = "a\u{1b}[31m".parse::<Hosts>().unwrap_err().to_string();
    assert!(error.contains(r"\u{1b}"));
}
