//! Patterns for targets.

use spanwise_core::TargetPattern;

#[test]
fn scopes_differ_in_where_a_match_ends() {
    for (text, target, prefix, module) in [
        ("shop", "shop", true, true),
        ("shop", "shop::db", true, true),
        ("shop", "shop::database::pool", true, true),
        ("shop", "shopping", true, false),
        ("shop", "shop:db", true, false),
        ("shop", "sho", false, false),
        ("shop", "my::shop", false, false),
        ("shop::", "shop::db", true, false),
        ("my-shop", "my_shop::db", true, true),
        ("my-shop", "my-shop::db", true, true),
        ("my-shop", "my_shop_core", true, false),
        ("my_shop", "my-shop", false, false),
        ("größe", "größe::x", true, true),
        ("", "shop", true, false),
        ("", "", true, true),
    ] {
        let matches = |pattern: TargetPattern| pattern.matches(target);
        assert_eq!(
            matches(TargetPattern::prefix(text)),
            prefix,
            "{text} {target}"
        );
        assert_eq!(
            matches(TargetPattern::module(text)),
            module,
            "{text} {target}"
        );
    }
}
