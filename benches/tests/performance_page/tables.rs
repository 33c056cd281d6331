//! The tables of the page, between their markers.

use crate::{
    figures::{Figures, number},
    goals::{GOALS, Goal},
};

/// A row for each key, a cell for each column.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The title of the column of labels.
    label: &'static str,
    /// Labels, and the keys that replace `{row}` in ids.
    rows: Vec<(String, String)>,
    columns: Vec<Column>,
}

struct Column {
    title: String,
    cell: Box<Cell>,
}

/// Returns what a cell shows, by the key of its row.
type Cell = dyn Fn(&Figures, &str) -> Option<String>;

const END: &str = "<!-- end of table -->";

pub(crate) fn begin(name: &str) -> String {
    format!("<!-- table: {name} -->")
}

/// The page with the tables of these figures.
pub(crate) fn render(page: &str, figures: &Figures) -> String {
    let mut page = page.to_owned();
    for table in all() {
        let begin = begin(table.name);
        let Some((before, rest)) = page.split_once(&begin) else {
            continue;
        };
        let (_, after) = rest
            .split_once(END)
            .unwrap_or_else(|| panic!("{begin} has no end"));
        page = format!("{before}{begin}\n{}{END}{after}", table.markdown(figures));
    }
    page
}

/// The lines of tables that are outside of the markers.
pub(crate) fn lines_outside(page: &str) -> Vec<String> {
    let lines = without(page);
    let lines = lines.lines().filter(|line| line.starts_with('|'));
    lines.map(str::to_owned).collect()
}

/// The text without what is between markers.
pub(crate) fn without(page: &str) -> String {
    let mut is_inside = false;
    let mut text = String::new();
    for line in page.lines() {
        is_inside |= line.starts_with("<!-- table: ");
        if !is_inside {
            text.push_str(line);
            text.push('\n');
        }
        is_inside &= line != END;
    }
    text
}

impl Table {
    fn markdown(&self, figures: &Figures) -> String {
        let titles: Vec<_> = self
            .columns
            .iter()
            .map(|column| column.title.as_str())
            .collect();
        let mut text = format!("\n| {} | {} |\n", self.label, titles.join(" | "));
        let labels = self.label.split(" | ").count();
        text += &format!(
            "|{}{}\n",
            " --- |".repeat(labels),
            " ---: |".repeat(titles.len())
        );
        let mut is_empty = true;
        for (label, key) in &self.rows {
            let cells = self.columns.iter();
            let cells: Vec<_> = cells.map(|column| (column.cell)(figures, key)).collect();
            if cells.iter().all(Option::is_none) {
                continue;
            }
            is_empty = false;
            let cells: Vec<_> = cells
                .into_iter()
                .map(|cell| cell.unwrap_or_else(|| "–".to_owned()))
                .collect();
            text += &format!("| {label} | {} |\n", cells.join(" | "));
        }
        if is_empty {
            return "\nNot measured since this bench changed.\n\n".to_owned();
        }
        text + "\n"
    }
}

fn table<R: ToString>(
    name: &'static str,
    label: &'static str,
    rows: &[R],
    columns: Vec<Column>,
) -> Table {
    let rows = rows.iter().map(|row| (row.to_string(), row.to_string()));
    Table {
        name,
        label,
        rows: rows.collect(),
        columns,
    }
}

/// Gives rows other labels than their keys.
fn labelled(mut table: Table, labels: &[&str]) -> Table {
    assert_eq!(table.rows.len(), labels.len(), "{}", table.name);
    for ((label, _), other) in table.rows.iter_mut().zip(labels) {
        (*other).clone_into(label);
    }
    table
}

fn column(
    title: impl Into<String>,
    cell: impl Fn(&Figures, &str) -> Option<String> + 'static,
) -> Column {
    Column {
        title: title.into(),
        cell: Box::new(cell),
    }
}

/// The value of an id.
fn value(title: impl Into<String>, id: impl Into<String>) -> Column {
    let id = id.into();
    column(title, move |figures, row| {
        Some(number(at(figures, &id, row)?))
    })
}

