//! What the system says about this process. On a system without `/proc` nothing is said.

/// Ticks per second in `/proc`, a fixed part of the kernel's interface on every architecture this
/// is built for; source: proc_pid_stat(5) and the kernel's `USER_HZ`.
const TICKS_PER_SECOND: u64 = 100;

/// Memory and processor time of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub resident_bytes: Option<u64>,
    /// User and system time in whole seconds.
    pub cpu_seconds: Option<u64>,
}

impl Usage {
    /// Reads it now.
    #[must_use]
    pub fn read() -> Usage {
        let read = |path| std::fs::read_to_string(path).ok();
        Usage {
            resident_bytes: read("/proc/self/status").as_deref().and_then(resident_bytes),
            cpu_seconds: read("/proc/self/stat").as_deref().and_then(cpu_seconds),
        }
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    kib.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

fn cpu_seconds(stat: &str) -> Option<u64> {
    // The command name stands in parentheses and may hold anything, spaces and parentheses too.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(user.checked_add(system)? / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident() {
        let check = |status, expected| assert_eq!(resident_bytes(status), expected, "{status}");
        check("Name:\tlogboom\nVmHWM:\t    9 kB\nVmRSS:\t    5120 kB\n", Some(5 << 20));
        check("Name:\tVmRSS: 1 kB\n", None);
        check("VmRSS:\tmuch kB\n", None);
        check("", None);
    }

    #[test]
    fn cpu() {
        let check = |stat, expected| assert_eq!(cpu_seconds(stat), expected, "{stat}");
        check("42 (logboom) S 1 42 42 0 -1 4194560 9 0 0 0 150 160 0 0 20 0", Some(3));
        check("42 (a) 7 (b) S 1 42 42 0 -1 4194560 9 0 0 0 100 99 0 0 20 0", Some(1));
        check("42 (logboom) S 1 42", None);
        check("", None);
    }
}
