//! What this process has used so far (Linux).
#![allow(clippy::unwrap_used, reason = "a benchmark")]

/// Most memory that this process had so far, in KiB (Linux).
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Processor time that this process used so far, in milliseconds (Linux, whose ticks are hundredths of a second).
pub fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<u64> =
        stat.rsplit(')').next().unwrap().split(' ').skip(1).map(|f| f.parse().unwrap_or(0)).collect();
    (fields[11] + fields[12]) * 10
}
