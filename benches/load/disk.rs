//! What the disk under everything can do: writing 4 KiB and waiting until they are there.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::report::{Report, ms, number, quantile};

const FOR: Duration = Duration::from_millis(1500);

/// Flushes a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw {
    pub(crate) append: f64,
    pub(crate) overwrite: f64,
}

pub(crate) fn measure(folder: &Path, report: &mut Report) -> Raw {
    report.part("The disk itself");
    let append = flushes(folder, "append", SeekFrom::End(0), report);
    let overwrite = flushes(folder, "overwrite", SeekFrom::Start(0), report);
    Raw { append, overwrite }
}

fn flushes(folder: &Path, name: &str, place: SeekFrom, report: &mut Report) -> f64 {
    let mut file = File::create(folder.join(name)).unwrap();
    let page = [7_u8; 4096];
    let mut times = Vec::new();
    let began = Instant::now();
    while began.elapsed() < FOR {
        let one = Instant::now();
        file.seek(place).unwrap();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        times.push(one.elapsed());
    }
    let rate = number(times.len()) / began.elapsed().as_secs_f64();
    report.fact(&format!("{name} 4 KiB + fdatasync"), rate, "/s");
    report.fact("  99th percentile", ms(quantile(&mut times, 0.99)), "ms");
    rate
}
