//! The provider of meters, which runs callbacks of the application outside of the SDK's locks.
//!
//! The SDK runs callbacks while it holds a lock that it also needs to create an instrument. A
//! callback that panics would end all metrics, and one that hangs would block each thread that
//! creates an instrument. So a thread of this crate runs the application's callbacks, without a
//! lock. The SDK gets callbacks that only replay the last observations.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    metrics::{
        AsyncInstrument, AsyncInstrumentBuilder, Callback, Counter, Gauge, Histogram,
        HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider,
        ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
    },
};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use spanwise_core::{
    Fault, SelfReport,
    internal::{panic_safe, sync::Mutex},
};

/// A provider of meters whose metrics are exported over OTLP or as text. Returned by
/// [`Otel::meter_provider`](crate::Otel::meter_provider).
#[derive(Debug, Clone)]
pub struct OtelMeterProvider {
    sdk: SdkMeterProvider,
    callbacks: Arc<Callbacks>,
}

impl OtelMeterProvider {
    /// Creates a provider. Once a run of all callbacks has taken longer than `timeout`, and until
    /// it ends, the observations of earlier runs are not exported.
    pub(crate) fn new(sdk: SdkMeterProvider, report: SelfReport, timeout: Duration) -> Self {
        Self {
            sdk,
            callbacks: Arc::new(Callbacks {
                list: Mutex::default(),
                last_run: Arc::new(LastRun {
                    state: Mutex::default(),
                    timeout,
                }),
                report,
            }),
        }
    }

    /// Runs the callbacks of all instruments, one after the other.
    pub(crate) fn observe(&self) {
        self.callbacks.run();
    }
}

impl MeterProvider for OtelMeterProvider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(InstrumentMaker {
            meter: self.sdk.meter_with_scope(scope),
            callbacks: Arc::clone(&self.callbacks),
        }))
    }
}

/// The callbacks of all instruments.
struct Callbacks {
    list: Mutex<Vec<Arc<dyn Observe>>>,
    last_run: Arc<LastRun>,
    report: SelfReport,
}

/// The last run of all callbacks, which may still be in progress.
struct LastRun {
    state: Mutex<RunState>,
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, Default)]
struct RunState {
    /// The number of the run, counted from 1.
    number: u64,
    /// The start of the run. `None` if the run has ended.
    started_at: Option<Instant>,
}

impl LastRun {
    fn start(&self) -> u64 {
        let mut state = self.state.lock();
        state.number += 1;
        state.started_at = Some(Instant::now());
        state.number
    }

    fn end(&self) {
        self.state.lock().started_at = None;
    }

    /// Returns whether the observations of the run with the number `run` are exported. While a
    /// callback hangs, it and the callbacks after it only have observations of earlier runs. Those
    /// are not exported once the last run has taken longer than the timeout.
    fn exports_run(&self, run: u64) -> bool {
        let state = *self.state.lock();
        let is_late = |started_at: Instant| started_at.elapsed() >= self.timeout;
        run == state.number || !state.started_at.is_some_and(is_late)
    }
}

impl Callbacks {
    fn add<T>(&self, instrument: &str, callback: Callback<T>) -> Arc<ObservedCallback<T>>
    where
        T: Copy + Send + Sync + 'static,
    {
        let observed = Arc::new(ObservedCallback {
            instrument: instrument.to_owned(),
            callback,
            last_run: Arc::clone(&self.last_run),
            last_observations: Mutex::new(LastObservations {
                run: 0,
                has_panicked: false,
                values: Vec::new(),
            }),
        });
        self.list
            .lock()
            .push(Arc::clone(&observed) as Arc<dyn Observe>);
        observed
    }

    fn run(&self) {
        let callbacks = self.list.lock().clone();
        let run = self.last_run.start();
        for callback in callbacks {
            callback.observe(run, &self.report);
        }
        self.last_run.end();
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callbacks")
            .field("count", &self.list.lock().len())
            .finish_non_exhaustive()
    }
}

trait Observe: Send + Sync {
    /// Runs the callback, and stores its observations as those of the run with the number `run`.
    fn observe(&self, run: u64, report: &SelfReport);
}

/// A callback of the application, with its last observations.
struct ObservedCallback<T> {
    instrument: String,
    callback: Callback<T>,
    last_run: Arc<LastRun>,
    last_observations: Mutex<LastObservations<T>>,
}