/// The value of an id that is a ratio: `8.97×`.
fn times(title: impl Into<String>, id: impl Into<String>) -> Column {
    let id = id.into();
    column(title, move |figures, row| {
        Some(format!("{:.2}×", at(figures, &id, row)?))
    })
}

/// A ratio of two values, as `8.97×`.
fn ratio(title: impl Into<String>, above: impl Into<String>, below: impl Into<String>) -> Column {
    let (above, below) = (above.into(), below.into());
    column(title, move |figures, row| {
        let ratio = at(figures, &above, row)? / at(figures, &below, row)?;
        Some(format!("{ratio:.2}×"))
    })
}

/// What is above a base, as a number.
fn above(title: impl Into<String>, id: impl Into<String>, base: impl Into<String>) -> Column {
    let (id, base) = (id.into(), base.into());
    column(title, move |figures, row| {
        Some(number(at(figures, &id, row)? - at(figures, &base, row)?))
    })
}

/// The value of an id. `{row}` is the key; `{0}` and `{1}` are its parts before and after the `/`.
fn at(figures: &Figures, id: &str, row: &str) -> Option<f64> {
    let (first, second) = row.split_once('/').unwrap_or((row, row));
    let id = id.replace("{row}", row);
    figures.get(&id.replace("{0}", first).replace("{1}", second))
}

pub(crate) fn all() -> Vec<Table> {
    let mut tables = peers();
    tables.push(goals());
    tables.extend(redaction());
    tables.extend(sampling());
    tables.extend(appender());
    tables.extend(growth());
    tables.extend(servers());
    tables.push(routes());
    tables.push(reloads());
    tables.push(profile());
    tables.extend(exporters());
    tables.extend(adoption());
    tables
}

const PEERS: [&str; 11] = [
    "spanwise-prod",
    "spanwise",
    "spanwise-stack",
    "spanwise-nested",
    "fmt-json",
    "json-subscriber",
    "bunyan",
    "microjson",
    "fmt",
    "floor",
    "limit",
];

const WORKLOADS: [&str; 11] = [
    "flat",
    "flat-mixed",
    "flat-hidden",
    "nested",
    "nested-mixed",
    "nested-hidden",
    "request",
    "request-hidden",
    "escape",
    "text-2k",
    "text-64k",
];

const COLUMNS: [&str; 7] = [
    "flat", "nested", "request", "escape", "text-2k", "text-64k", "disabled",
];

fn peers() -> Vec<Table> {
    let prod = "peers/instructions/spanwise-prod/{row}";
    let columns = |id: fn(&str) -> Column| COLUMNS.iter().map(|column| id(column)).collect();
    vec![
        table(
            "prod",
            "workload",
            &WORKLOADS,
            vec![
                value("instructions", prod),
                ratio("`fmt-json`", "peers/instructions/fmt-json/{row}", prod),
                ratio("`microjson`", "peers/instructions/microjson/{row}", prod),
                times(
                    "time, `fmt-json`",
                    "peers/time/fmt-json/spanwise-prod/{row}",
                ),
                times(
                    "time, `microjson`",
                    "peers/time/microjson/spanwise-prod/{row}",
                ),
                value("allocations", "peers/allocations/spanwise-prod/{row}"),
            ],
        ),
        table(
            "peers-instructions",
            "contender",
            &PEERS,
            columns(|workload| value(workload, format!("peers/instructions/{{row}}/{workload}"))),
        ),
        table(
            "peers-ratios",
            "contender",
            &PEERS,
            columns(|workload| {
                pair(workload, |figures, row, peer, workload| {
                    let cost = |contender| {
                        figures.get(&format!("peers/instructions/{contender}/{workload}"))
                    };
                    Some(cost(peer)? / cost(row)?)
                })
            }),
        ),
        table(
            "peers-time",
            "contender",
            &PEERS,
            columns(|workload| {
                pair(workload, |figures, row, peer, workload| {
                    figures.get(&format!("peers/time/{peer}/{row}/{workload}"))
                })
            }),
        ),
        table(
            "peers-allocations",
            "contender",
            &PEERS,
            columns(|workload| value(workload, format!("peers/allocations/{{row}}/{workload}"))),
        ),
    ]
}

