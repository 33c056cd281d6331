//! The OTLP resource: attributes that all spans, log records and metrics of the process have.

use std::{env, path::Path, process, sync::Arc};

use spanwise_core::internal::{forks::PerProcess, random_bits};

use crate::wire::WireWriter as _;

/// The resource of this process, encoded. Clones share it. A forked child detects and encodes its
/// own, because its process and instance ids differ.
#[derive(Debug, Clone)]
pub(crate) struct Resource(Arc<ResourceParts>);

#[derive(Debug)]
struct ResourceParts {
    configured: Vec<(String, String)>,
    process_attributes: PerProcess<ProcessAttributes>,
}

#[derive(Debug)]
struct ProcessAttributes {
    attributes: Vec<(String, ResourceValue)>,
    encoded: Arc<[u8]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ResourceValue {
    Text(String),
    Int(i64),
}

pub(crate) const SERVICE_NAME: &str = "service.name";
pub(crate) const SERVICE_VERSION: &str = "service.version";
pub(crate) const SERVICE_INSTANCE_ID: &str = "service.instance.id";
pub(crate) const ENVIRONMENT: &str = "deployment.environment.name";

impl Resource {
    /// Creates the resource from detected attributes and from `configured` keys and values. The
    /// last configured value of a key takes precedence. An empty `service.name` is ignored.
    pub(crate) fn new(configured: Vec<(String, String)>) -> Self {
        let process_attributes = PerProcess::new(ProcessAttributes::new(&configured));
        Self(Arc::new(ResourceParts {
            configured,
            process_attributes,
        }))
    }

    fn process_attributes(&self) -> &ProcessAttributes {
        let ResourceParts {
            configured,
            process_attributes,
        } = &*self.0;
        process_attributes.for_this_process(|_| ProcessAttributes::new(configured))
    }

    /// Returns the encoded `Resource`.
    pub(crate) fn encoded(&self) -> Arc<[u8]> {
        Arc::clone(&self.process_attributes().encoded)
    }

    pub(crate) fn attributes(&self) -> &[(String, ResourceValue)] {
        &self.process_attributes().attributes
    }
}

impl ProcessAttributes {
    fn new(configured: &[(String, String)]) -> Self {
        let mut attributes: Vec<(String, ResourceValue)> = Vec::new();
        let is_set = |(key, value): &&(String, String)| key != SERVICE_NAME || !value.is_empty();
        let configured = configured
            .iter()
            .filter(is_set)
            .map(|(key, value)| (key.clone(), ResourceValue::Text(value.clone())));
        for (key, value) in detect_attributes().into_iter().chain(configured) {
            match attributes.iter_mut().find(|(other, _)| *other == key) {
                Some((_, old_value)) => *old_value = value,
                None => attributes.push((key, value)),
            }
        }
        Self {
            encoded: encode_resource(&attributes).into(),
            attributes,
        }
    }
}

/// Returns the attributes that need no configuration.
fn detect_attributes() -> Vec<(String, ResourceValue)> {
    let text = |key: &str, value: String| (key.to_owned(), ResourceValue::Text(value));
    let mut detected = vec![
        text(SERVICE_NAME, program_name()),
        text(SERVICE_INSTANCE_ID, random_uuid()),
        text("telemetry.sdk.name", "spanwise".to_owned()),
        text("telemetry.sdk.language", "rust".to_owned()),
        text(
            "telemetry.sdk.version",
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        (
            "process.pid".to_owned(),
            ResourceValue::Int(process::id().into()),
        ),
    ];
    detected.extend(host_name().map(|name| text("host.name", name)));
    detected
}

/// Returns the file name of the executable, without its extension.
fn program_name() -> String {
    let path = env::current_exe().ok();
    let name = path.as_deref().and_then(Path::file_stem);
    let name = name.map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "unknown_service".to_owned())
}

#[cfg(unix)]
fn host_name() -> Option<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_str().ok()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(not(unix))]
fn host_name() -> Option<String> {
    None
}

/// Returns a UUID of version 4.
fn random_uuid() -> String {
    let (high, low) = (random_bits(), random_bits());
    let high = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000;
    let low = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF
    )
}

fn encode_resource(attributes: &[(String, ResourceValue)]) -> Vec<u8> {
    const ATTRIBUTES: u32 = 1;
    const KEY: u32 = 1;
    const VALUE: u32 = 2;
    const STRING: u32 = 1;
    const INT: u32 = 3;

    let mut resource = Vec::new();
    for (key, value) in attributes {
        resource.message(ATTRIBUTES, |pair| {
            pair.bytes(KEY, key.as_bytes());
            pair.message(VALUE, |any| match value {
                ResourceValue::Text(text) => any.bytes(STRING, text.as_bytes()),
                ResourceValue::Int(int) => any.uint(INT, *int as u64),
            });
        });
    }
    resource
}
