//! The lines of JSON in the README are those that its code prints.

use crate::support::Lines;

#[test]
fn readme_lines_are_the_lines_written() {
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
    tracing::info!(target: "shop", password = "hunter2", "paid with 4111 1111 1111 1111");
    drop(telemetry);

    let blocks = readme.split("```json\n").skip(1);
    let shown = blocks.map(|block| block.lines().next().unwrap());
    let after_time = |line: &str| line.split_once("Z\"").unwrap().1.to_owned();
    let shown: Vec<_> = shown.map(after_time).collect();
    let written: Vec<_> = lines.text().lines().map(after_time).collect();
    assert_eq!(written, shown);
}
