//! The thread of a file sink.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Handle;

use super::context::{Context, Trouble};
use super::control::FileHandle;
use super::direct::{Direct, GATHER};
use super::hand::Hand;
use super::health::Health;
use super::job::Job;
use super::keeper::{Keeper, KeeperSettings};
use super::logs::Logs;
use super::stats::FileStats;
use super::stock::{Stock, sweep, take_stock};
use super::syncer::{Syncer, SyncerSettings};
use super::{Compression, FileConfig, SyncPolicy};
use crate::inbox::{Delivery, Inbox};
use crate::sink::disk::{Disk, RealDisk};
use crate::template::Template;

/// Most bytes of waiting batches that are written together; one batch may be larger.
const TAKE_BYTES: usize = 4 << 20;

/// How long a sink sleeps between two looks into its inbox, instead of being woken for each batch, while what comes is little
/// and often: less than [`LINGER_BYTES`] in that time, but something. It costs a line up to as much delay, and saves each line
/// two switches of threads, one look at the file and one write.
const LINGER: Duration = Duration::from_millis(2);
const LINGER_BYTES: f64 = 524_288.0;

/// How long a compression that runs at the end may go on.
const KEEPER_WAIT: Duration = Duration::from_secs(2);

/// What part of the files that may be open may be those that are not written any more and wait for their last sync, and
/// how many those are at most.
const LEFT_SHARE: usize = 4;
const LEFT_MAX: usize = 64;

/// A `file` sink, ready to run.
///
/// What is promised, by `sync`:
/// - `never`, a period: a delivery is settled when the kernel has its records. They survive a
///   crash of the process, and a power cut once the next sync has succeeded.
/// - `always`: a delivery is settled when its records and the names of their files are on the
///   disk. When a sync fails they are written again to a new file, and settled after that.
///
/// Always: only whole records are in a file, apart from what a crash leaves at its very end, which
/// the next start cuts off. A settled record is in the files once, in the order taken from the
/// inbox. One that was not settled may be there in whole as well, and then stands twice if its
/// sender repeats it. All this holds as long as one sink of one process writes to a path: a file
/// that is open is locked, so another logboom is kept out of it where the file system has locks.
pub struct FileSink {
    inbox: Arc<Inbox>,
    logs: Logs,
    /// Where records without a route go: the fixed path, or the template without values.
    otherwise: String,
    handle: FileHandle,
    health: Health,
    /// When something was taken last.
    taken: Instant,
    /// How long it sleeps before it looks again, instead of being woken.
    linger: Option<Duration>,
    hand: Hand,
}

impl std::fmt::Debug for FileSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSink").field("path", &self.otherwise).finish_non_exhaustive()
    }
}

impl FileSink {
    /// Opens the directory, and for a fixed path the file, which must not be written by another
    /// process. Cuts an incomplete last record off and sweeps what interrupted compressions left.
    /// Errors name the path, the reason, and what to change.
    pub fn open(settings: &FileConfig, inbox: Arc<Inbox>) -> anyhow::Result<FileSink> {
        let template = template(settings)?;
        let root = template.root();
        let disk = RealDisk::open(Path::new(root), settings.mode.0).with_context(|| {
            format!("cannot open the directory {root}: create it, make it writable for this user, or change 'path'")
        })?;
        FileSink::open_on(settings, inbox, Arc::new(disk))
    }

