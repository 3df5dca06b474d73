//! All files of one sink: which one a job goes to, and how many are open.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use super::context::{Context, Trouble};
use super::direct::Direct;
use super::job::Job;
use super::keeper::Keeper;
use super::log::Log;
use super::open::{OpenFile, mend_finished};
use super::scan::OVERFLOW;
use super::syncer::Syncer;
use super::{FILES_MAX, SyncPolicy};
use crate::sink::rotate::{period_of, until_next_period};

/// How often it is looked whether the files are still at their paths.
const CHECK: Duration = Duration::from_secs(1);

/// After so many bytes in the page cache a sync begins before its time: a long one holds up writes to the same file, where the file system
/// has to end what they are part of (measured on ext4 at 150 MB/s: 58 ms at most with a sync a second, 9 ms with ten).
const SYNC_BYTES: usize = 16 << 20;

/// Longest pause between syncs while they fail.
const SYNC_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The files of one sink, by path.
pub struct Logs {
    cx: Context,
    direct: Direct,
    /// The one path; `None` with a template.
    fixed: Option<String>,
    logs: HashMap<String, Log>,
    open: usize,
    /// Paths in the order they were used, by [`Log::used`]; those closed since are still in it.
    recent: BTreeMap<u64, String>,
    /// Files given away, by path, the first ones first; see [`Log::give_away`]. Those whose sync is
    /// over are swept before another file is opened.
    given_away: VecDeque<(String, OpenFile)>,
    open_max: usize,
    uses: u64,
    checked: Instant,
    period: Option<u64>,
    sync_at: Option<Instant>,
    sync_pause: Duration,
    /// Bytes written to the page cache since the last round of syncs began.
    unsynced_bytes: usize,
    /// A sync has failed since the last round of syncs began.
    has_failed: bool,
}

impl Logs {
    /// `known` are the paths found at start, with the number of their last finished file;
    /// `open_max` are the files that may be open to be written.
    #[must_use]
    pub fn new(
        cx: Context,
        direct: Direct,
        fixed: Option<String>,
        known: HashMap<String, u64>,
        open_max: usize,
    ) -> Logs {
        let logs = known.into_iter().map(|(path, sequence)| (path.clone(), Log::new(&path, sequence))).collect();
        let sync_pause = match cx.sync {
            SyncPolicy::Every(period) => period.0,
            SyncPolicy::Never | SyncPolicy::Always => Duration::ZERO,
        };
        Logs {
            cx,
            direct,
            fixed,
            logs,
            open: 0,
            recent: BTreeMap::new(),
            given_away: VecDeque::new(),
            open_max: open_max.max(1),
            uses: 0,
            checked: Instant::now(),
            period: None,
            sync_at: None,
            sync_pause,
            unsynced_bytes: 0,
            has_failed: false,
        }
    }

    /// See [`Direct::gathers`].
    pub fn gathers(&mut self, bytes: usize, is_in_journal: bool) -> bool {
        self.direct.gathers(bytes, is_in_journal)
    }

    /// See [`Direct::waited`].
    pub fn waited(&mut self, time: Duration) {
        self.direct.waited(time);
    }

    /// See [`Direct::insist`].
    #[cfg(test)]
    pub fn insist(&mut self) {
        self.direct.insist();
    }

    /// True when the end of a job may wait for the next one. With a template that could be of another file, and
    /// `sync: always` asks for each job as a whole.
    pub fn may_leave(&self) -> bool {
        self.fixed.is_some() && self.cx.sync != SyncPolicy::Always
    }

    /// Opens the file of a fixed path; with a template there is nothing to open yet.
    pub fn open_fixed(&mut self) -> Result<(), Trouble> {
        let Some(path) = &self.fixed else { return Ok(()) };
        let log = self.logs.entry(path.clone()).or_insert_with(|| Log::new(path, 0));
        let opened = log.ensure_open(&self.cx);
        self.count_open();
        opened
    }

    /// Has finished files taken care of, and files synced, from now on.
    pub fn start_with(&mut self, keeper: Option<Keeper>, syncer: Option<Syncer>) {
        self.cx.keeper = keeper;
        self.cx.syncer = syncer;
    }

    /// Cuts incomplete records off the ends of finished files.
    pub fn mend(&self, finished: &[String]) {
        for path in finished {
            if let Err(error) = mend_finished(path, &self.cx) {
                tracing::warn!(sink = %self.cx.sink, path, %error, "cannot look whether a finished file ends with a whole record");
            }
        }
    }

    /// Writes the rest of a job; see [`Log::append`]. With a template, records whose own file is
    /// in nobody's power to open, because a directory or a link is at its path for instance, go
    /// to `_overflow.log`: one path must not hold up all others.
    pub fn append(&mut self, job: &mut Job) -> Result<(), Trouble> {
        let path = self.place(job);
        match self.append_at(&path, job) {
            Err(trouble) if self.fixed.is_none() && path != OVERFLOW && is_about_the_path(&trouble) => {
                self.divert(job);
                self.append_at(OVERFLOW, job)
            }
            result => result,
        }
    }

