//! The sinks that need no table in a configuration file.
//!
//! Without a configuration file, these are the sinks of `LOG_OUTPUT`, `LOG_FILE` and
//! `LOG_ERROR_FILE`. With or without a file, code and exporters add sinks.

use std::path::Path;

use spanwise_core::Setting;
use tracing::level_filters::LevelFilter;

use crate::{
    Output,
    config::Config,
    outputs::MAIN,
    settings::{LOG_ERROR_FILE, LOG_FILE, LOG_OUTPUT},
    sink_settings::{Routing, SinkKind, SinkRedaction, SinkSettings},
};

impl Config {
    /// Returns the sinks and routes of the configuration file, or else the default sinks. Adds the
    /// sinks that code or the settings of exporters add: a writer, record sinks and exporters. If
    /// the root route lists its sinks, each added sink is put into this list.
    pub(crate) fn sinks_and_routes<'a>(
        &self,
        record_sinks: impl Iterator<Item = &'a str>,
        exporters: impl Iterator<Item = &'static str>,
    ) -> Routing {
        let mut routing = match &self.routing {
            Some(routing) => routing.clone(),
            None => self.default_routing(),
        };
        let main = self.lines.has_writer.then_some(MAIN);
        for name in main.into_iter().chain(record_sinks) {
            let mut sinks = routing.sinks.iter_mut();
            match sinks.find(|sink| sink.name == name) {
                // The table in the file has `kind = "none"`. It sets the options of the writer or
                // record sink from code.
                Some(sink) if matches!(sink.kind, SinkKind::None) => sink.kind = SinkKind::Code,
                Some(_) => {}
                None => routing.add(SinkSettings::for_code(name, self)),
            }
        }
        for kind in exporters {
            let is_this_exporter = |sink: &SinkSettings| match sink.kind {
                SinkKind::Exporter(other) => other == kind,
                _ => false,
            };
            if !routing.sinks.iter().any(is_this_exporter) {
                routing.add(SinkSettings {
                    kind: SinkKind::Exporter(kind),
                    ..SinkSettings::for_code(kind, self)
                });
            }
        }
        routing
    }

    /// Returns the sink named [`MAIN`] in the configuration file, or else the sink of `LOG_OUTPUT`.
    pub(crate) fn main_sink(&self) -> SinkSettings {
        let sinks = self.routing.iter().flat_map(|routing| &routing.sinks);
        let main = sinks.into_iter().find(|sink| sink.name == MAIN);
        main.cloned().unwrap_or_else(|| {
            let kind = match self.lines.output {
                Output::Stdout => SinkKind::Stdout,
                Output::Stderr => SinkKind::Stderr,
                Output::None | Output::TestHarness => SinkKind::None,
            };
            let level = self.lines.level.unwrap_or(LevelFilter::TRACE);
            SinkSettings {
                kind,
                level: level.into(),
                shown_name: self.name_of(&LOG_OUTPUT.def),
                ..SinkSettings::for_code(MAIN, self)
            }
        })
    }

    /// Returns the sinks of `LOG_FILE`, `LOG_ERROR_FILE` and `LOG_OUTPUT` that are set, and no
    /// routes.
    fn default_routing(&self) -> Routing {
        let files = &self.files;
        let file = |path: &Path, name: &str, def: &Setting, level: LevelFilter| SinkSettings {
            kind: SinkKind::File(files.clone().into_settings(path.to_owned(), None)),
            level: level.into(),
            shown_name: self.name_of(def),
            ..SinkSettings::for_code(name, self)
        };
        let level = files.level.unwrap_or(LevelFilter::TRACE);
        let main = self.main_sink();
        let sinks = [
            (files.file.as_deref()).map(|path| file(path, "file", &LOG_FILE.def, level)),
            (files.error_file.as_deref())
                .map(|path| file(path, "error_file", &LOG_ERROR_FILE.def, LevelFilter::ERROR)),
            (self.lines.output != Output::None).then_some(main),
        ];
        Routing {
            sinks: sinks.into_iter().flatten().collect(),
            ..Routing::default()
        }
    }
}

impl Routing {
    /// Adds a sink. If the root route lists its sinks, also adds the sink to this list.
    fn add(&mut self, sink: SinkSettings) {
        if let Some(root_sinks) = &mut self.root.sinks {
            root_sinks.push(sink.name.clone());
        }
        self.sinks.push(sink);
    }
}

impl SinkSettings {
    /// Creates a sink of this name that code adds. Its lines have the options that all sinks share.
    pub(crate) fn for_code(name: &str, config: &Config) -> Self {
        Self {
            name: name.to_owned(),
            shown_name: name.to_owned(),
            kind: SinkKind::Code,
            bit: 0,
            enabled: true,
            format: config.lines.format.clone(),
            fields: config.lines.fields.clone(),
            max_field: config.lines.max_field,
            max_line: config.lines.max_line,
            color: config.lines.color,
            level: LevelFilter::TRACE.into(),
            filters: Vec::new(),
            sampler: None,
            recorder: true,
            redaction: SinkRedaction::Inherited,
            background: None,
            buffer: None,
            when_full: config.lines.when_full,
            fallback: Vec::new(),
        }
    }
}