/// The ratios to `fmt-json` and to `microjson`; for the disabled event, to `fmt`.
fn pair(
    workload: &str,
    ratio: fn(&Figures, row: &str, peer: &str, workload: &str) -> Option<f64>,
) -> Column {
    let workload = workload.to_owned();
    let peers: &[&str] = match workload.as_str() {
        "disabled" => &["fmt"],
        _ => &["fmt-json", "microjson"],
    };
    column(workload.clone(), move |figures, row| {
        let ratios = peers
            .iter()
            .map(|peer| ratio(figures, row, peer, &workload));
        let shown: Option<Vec<_>> = ratios
            .map(|ratio| Some(format!("{:.2}×", ratio?)))
            .collect();
        shown.map(|shown| shown.join(", "))
    })
}

fn goals() -> Table {
    let numbers: Vec<usize> = (0..GOALS.len()).collect();
    let cell = |title: &str, shown: fn(&Goal, &Figures) -> Option<String>| {
        column(title, move |figures, row| {
            shown(&GOALS[row.parse::<usize>().ok()?], figures)
        })
    };
    let columns = vec![
        cell("goal", |goal, _| Some(goal.bound())),
        cell("measured", |goal, figures| {
            Some(format!("{:.2}", goal.measured(figures)?))
        }),
        cell("", |goal, figures| {
            let shown = if goal.is_met(figures)? {
                "met"
            } else {
                "**missed**"
            };
            Some(shown.to_owned())
        }),
    ];
    let titles: Vec<&str> = GOALS.iter().map(|goal| goal.title).collect();
    labelled(table("goals", "figure", &numbers, columns), &titles)
}

fn redaction() -> Vec<Table> {
    let rows = [
        "spanwise-policy/spanwise",
        "fmt-json-redacted/fmt-json",
        "fmt-json-unasked/fmt-json",
    ];
    let labels = [
        "`JsonLayer`",
        "`fmt().json()`, `Redacted`",
        "the same, `wants_every_event()`",
    ];
    let columns = [
        "numbers",
        "keys",
        "flat",
        "flat-mixed",
        "flat-hidden",
        "request",
        "request-hidden",
        "escape",
        "text-2k",
    ];
    let columns = columns.map(|workload| {
        let id = |part| format!("redaction/instructions/{{{part}}}/{workload}");
        ratio(workload, id(0), id(1))
    });
    vec![labelled(
        table("redaction", "with the policy", &rows, columns.into()),
        &labels,
    )]
}

fn sampling() -> Vec<Table> {
    let rows = [
        "unsampled",
        "exempt",
        "ratio-kept",
        "ratio-left-out",
        "rate-kept",
        "rate-held-back",
        "first-kept",
        "value-kept",
    ];
    let labels = [
        "no sampler",
        "rules about other events",
        "a ratio, kept",
        "a ratio, dropped",
        "a rate, kept",
        "a rate, suppressed",
        "first and then every, kept",
        "a rate for each value of a text, kept",
    ];
    let places = [
        ("json, flat", "json-flat"),
        ("json, nested", "json-nested"),
        ("nothing, flat", "nothing-flat"),
        ("nothing, nested", "nothing-nested"),
    ];
    let instructions =
        places.map(|(title, place)| value(title, format!("sampling/instructions/{{row}}/{place}")));
    let time = vec![
        value("more ns, json", "sampling/more-ns/{row}/json-flat"),
        value("more ns, nothing", "sampling/more-ns/{row}/nothing-flat"),
        times(
            "cheaper than the line",
            "sampling/times-cheaper/{row}/json-flat",
        ),
    ];
    vec![
        labelled(
            table(
                "sampling-instructions",
                "in front",
                &rows,
                instructions.into(),
            ),
            &labels,
        ),
        labelled(
            table("sampling-time", "in front", &rows[1..], time),
            &labels[1..],
        ),
    ]
}

