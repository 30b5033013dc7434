//! What the system knows about this process, under the names that every program uses.
//!
//! Read from `/proc`; where there is none, the names stand without values.

use std::fs;

use super::page::{Figure, number};

/// The process, right now.
#[derive(Debug, Default)]
struct Process {
    cpu_seconds: Option<f64>,
    started_at: Option<f64>,
    resident: Option<u64>,
    virtual_: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    most_files: Option<u64>,
}

pub(super) fn gather() -> Vec<Figure> {
    let process = look();
    vec![
        Figure::counter(
            "process_cpu_seconds",
            "Processor time, of ours and of the system for us",
            process.cpu_seconds,
        ),
        Figure::gauge(
            "process_start_time_seconds",
            "When the process began, in unix time",
            process.started_at,
        ),
        Figure::gauge(
            "process_resident_memory_bytes",
            "Memory in use",
            process.resident.map(number),
        ),
        Figure::gauge(
            "process_virtual_memory_bytes",
            "Addresses in use",
            process.virtual_.map(number),
        ),
        Figure::gauge("process_threads", "Threads", process.threads.map(number)),
        Figure::gauge("process_open_fds", "Open files", process.open_files.map(number)),
        Figure::gauge("process_max_fds", "Open files allowed", process.most_files.map(number)),
    ]
}

fn look() -> Process {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let mut process = from_stat(&read("/proc/self/stat"), &read("/proc/stat"));
    process.resident = kib(&status, "VmRSS:");
    process.virtual_ = kib(&status, "VmSize:");
    process.open_files = fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as u64);
    let limits = read("/proc/self/limits");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    process.most_files = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    process
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Field numbers as in proc(5), counted from 3 after the name, which may contain anything.
fn from_stat(own: &str, all: &str) -> Process {
    let Some((_, fields)) = own.rsplit_once(')') else {
        return Process::default();
    };
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let ticks = number(rustix::param::clock_ticks_per_second());
    let seconds = |ticks_gone: u64| number(ticks_gone) / ticks;
    let booted = all.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    Process {
        cpu_seconds: field(14).zip(field(15)).map(|(user, system)| seconds(user + system)),
        threads: field(20),
        started_at: field(22).zip(booted).map(|(began, booted)| number(booted) + seconds(began)),
        ..Process::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_about_this_process() {
        if fs::metadata("/proc/self/stat").is_err() {
            return;
        }
        let process = look();
        assert!(process.cpu_seconds.is_some_and(|seconds| seconds >= 0.0));
        assert!(process.resident.is_some_and(|bytes| bytes > 1_000_000));
        assert!(process.threads.is_some_and(|threads| threads >= 1));
        assert!(process.open_files.is_some_and(|files| files >= 3));
        assert!(process.most_files.is_some());
    }

    #[test]
    fn a_name_with_brackets_confuses_nobody() {
        let fields: Vec<String> = (3..=24).map(|number| number.to_string()).collect();
        let own = format!("7 (a) b) {}", fields.join(" "));
        let process = from_stat(&own, "cpu 1 2\nbtime 1000\n");
        assert_eq!(process.threads, Some(20));
        let ticks = number(rustix::param::clock_ticks_per_second());
        assert_eq!(process.cpu_seconds, Some(29.0 / ticks));
        assert_eq!(process.started_at, Some(1000.0 + 22.0 / ticks));
    }
}
