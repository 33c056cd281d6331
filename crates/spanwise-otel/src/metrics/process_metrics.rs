//! Metrics of the process, from `/proc` of Linux. On other systems, there are none.

use std::fs;

use opentelemetry::{KeyValue, metrics::Meter};

/// Values from `/proc/self/stat`. See `man 5 proc_pid_stat`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ProcessStat {
    user_ticks: u64,
    system_ticks: u64,
    threads: i64,
    /// The start of the process, in clock ticks since the system booted.
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Registers the metrics. A metric whose value cannot be read is absent.
pub(crate) fn observe_process(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("The time that the process ran on a CPU.")
        .with_callback(|cpu| {
            if let Some(stat) = read_stat() {
                let modes = [("user", stat.user_ticks), ("system", stat.system_ticks)];
                for (mode, ticks) in modes {
                    cpu.observe(seconds(ticks), &[KeyValue::new("cpu.mode", mode)]);
                }
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_description("The physical memory that the process uses.")
        .with_callback(|memory| {
            if let Some(stat) = read_stat() {
                let page = rustix::param::page_size() as u64;
                memory.observe(
                    saturating_i64(stat.resident_pages.saturating_mul(page)),
                    &[],
                );
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.virtual")
        .with_unit("By")
        .with_description("The virtual memory that the process has mapped.")
        .with_callback(|memory| {
            if let Some(stat) = read_stat() {
                memory.observe(saturating_i64(stat.virtual_bytes), &[]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.thread.count")
        .with_unit("{thread}")
        .with_description("The threads of the process.")
        .with_callback(|threads| {
            if let Some(stat) = read_stat() {
                threads.observe(stat.threads, &[]);
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.unix.file_descriptor.count")
        .with_unit("{file_descriptor}")
        .with_description("The file descriptors that the process has open.")
        .with_callback(|descriptors| {
            if let Ok(open) = fs::read_dir("/proc/self/fd") {
                // One of them is the descriptor of the directory that is being read.
                descriptors.observe(open.count() as i64 - 1, &[]);
            }
        })
        .build();
    meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("The time since the process was started.")
        .with_callback(|uptime| {
            let since_boot = fs::read_to_string("/proc/uptime").ok();
            let since_boot = since_boot
                .as_deref()
                .and_then(|text| text.split(' ').next());
            let since_boot: Option<f64> = since_boot.and_then(|text| text.parse().ok());
            if let (Some(since_boot), Some(stat)) = (since_boot, read_stat()) {
                uptime.observe((since_boot - seconds(stat.started_ticks)).max(0.0), &[]);
            }
        })
        .build();
}

fn read_stat() -> Option<ProcessStat> {
    ProcessStat::parse(&fs::read_to_string("/proc/self/stat").ok()?)
}

impl ProcessStat {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is the name of the program in parentheses. The name itself may contain
        // spaces and parentheses.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // The manual counts fields from 1. The first one after the name is field 3.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user_ticks: field(14)?,
            system_ticks: field(15)?,
            threads: saturating_i64(field(20)?),
            started_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn saturating_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_spaces_and_parentheses_is_skipped() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 1 2 3 4 150 25 0 0 20 0 9 0 1234 4096 8 1";
        let expected = ProcessStat {
            user_ticks: 150,
            system_ticks: 25,
            threads: 9,
            started_ticks: 1234,
            virtual_bytes: 4096,
            resident_pages: 8,
        };
        assert_eq!(ProcessStat::parse(stat), Some(expected));
        assert_eq!(ProcessStat::parse("7 (a) S 1"), None);
    }
}
