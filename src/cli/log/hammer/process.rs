//! What a process has used so far, from /proc (Linux).

use std::fs;
use std::time::Duration;

use crate::cli::output::{CliError, Context};

/// /proc counts processor time in ticks of USER_HZ, which is 100 on every Linux that we run on.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far: of this program, and of the server with its peak memory.
pub struct Usage {
    /// Of this program.
    pub generator: Duration,
    /// Of the server, with the most memory that it has had in use.
    pub server: Option<(Duration, u64)>,
}

impl Usage {
    /// So far. Only a server that is asked for must be there.
    pub fn of(server_pid: Option<u32>) -> Result<Self, CliError> {
        let server = |pid: u32| Ok((cpu(&pid.to_string())?, peak_memory(&pid.to_string())?));
        let server = server_pid.map(server).transpose().map_err(|e: CliError| {
            CliError::new(format!("--server-pid: {e}; the server must run on this machine, a Linux"))
        })?;
        // What this program uses is worth saying, not failing for.
        Ok(Self { generator: cpu("self").unwrap_or_default(), server })
    }

    /// What was used since `before`.
    pub fn since(self, before: &Self) -> Self {
        let server = self.server.zip(before.server);
        Self {
            generator: self.generator.saturating_sub(before.generator),
            server: server.map(|((cpu, peak), (cpu_before, _))| (cpu.saturating_sub(cpu_before), peak)),
        }
    }
}

/// Processor time of all threads, in user and kernel mode. `pid` may be `self`.
fn cpu(pid: &str) -> Result<Duration, CliError> {
    let file = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&file).context(&file)?;
    ticks(&text).map(|n| TICK * n).ok_or_else(|| CliError::new(format!("{file} does not read as expected")))
}

/// The most memory that it has had in use, in octets.
fn peak_memory(pid: &str) -> Result<u64, CliError> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).context(&file)?;
    kibibytes(&text).map(|n| n * 1024).ok_or_else(|| CliError::new(format!("{file} says no VmHWM")))
}

/// utime + stime, fields 14 and 15. The name in field 2 may hold blanks and parentheses.
fn ticks(stat: &str) -> Option<u32> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    user.checked_add(system)
}

fn kibibytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let stat = "12 (a ) (b) S 1 1 1 0 -1 4194304 1 2 3 4 250 50 7 8 20 0 4 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("12 (x"), None);
        assert_eq!(ticks("12 (x) S 1"), None);
        assert_eq!(kibibytes("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n"), Some(2048));
        assert_eq!(kibibytes("Name:\tx\n"), None);
    }

    #[test]
    fn this_process_uses_something() {
        assert!(cpu("self").is_ok());
        assert!(peak_memory("self").unwrap() > 1 << 20);
        assert!(cpu("0").unwrap_err().to_string().contains("/proc/0/stat"));
    }
}
