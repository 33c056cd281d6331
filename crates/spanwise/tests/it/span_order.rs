//! Guards may be dropped in any order, or leaked, or outlive their thread. Each line has the
//! context of its time.

use tracing::{info, info_span};

#[test]
fn each_line_has_the_span_that_is_current() {
    alone!();
    crate::support::bounded(|| {
        let (json, _, _telemetry) = crate::support::install();
        let a = info_span!("a", request_id = "a").entered();
        let b = info_span!("b", request_id = "b").entered();
        let c = info_span!("c", user_id = "c").entered();
        drop(b);
        info!("b closed before c");
        drop(a);
        info!("a closed before c");
        let again = c.id();
        let c = c.exit();
        info!("none");
        let first = c.enter();
        let second = c.enter();
        drop(first);
        info!("entered twice, left once");
        drop(second);
        info!("left");
        assert_eq!(c.id(), again);

        let of = |message: &str| {
            let line = json.with_message(message);
            ["span", "request_id", "user_id"]
                .map(|key| line[key].as_str().unwrap_or("-").to_owned())
        };
        assert_eq!(of("b closed before c"), ["c", "b", "c"]);
        assert_eq!(of("a closed before c"), ["c", "b", "c"]);
        assert_eq!(of("none"), ["-", "-", "-"]);
        assert_eq!(of("left"), ["-", "-", "-"]);
    });
}