    /// The same on any disk.
    pub fn open_on(settings: &FileConfig, inbox: Arc<Inbox>, disk: Arc<dyn Disk>) -> anyhow::Result<FileSink> {
        let template = template(settings)?;
        check_limits(settings)?;
        let root = template.root().to_owned();
        let Stock { known, last_finished, leftovers } = take_stock(disk.as_ref(), &template, &root)?;
        let stats = Arc::<FileStats>::default();
        let context = Context {
            sink: Arc::clone(inbox.sink()),
            disk: Arc::clone(&disk),
            rotate: settings.rotate,
            sync: settings.sync,
            stats: Arc::clone(&stats),
            keeper: None,
            syncer: None,
        };
        let otherwise = template.render_unknown();
        let fixed = template.is_fixed().then(|| otherwise.clone());
        let open_max = settings.open_max as usize;
        // A file that waits for its sync is open: with a period a part of those that may be is theirs. Of one there is
        // no part; the writer syncs it.
        let has_syncer = matches!(settings.sync, SyncPolicy::Every(_)) && (fixed.is_some() || open_max > 1);
        let left_max = (open_max / LEFT_SHARE).clamp(1, LEFT_MAX);
        let written_max = if has_syncer { open_max.saturating_sub(left_max) } else { open_max };
        // What is compressed is read again, as soon as it is finished.
        let direct = Direct::new(settings.compress == Compression::None);
        let mut logs = Logs::new(context, direct, fixed, known, written_max);
        logs.open_fixed().map_err(|trouble| {
            let help = match trouble.error.kind() {
                std::io::ErrorKind::ResourceBusy => "stop that one",
                _ => "make the path writable for this user",
            };
            let Trouble { doing, path, error } = trouble;
            anyhow::anyhow!("cannot {doing} {path} in {root}: {error}: {help}, or change 'path'")
        })?;
        // IMPORTANT: not before the file is ours. Two that compress one file can lose it.
        sweep(disk.as_ref(), leftovers, inbox.sink());
        logs.mend(&last_finished);
        let keep = settings.keep;
        let is_kept = settings.compress != Compression::None
            || keep.files.is_some()
            || keep.age.is_some()
            || keep.bytes.is_some();
        let keeper = is_kept.then(|| {
            Keeper::start(KeeperSettings {
                sink: Arc::clone(inbox.sink()),
                disk: Arc::clone(&disk),
                template: template.clone(),
                compress: settings.compress,
                keep,
                stats: Arc::clone(&stats),
            })
        });
        let keeper = keeper.transpose().context("cannot start the thread that compresses and removes files")?;
        let handle = FileHandle::new(&stats);
        let syncer = has_syncer.then(|| {
            Syncer::start(SyncerSettings {
                disk,
                stats,
                notes: keeper.as_ref().map(|keeper| keeper.notes().clone()),
                woken: Arc::clone(handle.woken()),
                left_max,
            })
        });
        logs.start_with(keeper, syncer.transpose().context("cannot start the thread that syncs files")?);
        Ok(FileSink {
            inbox,
            logs,
            otherwise,
            handle,
            health: Health::default(),
            taken: Instant::now(),
            linger: None,
            hand: Hand::default(),
        })
    }

    /// A handle on it.
    #[must_use]
    pub fn handle(&self) -> FileHandle {
        self.handle.clone()
    }

    /// Writes until the inbox is closed and empty; call it on a thread of its own. Then it syncs
    /// and closes the files, and gives up a running compression after 2 s. `runtime` must have
    /// time enabled and outlive the call.
    pub fn run(mut self, runtime: &Handle) {
        while let Some(deliveries) = self.next(runtime) {
            if !deliveries.is_empty() || !self.hand.is_empty() {
                self.deliver(deliveries, runtime);
            }
            // With nothing in hand, files that can be opened are all that health asks for.
            let is_failing = self.health.is_failing();
            let result = self.tick(is_failing);
            if is_failing || result.is_err() {
                self.note(result);
            }
        }
        if let Err(trouble) = self.logs.close(KEEPER_WAIT) {
            tracing::error!(sink = %self.inbox.sink(), error = %trouble, "closing a file failed, its last records may not be on the disk");
        }
    }

    /// What is to be written next: nothing when it is only time to look after the files, `None`
    /// at the end.
    fn next(&mut self, runtime: &Handle) -> Option<Vec<Delivery>> {
        let mut taken = self.linger.map_or_else(Vec::new, |linger| self.linger(linger));
        if taken.is_empty() {
            taken = if self.hand.is_empty() { self.wait(runtime)? } else { self.gather() };
        }
        if !taken.is_empty() {
            let bytes: usize = taken.iter().map(|it| it.batch.payload.len()).sum();
            let now = Instant::now();
            let passed = now - std::mem::replace(&mut self.taken, now);
            // A quarter more: it oversleeps.
            let (is_often, per_linger) = (passed < LINGER * 5 / 4, passed.as_secs_f64() / LINGER.as_secs_f64());
            let is_little = is_often && (bytes as f64) < LINGER_BYTES * per_linger;
            let is_in_journal = taken.iter().any(Delivery::is_in_journal);
            self.linger = self.logs.gathers(bytes, is_in_journal).then_some(GATHER).or(is_little.then_some(LINGER));
        }
        Some(taken)
    }

