//! The line of JSON in the README is the one that its program prints.

use crate::support::Lines;

#[test]
fn readme_line_is_the_line_written() {
    alone!();
    let readme = include_str!("../../../../README.md");
    let lines = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("SERVICE_NAME", "shop"),
        ("SERVICE_VERSION", "1.4.0"),
    ];
    let telemetry = spanwise::Builder::from_vars(vars)
        .unwrap()
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let request = tracing::info_span!("http.request", request_id = "r-1", tenant_id = "acme");
    request.in_scope(|| {
        spanwise::context::set("user_id", "ada");
        tracing::info!(target: "shop", order_id = 42, "order created");
    });
    drop(telemetry);

    let (_, block) = readme.split_once("```json\n").unwrap();
    let (shown, _) = block.split_once('\n').unwrap();
    let after_time = |line: &str| line.split_once("Z\"").unwrap().1.to_owned();
    assert_eq!(after_time(lines.text().trim_end()), after_time(shown));
}