    fn append_at(&mut self, path: &str, job: &mut Job) -> Result<(), Trouble> {
        self.make_room(path)?;
        self.take_back(path)?;
        self.uses += 1;
        let log = self.logs.entry(path.to_owned()).or_insert_with(|| Log::new(path, 0));
        self.recent.remove(&std::mem::replace(&mut log.used, self.uses));
        self.recent.insert(self.uses, path.to_owned());
        let was_open = log.is_open();
        let result = log.append(job, &mut self.direct, &self.cx);
        self.open = self.open + usize::from(log.is_open()) - usize::from(was_open);
        if matches!(self.cx.sync, SyncPolicy::Every(_)) && log.is_dirty() {
            let now = Instant::now();
            self.unsynced_bytes += self.direct.take_cached();
            self.sync_at.get_or_insert(now + self.sync_pause);
            if self.unsynced_bytes >= SYNC_BYTES && !self.has_failed {
                self.sync_at = Some(now);
            }
        }
        self.tell_open();
        result
    }

    fn place(&self, job: &mut Job) -> String {
        if let Some(fixed) = &self.fixed {
            return fixed.clone();
        }
        if self.logs.contains_key(&job.path) || self.logs.len() < FILES_MAX {
            return job.path.clone();
        }
        self.divert(job);
        OVERFLOW.to_owned()
    }

    fn divert(&self, job: &mut Job) {
        if !std::mem::replace(&mut job.is_diverted, true) {
            self.cx.stats.overflow_records.add(job.records);
        }
    }

    /// Closes the file that was not used for longest when as many are open as may be.
    fn make_room(&mut self, path: &str) -> Result<(), Trouble> {
        if self.logs.get(path).is_some_and(Log::is_open) {
            return Ok(());
        }
        while self.open >= self.open_max
            && let Some((_, oldest)) = self.recent.pop_first()
        {
            if self.logs.get(&oldest).is_some_and(Log::is_open) {
                self.open -= 1;
                self.close_one(&oldest)?;
            }
        }
        Ok(())
    }

    fn close_one(&mut self, path: &str) -> Result<(), Trouble> {
        let Some(log) = self.logs.get_mut(path) else { return Ok(()) };
        let Some(syncer) = &self.cx.syncer else { return log.close(None, &self.cx) };
        if let Some(open) = log.give_away(syncer, &self.cx) {
            self.given_away.push_back((path.to_owned(), open));
        }
        self.sweep();
        Ok(())
    }

    /// Closes the files whose last sync is over; those that were not synced are finished.
    fn sweep(&mut self) {
        while self.given_away.front().is_some_and(|(_, open)| !open.is_waiting())
            && let Some((path, open)) = self.given_away.pop_front()
        {
            if open.is_distrusted()
                && let Some(log) = self.logs.get_mut(&path)
            {
                log.take_back(open);
                // No sync any more: it is finished, or stays as it is.
                let _best_effort = log.close(None, &self.cx);
            }
        }
    }

    /// Goes on with the file when it was closed and not synced yet: it is still locked.
    fn take_back(&mut self, path: &str) -> Result<(), Trouble> {
        self.sweep();
        let Some(at) = self.given_away.iter().position(|(it, _)| it == path) else { return Ok(()) };
        match (self.given_away.remove(at), self.logs.get_mut(path)) {
            (Some((_, open)), Some(log)) => {
                log.take_back(open);
                // It was not looked after meanwhile.
                let checked = log.check(None, &mut self.direct, &self.cx);
                self.open += usize::from(log.is_open());
                checked
            }
            _ => Ok(()),
        }
    }

    /// How long nothing needs to be done unless something arrives.
    #[must_use]
    pub fn idle_for(&self) -> Duration {
        let period = until_next_period(self.cx.rotate.every, self.cx.disk.now_unix_ms());
        // While a round is under way its end is waited for, which wakes the sink.
        let is_in_round = self.cx.syncer.as_ref().is_some_and(Syncer::is_in_round);
        let sync = self.sync_at.filter(|_| !is_in_round).map(|at| at.saturating_duration_since(Instant::now()));
        let check = CHECK.saturating_sub(self.checked.elapsed());
        [period, sync].into_iter().flatten().fold(check, Duration::min)
    }

