//! In production, the first line at DEBUG has the effective settings and their origins.

use crate::support::Lines;

#[test]
fn configuration_event_has_every_origin() {
    alone!();
    let lines = Lines::default();
    let vars = [
        ("LOG_PRESET", "prod"),
        ("RUST_LOG", "debug"),
        ("SERVICE_NAME", "shop"),
    ];
    let _telemetry = spanwise::Builder::from_vars(vars)
        .unwrap()
        .with_writer(lines.clone())
        .init()
        .unwrap();
    let line = lines.with_message("configuration");
    assert_eq!(
        (&line["level"], &line["target"]),
        (&"DEBUG".into(), &"spanwise".into())
    );
    assert_eq!(line["settings"]["RUST_LOG"], "debug (RUST_LOG)");
    assert_eq!(line["settings"]["LOG_FORMAT"], "json (preset prod)");
    assert_eq!(line["settings"]["SERVICE_NAME"], "shop (SERVICE_NAME)");
}
