//! The formats of receivers, chosen by a setting.

use serde_json::{Value, json};
use spanwise::Builder;
use tracing::{info, info_span};

use crate::support::Lines;

fn only_line(vars: &[(&str, &str)], log: impl FnOnce()) -> Value {
    let lines = Lines::default();
    let vars = [("LOG_PRESET", "prod"), ("APP_ENV", "prod")]
        .iter()
        .chain(vars);
    let telemetry = Builder::from_vars(vars.copied())
        .unwrap()
        .service("shop", "1.4.0")
        .with_writer(lines.clone())
        .init()
        .unwrap();
    log();
    drop(telemetry);
    lines.only()
}

#[test]
fn service_has_the_keys_of_the_format() {
    alone!();
    let line = only_line(&[("LOG_FORMAT", "ecs")], || info!("order created"));
    assert_eq!(line["service.name"], "shop");
    assert_eq!(line["service.version"], "1.4.0");
    assert_eq!(line["service.environment"], "prod");
    assert_eq!(line["log.level"], "info");
}

#[test]
fn google_cloud_finds_the_trace_in_its_project() {
    alone!();
    let vars = [("LOG_FORMAT", "gcp"), ("GOOGLE_CLOUD_PROJECT", "my-proj")];
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let line = only_line(&vars, || {
        info_span!("request", trace_id).in_scope(|| info!("order created"));
    });
    assert_eq!(
        line["logging.googleapis.com/trace"],
        format!("projects/my-proj/traces/{trace_id}")
    );
    assert_eq!(
        line["serviceContext"],
        json!({ "service": "shop", "version": "1.4.0" })
    );
}

#[test]
fn invalid_project_is_reported_for_google_cloud() {
    let explained = |format| {
        let vars = [
            ("LOG_FORMAT", format),
            ("GOOGLE_CLOUD_PROJECT", "my/project"),
        ];
        Builder::from_vars(vars).unwrap().explain().to_string()
    };
    let warning = "GOOGLE_CLOUD_PROJECT=my/project is not the id of a project";
    assert!(explained("gcp").contains(warning), "{}", explained("gcp"));
    assert!(
        !explained("json").contains(warning),
        "{}",
        explained("json")
    );
}

#[test]
fn critical_event_has_the_highest_severity() {
    alone!();
    let line = only_line(&[("LOG_FORMAT", "gcp")], || {
        spanwise::critical!(target: "shop::db", order_id = 42, "no database");
    });
    assert_eq!(line["severity"], "CRITICAL");
    assert_eq!(line["target"], "shop::db");
    assert_eq!(line["order_id"], 42);
}

#[test]
fn critical_event_is_an_error_with_a_mark_in_json() {
    alone!();
    let line = only_line(&[("LOG_FORMAT", "json")], || {
        spanwise::critical!("no database")
    });
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["critical"], true);
}

#[test]
fn local_time_of_a_format_in_utc_is_a_warning() {
    let vars = [("LOG_FORMAT", "ecs"), ("LOG_TIME", "local")];
    let explained = Builder::from_vars(vars).unwrap().explain().to_string();
    assert!(
        explained.contains("LOG_TIME=local has no effect: the receivers of `ecs` expect UTC"),
        "{explained}"
    );
}