fn appender() -> Vec<Table> {
    let columns = || {
        vec![
            times("lines/s", "appender/speed/{row}"),
            times("CPU a line", "appender/cpu/{row}"),
            value("p50 ns", "appender/p50/{row}"),
            value("p99 ns", "appender/p99/{row}"),
            times("shorter p99", "appender/p99-ratio/{row}"),
            value("p99.9 ns", "appender/p99.9/{row}"),
            value("allocations", "appender/allocations/{row}"),
            value("peak MiB", "appender/peak-mib/{row}"),
        ]
    };
    let table_of = |name, label, cases: &[(&str, &str)], contenders: &[&str]| {
        let rows = cases.iter().flat_map(|(title, case)| {
            contenders.iter().map(move |contender| {
                let label = format!("{title} | {contender}");
                (label, format!("{contender}/{case}"))
            })
        });
        Table {
            name,
            label,
            rows: rows.collect(),
            columns: columns(),
        }
    };
    let rotation = ["lines-rotating", "paced-rotating"];
    let rotation =
        rotation.map(|workload| times(workload, format!("appender/rotation/{{row}}/{workload}")));
    vec![
        table_of(
            "appender-lines",
            "producers | contender",
            &[("1", "lines-1"), ("2", "lines-2"), ("4", "lines-4")],
            &[
                "spanwise",
                "tracing-appender",
                "logroller",
                "flexi-async",
                "flexi-buffered",
                "limit",
            ],
        ),
        table_of(
            "appender-events",
            "events | contender",
            &[
                ("flat, 1 producer", "flat-1"),
                ("flat, 2 producers", "flat-2"),
                ("flat-mixed, 2 producers", "flat-mixed-2"),
                ("request, 2 producers", "request-2"),
            ],
            &["spanwise-prod", "spanwise", "tracing-appender", "limit"],
        ),
        table(
            "appender-rotation",
            "p99.9 with gzip",
            &["spanwise", "logroller"],
            rotation.into(),
        ),
    ]
}

/// The names of axes with the points that the bench has.
const AXES: [(&str, &str, &[u64]); 11] = [
    ("growth-depth", "depth", &[1, 4, 16, 64]),
    ("growth-keys", "keys", &[0, 64, 125, 250, 1_000]),
    ("growth-shared-keys", "shared-keys", &[0, 1, 4]),
    ("growth-late-record", "late-record", &[1, 4, 16]),
    ("growth-callsites", "callsites", &[10, 1_000, 10_000]),
    ("growth-open-spans", "open-spans", &[10, 1_000, 100_000]),
    ("growth-layers", "layers", &[1, 2, 3, 4, 8]),
    ("growth-numbers", "numbers", &[1, 8, 16, 32]),
    ("growth-texts", "texts", &[1, 8, 16, 32]),
    ("growth-message", "message", &[16, 256, 4_096, 65_536]),
    (
        "growth-message-numbers",
        "message-numbers",
        &[16, 256, 4_096, 65_536],
    ),
];

fn growth() -> Vec<Table> {
    let rows = ["spanwise-prod", "spanwise", "microjson", "fmt-json"];
    let mut tables: Vec<_> = AXES
        .iter()
        .map(|(name, axis, points)| {
            let columns = points.iter().map(|at| {
                let id = format!("growth/instructions-{axis}/{{row}}/{at}");
                value(number(*at as f64), id)
            });
            table(name, axis, &rows, columns.collect())
        })
        .collect();
    let timed = [
        ("callsites-1000", "callsites", 1_000),
        ("callsites-10000", "callsites", 10_000),
        ("open-spans-100000", "open-spans", 100_000),
        ("threads-2", "threads", 2),
        ("thread-spans-2", "thread-spans", 2),
    ];
    let columns =
        timed.map(|(title, axis, at)| times(title, format!("growth/time-{axis}/{{row}}/{at}")));
    tables.push(table("growth-time", "contender", &rows, columns.into()));
    tables
}

