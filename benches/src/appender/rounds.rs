//! The rounds and their tables. A round measures every contender. The next round begins with the
//! next contender.

use std::{collections::BTreeMap, error::Error};

use super::{
    Contender, Workload,
    options::Options,
    pass::{self, Pass},
};
use crate::{
    child, figures, rounds,
    table::{self, number},
};

/// The workload and the number of producers of one table.
type Case = (Workload, u64);

/// The results of all runs of one contender in one case. The columns are those of [`Pass`].
#[derive(Debug, Default)]
struct Samples {
    speed: Vec<[f64; 3]>,
    latency: Vec<[f64; 4]>,
    allocations: Vec<[f64; 1]>,
}

/// The medians of [`Samples`].
#[derive(Debug, Clone, Copy)]
struct Medians {
    speed: Option<[f64; 3]>,
    latency: Option<[f64; 4]>,
    allocations: Option<[f64; 1]>,
}

pub(crate) fn run(options: &Options, rounds: usize) -> Result<(), Box<dyn Error>> {
    let mut samples = BTreeMap::<(Case, Contender), Samples>::new();
    let cases: Vec<Case> = options
        .workloads()
        .iter()
        .flat_map(|workload| {
            let producers = options.producers(*workload).iter();
            producers.map(|producers| (*workload, *producers))
        })
        .collect();
    for round in 0..rounds {
        for &case in &cases {
            for contender in rounds::rotated(options.contenders(), round) {
                if contender.takes_part_in(case.0) {
                    let samples = samples.entry((case, contender)).or_default();
                    samples.add(options, case, contender, round)?;
                }
            }
        }
    }
    let medians = samples
        .iter()
        .map(|(key, samples)| (*key, samples.medians()))
        .collect();
    record(&medians)?;
    for case in &cases {
        print(options, *case, rounds, &medians)?;
    }
    print_rotation(options, &cases, &medians)
}

impl Samples {
    fn add(
        &mut self,
        options: &Options,
        case: Case,
        contender: Contender,
        round: usize,
    ) -> Result<(), Box<dyn Error>> {
        let arguments = |pass| arguments(options, case, contender, pass);
        self.latency
            .push(child::numbers(&arguments(Pass::Latency))?);
        // The speed of a paced workload is given. The speed with rotation would not include the
        // compression after the guard is dropped.
        if !case.0.is_paced() && !case.0.rotates() {
            self.speed.push(child::numbers(&arguments(Pass::Speed))?);
            if round == 0 {
                let allocations = child::numbers(&arguments(Pass::Allocations))?;
                self.allocations.push(allocations);
            }
        }
        Ok(())
    }

    fn medians(&self) -> Medians {
        Medians {
            speed: medians(&self.speed),
            latency: medians(&self.latency),
            allocations: medians(&self.allocations),
        }
    }
}

/// Returns the median of each column.
fn medians<const COLUMNS: usize>(rows: &[[f64; COLUMNS]]) -> Option<[f64; COLUMNS]> {
    (!rows.is_empty()).then(|| {
        std::array::from_fn(|column| rounds::median(rows.iter().map(|row| row[column]).collect()))
    })
}

/// Returns the arguments that make a child do one run.
fn arguments(options: &Options, case: Case, contender: Contender, pass: Pass) -> Vec<String> {
    let (workload, producers) = case;
    [
        ("--pass", pass.name().to_owned()),
        ("--contender", contender.name().to_owned()),
        ("--workload", workload.name().to_owned()),
        ("--producers", producers.to_string()),
        ("--lines", options.lines(workload).to_string()),
        ("--rotate-at", options.rotate_at.to_string()),
    ]
    .into_iter()
    .flat_map(|(name, value)| [name.to_owned(), value])
    .collect()
}

