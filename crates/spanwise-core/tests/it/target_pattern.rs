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

#[test]
fn route_separates_modules_by_dots_too() {
    for (text, target, matches) in [
        ("shop", "shop", true),
        ("shop", "shop::db", true),
        ("shop", "shop.db", true),
        ("shop", "shopping", false),
        ("shop", "shop_db", false),
        ("shop.db", "shop::db::pool", true),
        ("shop::db", "shop.db", true),
        ("shop.db", "shop.dbx", false),
        ("my-shop", "my_shop.orders", true),
        ("django.db.backends", "django.db", false),
    ] {
        let pattern = TargetPattern::route(text);
        assert_eq!(pattern.matches(target), matches, "{text} {target}");
    }
}