/// The last observations of a callback.
struct LastObservations<T> {
    /// The number of the run in which the callback observed the values. 0 before its first run.
    run: u64,
    has_panicked: bool,
    values: Vec<(T, Vec<KeyValue>)>,
}

impl<T: Copy + Send + Sync> Observe for ObservedCallback<T> {
    fn observe(&self, run: u64, report: &SelfReport) {
        let values = Observations(Mutex::new(Vec::new()));
        let panicked = panic_safe::catch_panic(|| (self.callback)(&values)).is_none();
        let values = match panicked {
            true => Vec::new(),
            false => values.0.into_inner(),
        };
        let mut last = self.last_observations.lock();
        last.run = run;
        last.values = values;
        let is_first_panic = panicked && !std::mem::replace(&mut last.has_panicked, true);
        drop(last);
        if is_first_panic {
            let reason = format_args!("a callback of the metric {} panicked", self.instrument);
            // Unthrottled, because later panics are not reported.
            report.fault_unthrottled(Fault::Setup, &reason);
        }
    }
}

impl<T: Copy> ObservedCallback<T> {
    /// Passes the last observations to an instrument of the SDK, if they are exported.
    fn replay(&self, instrument: &dyn AsyncInstrument<T>) {
        let last = self.last_observations.lock();
        if self.last_run.exports_run(last.run) {
            for (value, attributes) in &last.values {
                instrument.observe(*value, attributes);
            }
        }
    }
}

/// Collects the observations of one run of a callback.
struct Observations<T>(Mutex<Vec<(T, Vec<KeyValue>)>>);

impl<T: Send + Sync> AsyncInstrument<T> for Observations<T> {
    fn observe(&self, value: T, attributes: &[KeyValue]) {
        self.0.lock().push((value, attributes.to_vec()));
    }
}

/// Creates the instruments of one meter.
struct InstrumentMaker {
    meter: Meter,
    callbacks: Arc<Callbacks>,
}

/// Implements the methods that create synchronous instruments.
macro_rules! instruments {
    ($($name:ident: $instrument:ty),* $(,)?) => {$(
        fn $name(&self, builder: InstrumentBuilder<'_, $instrument>) -> $instrument {
            let mut sdk = self.meter.$name(builder.name);
            sdk.description = builder.description;
            sdk.unit = builder.unit;
            sdk.build()
        }
    )*};
}

macro_rules! histograms {
    ($($name:ident: $value:ty),* $(,)?) => {$(
        fn $name(&self, builder: HistogramBuilder<'_, Histogram<$value>>) -> Histogram<$value> {
            let mut sdk = self.meter.$name(builder.name);
            sdk.description = builder.description;
            sdk.unit = builder.unit;
            sdk.boundaries = builder.boundaries;
            sdk.build()
        }
    )*};
}

/// Implements the methods that create observable instruments.
macro_rules! observable_instruments {
    ($($name:ident: $instrument:ty, $value:ty);* $(;)?) => {$(
        fn $name(
            &self,
            builder: AsyncInstrumentBuilder<'_, $instrument, $value>,
        ) -> $instrument {
            let callbacks: Vec<_> = builder
                .callbacks
                .into_iter()
                .map(|callback| self.callbacks.add(&builder.name, callback))
                .collect();
            let mut sdk = self.meter.$name(builder.name);
            sdk.description = builder.description;
            sdk.unit = builder.unit;
            for callback in callbacks {
                sdk = sdk.with_callback(move |instrument| callback.replay(instrument));
            }
            sdk.build()
        }
    )*};
}

impl InstrumentProvider for InstrumentMaker {
    instruments! {
        u64_counter: Counter<u64>,
        f64_counter: Counter<f64>,
        i64_up_down_counter: UpDownCounter<i64>,
        f64_up_down_counter: UpDownCounter<f64>,
        u64_gauge: Gauge<u64>,
        i64_gauge: Gauge<i64>,
        f64_gauge: Gauge<f64>,
    }

    histograms! {
        u64_histogram: u64,
        f64_histogram: f64,
    }

    observable_instruments! {
        u64_observable_counter: ObservableCounter<u64>, u64;
        f64_observable_counter: ObservableCounter<f64>, f64;
        i64_observable_up_down_counter: ObservableUpDownCounter<i64>, i64;
        f64_observable_up_down_counter: ObservableUpDownCounter<f64>, f64;
        u64_observable_gauge: ObservableGauge<u64>, u64;
        i64_observable_gauge: ObservableGauge<i64>, i64;
        f64_observable_gauge: ObservableGauge<f64>, f64;
    }
}
