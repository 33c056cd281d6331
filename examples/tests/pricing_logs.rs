//! How a library's lines are tested: each test captures its own, in parallel with others.

#[path = "../library/pricing.rs"]
#[expect(unreachable_pub, reason = "a library of its own in real life")]
mod pricing;

use tracing::Level;

#[test]
fn price_is_logged_with_its_article() {
    let logs = spanwise_testing::capture();
    assert_eq!(pricing::price("book", 2), Some(3_998));
    logs.one("calculated")
        .assert_level(Level::DEBUG)
        .assert_field("price", 3_998)
        .assert_in_span("price");
    logs.none("unknown article");
}

#[test]
fn unknown_article_is_a_warning() {
    let logs = spanwise_testing::capture();
    assert_eq!(pricing::price("cloud", 1), None);
    logs.one("unknown article").assert_level(Level::WARN);
}