    /// Does what is due by time: looks whether the files are where they belong, finishes those
    /// whose period is over, syncs. With `look` it looks now. The first trouble is returned, and
    /// what failed is tried again at the next call. `job` is what is to be written next, and may have a part of it
    /// written meanwhile: a line that was begun gets its end before its file is left.
    pub fn tick(&mut self, look: bool, mut job: Option<&mut Job>) -> Result<(), Trouble> {
        let mut result = Ok(());
        if look || self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            result = result.and(self.check(job.as_deref_mut()));
            self.sweep();
        }
        let period = period_of(self.cx.rotate.every, self.cx.disk.now_unix_ms());
        if self.period != Some(period) {
            let rotated = self.rotate_when_over(period, job);
            if rotated.is_ok() {
                self.period = Some(period);
            }
            self.count_open();
            result = result.and(rotated);
        }
        if let Some(trouble) = self.cx.syncer.as_ref().and_then(Syncer::take_trouble) {
            self.pause_syncs();
            result = result.and(Err(trouble));
        }
        if self.sync_at.is_some_and(|at| at <= Instant::now()) {
            self.sync();
        }
        result
    }

    fn rotate_when_over(&mut self, period: u64, mut job: Option<&mut Job>) -> Result<(), Trouble> {
        let mut result = Ok(());
        let paths: Vec<String> = self.logs.keys().cloned().collect();
        for path in paths {
            let was_open = self.logs.get(&path).is_some_and(Log::is_open);
            result = result.and(self.take_back(&path));
            let Some(log) = self.logs.get_mut(&path) else { continue };
            result = result.and(log.rotate_when_over(period, job.as_deref_mut(), &mut self.direct, &self.cx));
            if !was_open && self.fixed.is_none() {
                result = result.and(self.close_one(&path));
            }
        }
        result
    }

    fn check(&mut self, mut job: Option<&mut Job>) -> Result<(), Trouble> {
        // When the root is gone for now, opening files says so.
        let _missing = self.cx.disk.refresh();
        let open = self.logs.values_mut().filter(|log| log.is_open());
        let checked = open.map(|log| log.check(job.as_deref_mut(), &mut self.direct, &self.cx));
        let checked = first_trouble(checked);
        self.count_open();
        checked.and(self.open_fixed())
    }

    /// Begins a round of syncs: each file once that was written to since the last round. The next
    /// one begins when all of them are synced, however long that takes.
    fn sync(&mut self) {
        let (SyncPolicy::Every(period), Some(syncer)) = (self.cx.sync, &self.cx.syncer) else { return };
        if syncer.is_in_round() {
            return;
        }
        self.sync_at = None;
        self.unsynced_bytes = 0;
        if !std::mem::take(&mut self.has_failed) {
            self.sync_pause = period.0;
        }
        self.logs.values_mut().for_each(|log| log.order_sync(syncer));
    }

    /// Each failure begins a new file, so while syncs fail the pauses between them grow.
    fn pause_syncs(&mut self) {
        let SyncPolicy::Every(period) = self.cx.sync else { return };
        self.has_failed = true;
        self.sync_pause = (self.sync_pause * 2).min(SYNC_PAUSE_MAX.max(period.0));
        self.sync_at = self.sync_at.map(|_| Instant::now() + self.sync_pause);
    }

    /// Closes everything, synced unless the policy is `never`, and ends the care for finished
    /// files within `within`.
    pub fn close(mut self, within: Duration) -> Result<(), Trouble> {
        let mut closed = self.cx.syncer.take().map_or(Ok(()), Syncer::end);
        self.sweep();
        closed = closed.and(first_trouble(self.logs.values_mut().map(|log| log.close(None, &self.cx))));
        if let Some(keeper) = self.cx.keeper.take() {
            keeper.stop(within);
        }
        closed
    }

    /// Waits until everything that was to be synced is.
    #[cfg(test)]
    pub fn wait_synced(&self) {
        if let Some(syncer) = &self.cx.syncer {
            syncer.wait_idle();
        }
    }

    fn count_open(&mut self) {
        self.open = self.logs.values().filter(|log| log.is_open()).count();
        self.tell_open();
    }

    fn tell_open(&self) {
        self.cx.stats.files_open.set(self.open as u64);
        self.cx.stats.files_known.set(self.logs.len() as u64);
    }
}

/// Does all of them, and reports the first that failed.
fn first_trouble(results: impl Iterator<Item = Result<(), Trouble>>) -> Result<(), Trouble> {
    results.fold(Ok(()), Result::and)
}

/// True when the disk is well and only this path cannot be opened.
fn is_about_the_path(trouble: &Trouble) -> bool {
    const TOO_MANY_LINKS: i32 = rustix::io::Errno::LOOP.raw_os_error();
    const NAME_TOO_LONG: i32 = rustix::io::Errno::NAMETOOLONG.raw_os_error();
    let kinds = [
        io::ErrorKind::Unsupported,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::PermissionDenied,
    ];
    trouble.doing == "open"
        && (kinds.contains(&trouble.error.kind())
            || matches!(trouble.error.raw_os_error(), Some(TOO_MANY_LINKS | NAME_TOO_LONG)))
}
