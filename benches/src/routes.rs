//! The cost of routes and filters: six files in two formats, with and without routes to them.
//!
//! ```text
//! cargo bench -p benches --bench routes                          instructions per event, under callgrind
//! cargo bench -p benches --bench routes -- --contender routes-20 --iterations 100000    one contender, for a profiler
//! ```
//!
//! In each contender, every event reaches all six files. The thread that logs also writes them, so
//! its instructions include all lines.

use std::{collections::BTreeMap, error::Error, fmt, io, io::Write as _, path::Path};

use spanwise::__private::{from_file_text_and_vars, without_installing};
use tracing::{
    Event, Subscriber, dispatcher,
    field::{Field, Visit},
    info, info_span,
};
use tracing_subscriber::{Layer, layer::Context};

use crate::{child, data::Data, figures, instructions, options::OneContender, table};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    /// Six sinks, and no routes.
    Plain,
    /// Twenty routes. Two of them are parents of the target.
    Routes,
    /// The twenty routes, and a filter on a field of the event.
    Filter,
    /// The twenty routes, and a layer that visits the fields of each event, which is what a filter
    /// on a field cannot avoid.
    Visit,
    /// The twenty routes, in a configuration that can be reloaded.
    Reload,
}

const CONTENDERS: [Contender; 5] = [
    Contender::Plain,
    Contender::Routes,
    Contender::Filter,
    Contender::Visit,
    Contender::Reload,
];

const SINKS: usize = 6;
const ROUTES: usize = 20;
const WARM_UP: u64 = 200;

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "routes-0",
            Self::Routes => "routes-20",
            Self::Filter => "routes-20-filter",
            Self::Visit => "routes-20-visit",
            Self::Reload => "routes-20-reload",
        }
    }

    /// Returns the configuration file, with the files of sinks in `directory`.
    fn file(self, directory: &Path) -> String {
        let directory = directory.display();
        let mut file = String::new();
        if self == Self::Reload {
            file += "reload = \"manual\"\n";
        }
        for sink in 0..SINKS {
            let format = if sink % 2 == 0 { "json" } else { "ecs" };
            file += &format!(
                "[sink.s{sink}]\nkind = \"file\"\npath = \"{directory}/{sink}.log\"\n\
                 format = \"{format}\"\nbackground = false\n"
            );
            if self == Self::Filter && sink == 0 {
                file += "filters = [\"expensive\"]\n";
            }
        }
        if self == Self::Filter {
            file += "[filter]\nexpensive = { keep = { field = \"amount\", above = 1 } }\n";
        }
        if self != Self::Plain {
            file += "[root]\nsinks = [\"s0\", \"s1\", \"s2\", \"s3\", \"s4\", \"s5\"]\n";
            file += "[route.benches]\nsinks = [\"s4\"]\n[route.\"benches::routes\"]\nsinks = [\"s5\"]\n";
            for route in 2..ROUTES {
                file += &format!("[route.\"shop::module_{route}\"]\nsinks = [\"s0\"]\n");
            }
        }
        file
    }
}

/// Visits the fields of each event, and reads none.
struct VisitFields;

/// Reads no value.
struct NoValues;

impl Visit for NoValues {
    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
    fn record_str(&mut self, _: &Field, _: &str) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}
}

impl<S: Subscriber> Layer<S> for VisitFields {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut NoValues);
    }
}

fn log(data: &Data, events: u64) {
    let _request =
        info_span!("request", route = data.route, port = data.port, request_id = %data.request_id)
            .entered();
    for event in 0..events {
        info!(
            order_number = data.order_number,
            amount = data.amount,
            express = data.express,
            customer = data.customer(event),
            "order placed"
        );
    }
}

/// Runs the bench as the arguments of the process request.
///
/// # Errors
///
/// If an argument is unknown, or a child process could not be started or failed.
pub fn run(arguments: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    match OneContender::parse(arguments, &CONTENDERS, Contender::name)? {
        OneContender::Measure(contender, count) => measure(contender, count),
        OneContender::Compare => by_instructions(),
        OneContender::Nothing => Ok(()),
    }
}

fn measure(contender: Contender, events: u64) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = contender.file(directory.path());
    let builder = from_file_text_and_vars(&file, &[("LOG_PRESET", "prod")])?;
    let builder = match contender {
        Contender::Visit => builder.layer_unredacted(VisitFields),
        _ => builder,
    };
    let (dispatch, _telemetry) = without_installing(builder)?;
    dispatcher::set_global_default(dispatch)?;
    let data = Data::new();
    log(&data, WARM_UP);
    let (time, _) = child::watched(|| log(&data, events));
    writeln!(
        io::stdout(),
        "{}",
        time.as_nanos() as f64 / events.max(1) as f64
    )?;
    Ok(())
}

fn by_instructions() -> Result<(), Box<dyn Error>> {
    const SHORT_RUN: u64 = 500;
    const LONG_RUN: u64 = 2500;
    let mut results = BTreeMap::new();
    for contender in CONTENDERS {
        let arguments = |events: u64| {
            let name = contender.name().to_owned();
            [
                "--contender".to_owned(),
                name,
                "--iterations".to_owned(),
                events.to_string(),
            ]
        };
        let per_event = instructions::per_unit(SHORT_RUN, LONG_RUN, arguments)?;
        results.insert(contender, per_event);
    }
    figures::record(
        results.iter().map(|(contender, value)| {
            (format!("routes/instructions/{}", contender.name()), *value)
        }),
    )?;
    let plain = results.get(&Contender::Plain).copied().unwrap_or_default();
    let rows = results.iter().map(|(contender, value)| {
        let ratio = format!("{:.3}×", value / plain);
        (
            contender.name(),
            vec![Some(table::number(*value)), Some(ratio)],
        )
    });
    table::print(
        "Instructions per event",
        "contender",
        &["instructions", "ratio"],
        rows,
    )
}
