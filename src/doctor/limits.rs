//! What the machine, the container and the user are allowed, beside what the configuration may need.

use std::path::Path;

use crate::config::Checked;
use crate::sink::SinkKind;

use super::{Finding, Surroundings, human};

const CHECK: &str = "limits";
/// Descriptors beside connections and files: listeners, the runtime, upstreams, the journal.
const OTHER_FILES: u64 = 64;
/// Threads: those of the runtime, two for each file sink, one for other things.
const OTHER_THREADS: u64 = 16;
/// What a listener asks the kernel to keep until it is accepted.
const BACKLOG: u64 = 4096;

/// Looks at all of them.
pub fn check(checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let mut found = vec![descriptors(checked, around)];
    found.push(memory(checked, around));
    found.extend(processes(checked, around));
    found.extend(backlog(around));
    found
}

/// The soft limit of this process, which a logboom that is started here has too.
fn descriptors(checked: &Checked, around: &Surroundings) -> Finding {
    let config = checked.config();
    let connections = config.sources.values().map(|source| u64::from(source.connections_max()));
    let files = config.sinks.values().map(|sink| match &sink.kind {
        SinkKind::File(file) if file.path.contains('{') => u64::from(file.open_max),
        SinkKind::File(_) => 3,
        _ => 4,
    });
    let (connections, files) = (connections.sum::<u64>(), files.sum::<u64>() + OTHER_FILES);
    let needed = connections + files;
    let text = around.read("proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let limit = line.and_then(|line| line.split_ascii_whitespace().next()).and_then(|it| it.parse::<u64>().ok());
    match limit {
        Some(limit) if limit < files + connections.min(64) => {
            let message = format!("{limit} descriptors are allowed, and {needed} can be needed");
            let help = format!("raise it: `ulimit -n {needed}`, or LimitNOFILE={needed} in the systemd unit");
            Finding::fail(CHECK, "descriptors", message, help)
        }
        Some(limit) if limit < needed => {
            let message = format!(
                "{limit} descriptors are allowed; `connections_max` allows {connections} connections, and files and others take {files}"
            );
            let help = format!(
                "raise it: `ulimit -n {needed}`, or LimitNOFILE={needed} in the systemd unit; or lower `connections_max`"
            );
            Finding::warn(CHECK, "descriptors", message, help)
        }
        Some(limit) => Finding::ok(CHECK, "descriptors", format!("{limit} are allowed, at most {needed} are needed")),
        None => Finding::ok(CHECK, "descriptors", "no limit can be seen"),
    }
}

/// The limit of the control group beside the bound that is printed at start.
fn memory(checked: &Checked, around: &Surroundings) -> Finding {
    let bound: u64 = checked.memory_bound().iter().map(|(_, bytes)| bytes).sum();
    let needed = human(bound);
    let Some(limit) = cgroup(around, "memory", "memory.max", "memory.limit_in_bytes") else {
        return Finding::ok(CHECK, "memory", format!("no limit; at most {needed} are used"));
    };
    if limit < bound {
        let message = format!("the container may use {}, and logboom up to {needed}", human(limit));
        let help = "raise the limit (`resources.limits.memory`), or lower `memory`, `connections_max` or `message_max`: \
                    `logboom check` prints the sum; above the limit the kernel kills it";
        return Finding::fail(CHECK, "memory", message, help);
    }
    Finding::ok(CHECK, "memory", format!("the container may use {}, logboom uses at most {needed}", human(limit)))
}

fn processes(checked: &Checked, around: &Surroundings) -> Option<Finding> {
    let limit = cgroup(around, "pids", "pids.max", "pids.max")?;
    let files = checked.config().sinks.values().filter(|sink| matches!(sink.kind, SinkKind::File(_))).count() as u64;
    let cores = std::thread::available_parallelism().map_or(1, |it| it.get() as u64);
    let needed = cores + 2 * files + OTHER_THREADS;
    let help = "raise the limit of tasks of the container, or TasksMax= of the systemd unit";
    Some(match limit < needed {
        true => Finding::fail(CHECK, "threads", format!("{limit} are allowed, and {needed} can be needed"), help),
        false => Finding::ok(CHECK, "threads", format!("{limit} are allowed")),
    })
}

fn backlog(around: &Surroundings) -> Option<Finding> {
    let limit: u64 = around.read("proc/sys/net/core/somaxconn")?.trim().parse().ok()?;
    (limit < BACKLOG).then(|| {
        let message = format!("the kernel keeps {limit} connections that wait to be accepted, {BACKLOG} are asked for");
        let help = format!("sysctl net.core.somaxconn={BACKLOG}, where many proxies connect at once");
        Finding::warn(CHECK, "somaxconn", message, help)
    })
}

/// The least limit on the way up from the group of this process, in version 2 or 1; `None` where there is none.
fn cgroup(around: &Surroundings, controller: &str, v2: &str, v1: &str) -> Option<u64> {
    let groups = around.read("proc/self/cgroup").unwrap_or_default();
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup".to_owned(), v2),
            it if it.split(',').any(|it| it == controller) => (format!("sys/fs/cgroup/{controller}"), v1),
            _ => continue,
        };
        // Inside of a container the path is that of the host, or `/`: then the limit stands at the top.
        let path = Path::new(path.trim_start_matches('/'));
        let ancestors = path.ancestors().filter(|it| !it.starts_with(".."));
        limits.extend(ancestors.filter_map(|group| {
            let text = around.read(Path::new(&base).join(group).join(file).to_str()?)?;
            // `max` is no number, and neither is version 1's largest a limit.
            text.trim().parse::<u64>().ok().filter(|it| *it < 1 << 62)
        }));
    }
    limits.into_iter().min()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn around(files: &[(&str, &str)]) -> (tempfile::TempDir, Surroundings) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path: PathBuf = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let around = Surroundings { root: dir.path().to_owned(), config: None, environment: |_| None };
        (dir, around)
    }

    #[test]
    fn groups() {
        let check = |files: &[(&str, &str)], expected: Option<u64>| {
            let (_dir, around) = around(files);
            assert_eq!(cgroup(&around, "memory", "memory.max", "memory.limit_in_bytes"), expected, "{files:?}");
        };
        check(&[], None);
        check(&[("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "1000\n")], Some(1000));
        check(&[("proc/self/cgroup", "0::/a/b\n"), ("sys/fs/cgroup/a/b/memory.max", "max\n")], None);
        check(
            &[
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/b/memory.max", "3000"),
                ("sys/fs/cgroup/a/memory.max", "2000"),
            ],
            Some(2000),
        );
        check(
            &[
                ("proc/self/cgroup", "5:cpu,memory:/x\n4:pids:/y\n"),
                ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "9223372036854771712"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "700"),
            ],
            Some(700),
        );
        check(&[("proc/self/cgroup", "0::/../../other\n"), ("sys/fs/cgroup/memory.max", "5")], Some(5));
    }
}