/// Records the figures. Their ids have `flat-2` for the workload `flat` with two producers.
fn record(medians: &BTreeMap<(Case, Contender), Medians>) -> Result<(), Box<dyn Error>> {
    let peer = |case: &Case| medians.get(&(*case, Contender::TracingAppender));
    let figures = medians.iter().flat_map(|((case, contender), own)| {
        let ([speed, cpu, peak], [p50, p99, p999, _]) = (
            own.speed.map_or([None; 3], |values| values.map(Some)),
            own.latency.map_or([None; 4], |values| values.map(Some)),
        );
        let peer_speed = || peer(case)?.speed;
        let peer_p99 = || Some(peer(case)?.latency?[1]);
        let times = |own: Option<f64>, peer: Option<f64>| Some(own? / peer?);
        let of_peer = peer_speed();
        let values = [
            ("speed", times(speed, of_peer.map(|values| values[0]))),
            ("cpu", times(cpu, of_peer.map(|values| values[1]))),
            ("peak-mib", peak),
            ("p50", p50),
            ("p99", p99),
            ("p99.9", p999),
            ("p99-ratio", times(peer_p99(), p99)),
            ("allocations", own.allocations.map(|[count]| count)),
        ];
        let case = format!("{}-{}", case.0.name(), case.1);
        let contender = contender.name();
        values.into_iter().filter_map(move |(measure, value)| {
            Some((format!("appender/{measure}/{contender}/{case}"), value?))
        })
    });
    figures::record(figures)?;
    // The waits of a workload with files that roll, divided by those without.
    let rotating = medians.iter().filter_map(|((case, contender), own)| {
        let still = medians.get(&((case.0.without_rotation(), case.1), *contender))?;
        let ratio = own.latency?[2] / still.latency?[2];
        let id = format!("appender/rotation/{}/{}", contender.name(), case.0.name());
        case.0.rotates().then_some((id, ratio))
    });
    figures::record(rotating)
}

const COLUMNS: [&str; 10] = [
    "lines/s",
    "× lines/s",
    "CPU ns/line",
    "p50 ns",
    "p99 ns",
    "× p99",
    "p99.9 ns",
    "max ns",
    "allocations/line",
    "peak MiB",
];

fn print(
    options: &Options,
    case: Case,
    rounds: usize,
    medians: &BTreeMap<(Case, Contender), Medians>,
) -> Result<(), Box<dyn Error>> {
    let (workload, producers) = case;
    let title = format!(
        "**{}**, {}, {} lines, medians of {rounds} rounds; × is to tracing-appender, more is better; reading the \
         clock costs {} ns of each wait",
        workload.name(),
        if producers == 1 {
            "1 producer".to_owned()
        } else {
            format!("{producers} producers")
        },
        number(options.lines(workload) as f64),
        pass::clock_cost(),
    );
    let peer = medians.get(&(case, Contender::TracingAppender));
    let rows = options.contenders().iter().filter_map(|contender| {
        let own = medians.get(&(case, *contender))?;
        let speed = |column: usize| own.speed.map(|speed| number(speed[column]));
        let latency = |column: usize| own.latency.map(|latency| number(latency[column]));
        let times_the_speed = || Some(own.speed?[0] / peer?.speed?[0]);
        let times_the_p99 = || Some(peer?.latency?[1] / own.latency?[1]);
        let times = |ratio: Option<f64>| ratio.map(|ratio| format!("{ratio:.2}×"));
        let cells = vec![
            speed(0),
            times(times_the_speed()),
            speed(1),
            latency(0),
            latency(1),
            times(times_the_p99()),
            latency(2),
            latency(3),
            own.allocations.map(|[count]| number(count)),
            speed(2),
        ];
        Some((contender.name(), cells))
    });
    table::print(&title, "contender", &COLUMNS, rows)
}

/// Prints how many times as long callers wait while files roll and are compressed.
fn print_rotation(
    options: &Options,
    cases: &[Case],
    medians: &BTreeMap<(Case, Contender), Medians>,
) -> Result<(), Box<dyn Error>> {
    let cases: Vec<_> = cases.iter().filter(|case| case.0.rotates()).collect();
    if cases.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = cases.iter().map(|case| case.0.name()).collect();
    let rows = options.contenders().iter().filter_map(|contender| {
        let ratio = |case: &Case| {
            let still = (case.0.without_rotation(), case.1);
            let rotating = medians.get(&(*case, *contender))?.latency?[2];
            let still = medians.get(&(still, *contender))?.latency?[2];
            Some(format!("{:.2}×", rotating / still))
        };
        let cells: Vec<_> = cases.iter().map(|case| ratio(case)).collect();
        cells
            .iter()
            .any(Option::is_some)
            .then_some((contender.name(), cells))
    });
    let title = "p99.9 with rotation and gzip / p99.9 without";
    table::print(title, "contender", &names, rows)
}
