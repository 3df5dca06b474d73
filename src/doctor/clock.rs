//! Is the clock plausible? Records without a time of their own get the time of their arrival.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::config::Checked;

use super::{Finding, Surroundings};

const CHECK: &str = "clock";
/// Before this program was written, and after anybody runs it: 2025 and 2100, in seconds.
const PLAUSIBLE: std::ops::Range<u64> = 1_735_689_600..4_102_444_800;

/// Looks at the wall clock alone.
pub fn check(_checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    vec![judge(now, around.read("proc/uptime").as_deref())]
}

fn judge(now: u64, uptime: Option<&str>) -> Finding {
    let help = "set the clock (NTP, chrony): times of records and names of finished files come from it";
    if !PLAUSIBLE.contains(&now) {
        return Finding::fail(
            CHECK,
            "clock",
            format!("the clock says {now} s since 1970, which is not a time to run in"),
            help,
        );
    }
    let up = uptime.and_then(|it| it.split(['.', ' ']).next()?.parse::<u64>().ok()).unwrap_or(0);
    if now < PLAUSIBLE.start + up {
        let message = "the machine has been up for longer than the clock allows";
        return Finding::warn(CHECK, "clock", message, help);
    }
    Finding::ok(CHECK, "clock", "plausible")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn times() {
        let check = |now, uptime, expected| assert_eq!(judge(now, uptime).verdict, expected, "{now}");
        check(0, None, Verdict::Fail);
        check(1_795_000_000, Some("1000.5 2.0"), Verdict::Ok);
        check(1_735_690_000, Some("1000000.5 2.0"), Verdict::Warn);
        check(5_000_000_000, None, Verdict::Fail);
    }
}
