//! The system's figures about this process; `None` where the system has none.

/// As of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Bytes in memory.
    pub(super) resident: Option<f64>,
    /// Seconds of processor time.
    pub(super) cpu: Option<f64>,
    /// Open files and connections.
    pub(super) files: Option<f64>,
}

/// Ticks of a second: what Linux shows is always counted in these (`USER_HZ`).
const TICKS: f64 = 100.0;
/// `utime` and `stime` in `/proc/self/stat`, counted behind the name, which may hold anything (proc(5)).
const UTIME: usize = 11;

impl Process {
    /// Looks into `/proc`, which is answered from memory.
    pub(super) fn look() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        let files = std::fs::read_dir("/proc/self/fd").ok();
        Self {
            resident: read("status").and_then(|text| resident(&text)),
            cpu: read("stat").and_then(|text| cpu(&text)),
            files: files.and_then(|files| u32::try_from(files.count()).ok().map(f64::from)),
        }
    }
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: f64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024.0)
}

fn cpu(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(UTIME);
    let ticks = |text: &str| text.parse::<f64>().ok();
    let (user, system) = (ticks(fields.next()?)?, ticks(fields.next()?)?);
    Some((user + system) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_is_understood() {
        assert_eq!(
            resident("VmPeak: 1 kB\nVmRSS:\t   28672 kB\n"),
            Some(29_360_128.0)
        );
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 5 0 0 0 150 50 0 0 20 0 4 0 9 8 7";
        assert_eq!(cpu(stat), Some(2.0));
        assert_eq!((resident(""), cpu("")), (None, None));
    }
}
