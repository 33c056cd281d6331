//! Warnings at the start about a server without TLS and about the wrong proxy, and errors.

use spanwise_core::{Fault, SelfReport};
use spanwise_sentry::Sentry;

use crate::support::{alone_child, output_alone_with};

/// Checks the number of warnings about `dsn`.
#[track_caller]
fn check(dsn: &str, warnings: u64) {
    let report = SelfReport::silent();
    let (_layer, guard) = Sentry::builder(dsn.parse().unwrap())
        .report(report.clone())
        .build()
        .unwrap();
    let expected = if warnings == 0 {
        vec![]
    } else {
        vec![(Fault::Setup, warnings)]
    };
    assert_eq!(report.stats().faults, expected, "{dsn}");
    drop(guard);
}

const PROXIES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Runs the test again with these variables, and without other variables about proxies. Returns
/// what it wrote to stderr.
fn stderr_with(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    let output = output_alone_with(test, |command| {
        PROXIES.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.envs(variables.iter().copied());
    })?;
    Some(String::from_utf8(output.stderr).unwrap())
}

#[test]
fn plain_http_to_another_host_warns() {
    if stderr_with("setup_warnings::plain_http_to_another_host_warns", &[]).is_some() {
        return;
    }
    for host in [
        "127.0.0.1",
        "127.8.9.1:80",
        "localhost:9000",
        "sentry.localhost",
    ] {
        check(&format!("http://key@{host}/1"), 0);
    }
    for host in [
        "192.0.2.1",
        "sentry.example.com:9000",
        "sentry",
        "localhost.example.com",
    ] {
        check(&format!("http://key@{host}/1"), 1);
        check(&format!("https://key@{host}/1"), 0);
    }
}

#[test]
fn http_proxy_used_for_https_warns() {
    const TEST: &str = "setup_warnings::http_proxy_used_for_https_warns";
    let proxy = "http://user:hunter2@proxy.example.com:3128";
    let stderr = |variables: &[(&str, &str)]| stderr_with(TEST, variables).unwrap();
    if alone_child() {
        let (_layer, _guard) =
            Sentry::builder("https://0123456789abcdef@o1.example.com/1".parse().unwrap())
                .build()
                .unwrap();
        return;
    }
    let text = stderr(&[("HTTP_PROXY", proxy)]);
    assert!(
        text.contains("through the proxy proxy.example.com:3128 of HTTP_PROXY"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("0123456789abcdef"),
        "{text}"
    );
    for fine in [
        &[][..],
        &[("HTTPS_PROXY", proxy)],
        &[("HTTP_PROXY", proxy), ("https_proxy", proxy)],
        &[("HTTP_PROXY", proxy), ("ALL_PROXY", proxy)],
        &[("HTTP_PROXY", proxy), ("NO_PROXY", "o1.example.com")],
    ] {
        assert_eq!(stderr(fine), "", "{fine:?}");
    }
}

#[test]
fn refused_static_tag_is_explained() {
    for (tag, value) in [("region", ""), ("sentry:x", "1"), ("release", "1")] {
        let builder = Sentry::builder("https://public@localhost/1".parse().unwrap());
        let error = builder.static_tag(tag, value).build().unwrap_err();
        let expected =
            format!("`{tag}` is not a tag that Sentry accepts: write a name of 1 to 32 ");
        let text = error.to_string();
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.ends_with("`sentry:…`, and a value that is not empty"),
            "{text}"
        );
    }
}