fn servers() -> Vec<Table> {
    let http = [
        "tower-http/served",
        "spanwise-prod/served",
        "spanwise/served",
        "spanwise-stack/served",
        "spanwise-prod/quiet",
        "tower-http/warn",
        "spanwise-prod/warn",
        "tower-http/disabled",
        "spanwise-prod/disabled",
    ];
    let http_labels = [
        "tower-http",
        "spanwise-prod",
        "spanwise",
        "spanwise-stack",
        "spanwise-prod, without the event",
        "tower-http, under `RUST_LOG=warn`",
        "spanwise-prod, under `RUST_LOG=warn`",
        "tower-http, all disabled",
        "spanwise-prod, all disabled",
    ];
    let bare = |measure: &str| format!("http/{measure}/bare/{{1}}");
    let own = |measure: &str| format!("http/{measure}/{{row}}");
    let of_peer = column("of tower-http's", |figures, row| {
        let (_, workload) = row.split_once('/')?;
        let cost = |contender: &str| figures.get(&format!("http/instructions/{contender}"));
        let bare = cost(&format!("bare/{workload}"))?;
        let peer = cost(&format!("tower-http/{workload}"))? - bare;
        Some(format!("{:.2}", (cost(row)? - bare) / peer))
    });
    let load = [
        "bare/devnull",
        "tower-http/devnull",
        "spanwise-prod/devnull",
        "spanwise-sentry/devnull",
        "bare/file",
        "tower-http/file",
        "spanwise-prod/file",
        "spanwise-sentry/file",
    ];
    let load_labels = [
        "bare | `/dev/null`",
        "tower-http | `/dev/null`",
        "spanwise-prod | `/dev/null`",
        "spanwise-prod with Sentry | `/dev/null`",
        "bare | a file",
        "tower-http | a file",
        "spanwise-prod | a file",
        "spanwise-prod with Sentry | a file",
    ];
    vec![
        labelled(
            table(
                "http",
                "a request",
                &http,
                vec![
                    above("instructions", own("instructions"), bare("instructions")),
                    of_peer,
                    times("time, of tower-http's", "http/time/{row}"),
                    above("allocations", own("allocations"), bare("allocations")),
                ],
            ),
            &http_labels,
        ),
        labelled(
            table(
                "load",
                "server | output",
                &load,
                vec![
                    times(
                        "CPU more than bare, of tower-http's",
                        "load/cpu-added/{row}",
                    ),
                    times("requests/s, of bare", "load/requests-of-bare/{row}"),
                ],
            ),
            &load_labels,
        ),
        table(
            "http-client",
            "a call",
            &["bare", "off", "spanwise", "baggage"],
            vec![
                value("instructions", "http_client/instructions/{row}/call"),
                value("allocations", "http_client/allocations/{row}/call"),
            ],
        ),
    ]
}

fn routes() -> Table {
    let cost = |row: &str| format!("routes/instructions/{row}");
    table(
        "routes",
        "sinks",
        &[
            "routes-0",
            "routes-20",
            "routes-20-filter",
            "routes-20-visit",
            "routes-20-reload",
        ],
        vec![
            value("instructions", cost("{row}")),
            ratio("of routes-0", cost("{row}"), cost("routes-0")),
        ],
    )
}

fn reloads() -> Table {
    table(
        "reloads",
        "configuration",
        &["unchanged", "reloaded"],
        vec![
            value("p50 ns", "reloads/p50/{row}"),
            value("p99 ns", "reloads/p99/{row}"),
            times("p99", "reloads/p99-ratio/{row}"),
            value("p99.9 ns", "reloads/p99.9/{row}"),
            value("reloads", "reloads/reloads/{row}"),
        ],
    )
}

fn profile() -> Table {
    let cases = ["flat", "request", "text-2k", "http", "buffered"];
    let columns = cases.map(|case| value(case, format!("profile/{case}/{{row}}")));
    let parts = [
        "encoder", "policy", "core", "http", "recorder", "output", "tracing", "service", "memory",
        "bytes", "other",
    ];
    labelled(
        table("profile", "instructions", &parts, columns.into()),
        &[
            "encoder",
            "policy",
            "context, levels and guards",
            "HTTP layer",
            "recorder",
            "outputs and routes",
            "tracing and its registry",
            "the program itself",
            "allocation",
            "copies and comparisons of bytes",
            "standard library and hash tables",
        ],
    )
}