    /// What comes to fill up the page that was begun, if it comes soon.
    fn gather(&self) -> Vec<Delivery> {
        let taken = self.inbox.try_take(TAKE_BYTES);
        if taken.is_empty() { self.linger(GATHER) } else { taken }
    }

    fn linger(&self, linger: Duration) -> Vec<Delivery> {
        std::thread::sleep(linger);
        self.inbox.try_take(TAKE_BYTES)
    }

    fn wait(&mut self, runtime: &Handle) -> Option<Vec<Delivery>> {
        let (begun, wait) = (Instant::now(), self.logs.idle_for());
        let taken = runtime.block_on(async {
            tokio::select! {
                biased;
                taken = self.inbox.take(TAKE_BYTES) => taken,
                () = self.handle.woken().notified() => Some(Vec::new()),
                () = tokio::time::sleep(wait) => Some(Vec::new()),
            }
        });
        self.logs.waited(begun.elapsed());
        taken
    }

    /// Writes what is in hand and what is taken, and settles it; while that fails it pauses and tries again.
    /// A little at the end may stay in hand; not if nothing is taken.
    fn deliver(&mut self, taken: Vec<Delivery>, runtime: &Handle) {
        let mut jobs = self.hold(taken);
        while !self.attempt(&mut jobs) {
            if !self.pause(runtime) {
                self.hand.abandon();
                return;
            }
            if let Err(trouble) = self.look_after(false, &mut jobs) {
                self.note(Err(trouble));
            }
        }
        self.settle(&jobs);
    }

    /// Takes deliveries in hand; what is to be written of all that is there.
    pub(super) fn hold(&mut self, taken: Vec<Delivery>) -> Vec<Job> {
        let may_leave = !taken.is_empty() && self.logs.may_leave();
        self.hand.hold(taken, &self.otherwise, may_leave)
    }

    /// See [`Hand::settle`].
    pub(super) fn settle(&mut self, jobs: &[Job]) {
        self.hand.settle(jobs);
    }

    /// One attempt at each file. True when all is written, but what may be left.
    pub(super) fn attempt(&mut self, jobs: &mut [Job]) -> bool {
        let mut result = Ok(());
        for job in jobs {
            result = result.and(self.logs.append(job));
        }
        self.note(result)
    }

    /// See [`Direct::insist`].
    #[cfg(test)]
    pub(super) fn insist(&mut self) {
        self.logs.insist();
    }

    /// Waits until everything that was to be synced is.
    #[cfg(test)]
    pub(super) fn wait_synced(&self) {
        self.logs.wait_synced();
    }

    /// Does what is due by time, and with `look` looks after the files now.
    pub(super) fn tick(&mut self, look: bool) -> Result<(), Trouble> {
        let mut jobs = if self.hand.is_empty() { Vec::new() } else { self.hold(Vec::new()) };
        let result = self.look_after(look, &mut jobs);
        self.settle(&jobs);
        result
    }

    /// The same while these jobs are being written.
    pub(super) fn look_after(&mut self, look: bool, jobs: &mut [Job]) -> Result<(), Trouble> {
        let reopen = self.handle.take_reopen();
        self.logs.tick(look || reopen, jobs.first_mut())
    }

    /// True when it was a success.
    fn note(&mut self, result: Result<(), Trouble>) -> bool {
        self.health.note(result, self.inbox.sink(), self.handle.stats())
    }

    /// Waits before the next attempt; false when it is time to give up.
    fn pause(&mut self, runtime: &Handle) -> bool {
        let again = Instant::now() + self.health.pause();
        runtime.block_on(async {
            let woken = self.handle.woken().notified();
            let until = self.handle.must_stop_at().map_or(again, |stop| stop.min(again));
            let _either = tokio::time::timeout_at(until.into(), woken).await;
        });
        self.handle.must_stop_at().is_none_or(|stop| Instant::now() < stop)
    }
}

fn template(settings: &FileConfig) -> anyhow::Result<Template> {
    Template::parse(&settings.path).map_err(anyhow::Error::msg)
}

fn check_limits(settings: &FileConfig) -> anyhow::Result<()> {
    let rotate = settings.rotate;
    anyhow::ensure!(
        rotate.size.is_none_or(|size| size.0 > 0) && rotate.every.is_none_or(|every| !every.0.is_zero()),
        "'rotate' has a limit of zero: leave size or every out for no limit"
    );
    anyhow::ensure!(settings.open_max > 0, "'open_max' is zero: at least one file must be open");
    Ok(())
}
