//! The names of the formats, and formats that the layer does not write.

use spanwise_core::{Fault, SelfReport};
use spanwise_json::{Format, JsonLayer};
use tracing_subscriber::layer::SubscriberExt as _;

#[test]
fn name_parses_in_any_case() {
    for name in Format::NAMES {
        let format: Format = name.parse().unwrap();
        assert_eq!(format.name(), *name);
        assert_eq!(format.to_string(), *name);
        assert_eq!(name.to_uppercase().parse(), Ok(format));
    }
    assert_eq!(Format::ACCEPTS, Format::NAMES.join(", "));
    assert_eq!(Format::default(), Format::Json);
    for wrong in ["", "jso", "json nested", "text"] {
        let error = wrong.parse::<Format>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("`{wrong}` is not a format: ")),
            "{error}"
        );
        let accepts = format!("accepts {}", Format::ACCEPTS);
        assert!(error.ends_with(&accepts), "{error}");
    }
}

#[test]
fn template_without_its_prefix_gets_a_hint() {
    let error = "{level}".parse::<Format>().unwrap_err().to_string();
    assert!(error.ends_with("a template begins with `text:`"), "{error}");
}

#[test]
fn human_readable_format_is_a_setup_fault() {
    let faults = |format| {
        let report = SelfReport::silent();
        let layer = JsonLayer::new().format(format).report(&report);
        drop(tracing::Dispatch::new(
            tracing_subscriber::registry().with(layer),
        ));
        report
            .stats()
            .faults
            .iter()
            .filter(|(fault, _)| *fault == Fault::Setup)
            .count()
    };
    assert_eq!(faults(Format::Pretty), 1);
    assert_eq!(faults(Format::Compact), 1);
    assert_eq!(faults(Format::Json), 0);
}