fn exporters() -> Vec<Table> {
    let recorder = ["kept", "shown", "failed", "disabled", "unit"];
    let recorder_columns = recorder.map(|workload| {
        value(
            workload,
            format!("recorder/instructions/{{row}}/{workload}"),
        )
    });
    let recorder_ratios = recorder.map(|workload| {
        let id = |part| format!("recorder/instructions/{{{part}}}/{workload}");
        ratio(workload, id(0), id(1))
    });
    let sentry = ["event", "request", "error", "again"];
    let sentry =
        sentry.map(|workload| value(workload, format!("sentry/instructions/{{row}}/{workload}")));
    let formats = ["flat", "nested", "request"];
    let formats =
        formats.map(|workload| value(workload, format!("formats/instructions/{{row}}/{workload}")));
    let otel = ["span", "enter", "request", "unsampled", "log", "nested"];
    let otel_ratios = |measure: &'static str| {
        let columns = otel.map(|workload| {
            let id = |part| format!("otel/{measure}/{{{part}}}/{workload}");
            ratio(workload, id(0), id(1))
        });
        columns.into()
    };
    let pairs = [
        "spanwise/upstream",
        "spanwise/upstream-lean",
        "spanwise-policy/upstream",
        "spanwise-policy/spanwise",
    ];
    let pair_labels = pairs.map(|pair| pair.replace('/', " ÷ "));
    let pair_labels = pair_labels.each_ref().map(String::as_str);
    let allocations =
        otel.map(|workload| value(workload, format!("otel/allocations/{{row}}/{workload}")));
    vec![
        labelled(
            table(
                "recorder",
                "instructions per event",
                &[
                    "written",
                    "recorder",
                    "written-redacted",
                    "recorder-redacted",
                ],
                recorder_columns.into(),
            ),
            &[
                "written at once",
                "with a recorder",
                "written at once, with the policy",
                "with a recorder and the policy",
            ],
        ),
        labelled(
            table(
                "recorder-ratio",
                "ratio",
                &["recorder/written", "recorder-redacted/written-redacted"],
                recorder_ratios.into(),
            ),
            &[
                "with a recorder ÷ written at once",
                "the same, with the policy",
            ],
        ),
        table(
            "sentry",
            "instructions",
            &[
                "floor",
                "spanwise-sentry",
                "spanwise-sentry-policy",
                "spanwise-sentry-traces",
                "sentry-tracing-errors",
                "sentry-tracing-all",
            ],
            sentry.into(),
        ),
        table(
            "formats",
            "contender",
            &[
                "spanwise",
                "spanwise-ids",
                "spanwise-ecs",
                "tracing-ecs",
                "spanwise-gcp",
                "tracing-stackdriver",
                "spanwise-logstash",
                "tracing-logstash",
                "spanwise-logfmt",
                "tracing-logfmt",
                "spanwise-bunyan",
                "bunyan",
                "spanwise-datadog",
                "spanwise-gelf",
                "spanwise-emf",
                "spanwise-otlp",
                "custom-table",
                "line-format",
                "text-template",
                "json-subscriber",
            ],
            formats.into(),
        ),
        labelled(
            table("otel-caller", "ratio", &pairs, otel_ratios("caller")),
            &pair_labels,
        ),
        labelled(
            table("otel-all", "ratio", &pairs, otel_ratios("all-threads")),
            &pair_labels,
        ),
        table(
            "otel-allocations",
            "contender",
            &[
                "floor",
                "spanwise",
                "spanwise-policy",
                "upstream",
                "upstream-lean",
            ],
            allocations.into(),
        ),
    ]
}

fn adoption() -> Vec<Table> {
    vec![
        table(
            "size",
            "program",
            &["bare", "by-hand", "with-spanwise"],
            vec![
                value("KiB", "size/kib/{row}/program"),
                above(
                    "more than bare",
                    "size/kib/{row}/program",
                    "size/kib/bare/program",
                ),
                value("instructions of a start", "size/instructions/{row}/start"),
                value("µs of a start", "size/start-us/{row}/start"),
            ],
        ),
        table(
            "adoption",
            "service",
            &["by-hand", "with-spanwise"],
            vec![
                value("crates", "adoption/crates/{row}/service"),
                times("time of a debug build", "adoption/build/{row}/service"),
            ],
        ),
    ]
}
