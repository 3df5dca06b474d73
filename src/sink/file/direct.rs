//! Large writes past the page cache.
//!
//! What goes through the cache is copied there, kept account of page by page, written back when it is synced and
//! thrown away when the file is removed. At full speed that is most of what the kernel does for a line (measured on
//! ext4: 0.33 s of CPU for a gibibyte written, synced and removed, 0.06 to 0.13 s past the cache). So a stretch that is
//! large goes to the disk as it is, in whole pages. What is left at its end waits a moment for more, and goes through the
//! cache if nothing comes.
//!
//! A file grows on the disk from its beginning: before a stretch goes past the cache, what stands before it leaves the
//! cache. Else a power cut could keep the stretch and lose a page before it, and a hole would be in the middle of the
//! file, where nobody looks for one.
//!
//! Either all of what comes goes past the cache or nothing does, for a while: a disk that writes back what the cache has
//! makes the next direct write wait. So little at once is gathered first, while there is much in all. A slow disk is
//! left to the cache, which takes more at once than an inbox does.
//!
//! And all of it only without a journal, which writes back as much as comes all the time, and while processors are short: who follows the file has to read it from the disk then, so a line is seen
//! some milliseconds later.

use std::fs::File;
use std::io;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::context::Context;
use super::job::Job;
use super::room::Room;

/// Most bytes of one write.
const WRITE_BYTES: usize = 4 << 20;

/// Fewest bytes: below, waiting for the disk costs more than the cache.
const WRITE_BYTES_MIN: usize = 128 << 10;

/// Most bytes that leave the cache for a write to go past it; where there are more, the next sync takes them along.
const CACHED_BYTES_MAX: u64 = 64 << 20;

/// Processors are short when so much of those that this process may use is used by it, until it is less than half of that.
const BUSY_SHARE: f64 = 0.55;
/// And much is written from so many bytes a second on, until it is less than half of that.
const MUCH_BYTES_PER_SECOND: f64 = 256e6;
/// How long both are counted for that, and until it is said that it is over: changing costs a wait for the cache, in which
/// little is done, and that must not look like the end.
const COUNTED: Duration = Duration::from_millis(50);
const COUNTED_BUSY: Duration = Duration::from_secs(1);

/// Whoever waits so long for more to write has no lack of processors: the next lines are to be seen at once.
const CALM: Duration = Duration::from_millis(20);

/// How long a sink that writes past the cache sleeps before it looks into its inbox again, where it was given less than
/// [`GATHERED_BYTES`]: each write costs as much as some hundred KiB do.
pub const GATHER: Duration = Duration::from_millis(1);
const GATHERED_BYTES: usize = 512 << 10;

/// A disk is slow where so many bytes, one write after the other, take longer than [`PATIENCE`]: 160 MB/s. Fewer say
/// nothing; any disk, and any thread that waits for a processor, is late now and then.
const JUDGED_BYTES: usize = 32 << 20;
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a slow disk is left to the page cache, at first and at most: twice as long each time it is still slow.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(64);

/// Where the next bytes of a job go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the page cache, at most so many.
    Cached(usize),
    /// Past it, exactly so many.
    Direct(usize),
}

/// Decides about writes of one sink, and holds the bytes of one.
#[derive(Debug)]
pub struct Direct {
    /// Writes begin and end, in the file and in memory, at multiples of it.
    page: usize,
    /// Holds one write; `None` before the first.
    room: Option<Room>,
    is_possible: bool,
    /// How many the process may use.
    processors: f64,
    /// Much is written, and processors are short.
    is_busy: bool,
    counted: Counted,
    /// Bytes that went into the cache since somebody asked.
    cached: usize,
    /// What was written past the cache since the disk was judged, and how long that took.
    judged: (usize, Duration),
    patience: Duration,
    /// While the disk is slow, how long it is left to the cache.
    pause: Option<Pause>,
}

/// What is counted for a while.
#[derive(Debug)]
struct Counted {
    since: Instant,
    /// CPU time of the process then.
    cpu: Duration,
    /// Bytes to be written since.
    bytes: usize,
}

impl Counted {
    fn begin() -> Counted {
        Counted { since: Instant::now(), cpu: cpu_time(), bytes: 0 }
    }

    /// True when it is as much of both as was asked for, or such a part of it.
    fn reaches(&self, part: f64, processors: f64) -> bool {
        let passed = self.since.elapsed().as_secs_f64() * part;
        let cpu = cpu_time().saturating_sub(self.cpu).as_secs_f64();
        self.bytes as f64 >= MUCH_BYTES_PER_SECOND * passed && cpu >= BUSY_SHARE * processors * passed
    }
}

/// CPU time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[derive(Debug)]
struct Pause {
    until: Instant,
    len: Duration,
}

impl Direct {
    /// Nothing is written directly where that is not `possible`: files that are read again soon, for instance.
    #[must_use]
    pub fn new(possible: bool) -> Direct {
        let page = rustix::param::page_size();
        // A write holds whole pages, whatever their size: they are powers of two, and smaller.
        let is_possible = possible && WRITE_BYTES_MIN.is_multiple_of(page);
        let processors = std::thread::available_parallelism().map_or(1.0, |it| it.get() as f64);
        Direct {
            page,
            room: None,
            is_possible,
            processors,
            is_busy: false,
            counted: Counted::begin(),
            cached: 0,
            judged: (0, Duration::ZERO),
            patience: PATIENCE,
            pause: None,
        }
    }

    /// So many bytes came, `is_in_journal` when a journal has them too. True when it is better to gather more for
    /// [`GATHER`] before the next write.
    pub fn gathers(&mut self, bytes: usize, is_in_journal: bool) -> bool {
        self.counted.bytes += if is_in_journal { 0 } else { bytes };
        if self.counted.since.elapsed() >= if self.is_busy { COUNTED_BUSY } else { COUNTED } {
            self.is_busy = self.counted.reaches(if self.is_busy { 0.5 } else { 1.0 }, self.processors);
            self.counted = Counted::begin();
        }
        bytes < GATHERED_BYTES && self.is_wanted()
    }

    /// Nothing came for so long.
    pub fn waited(&mut self, time: Duration) {
        if self.is_busy && time >= CALM {
            self.is_busy = false;
            self.counted = Counted::begin();
        }
    }

    /// So many bytes were written to the cache.
    pub fn cached(&mut self, bytes: usize) {
        self.cached += bytes;
    }

    /// How many bytes were written to the cache since the last call.
    pub fn take_cached(&mut self) -> usize {
        std::mem::take(&mut self.cached)
    }

    fn is_wanted(&self) -> bool {
        self.is_possible && self.is_busy && self.pause.as_ref().is_none_or(|pause| pause.until <= Instant::now())
    }

    /// How the next of `left` bytes get to their place `offset` in the file, before which everything from `written_out`
    /// on may be in the page cache only.
    #[must_use]
    pub fn way(&self, offset: u64, left: usize, written_out: u64) -> Way {
        let over = (offset % self.page as u64) as usize;
        let before = if over == 0 { 0 } else { self.page - over };
        match left.saturating_sub(before) {
            rest if rest < WRITE_BYTES_MIN || !self.is_wanted() => Way::Cached(left),
            _ if offset.saturating_sub(written_out) > CACHED_BYTES_MAX => Way::Cached(left),
            _ if before > 0 => Way::Cached(before),
            rest => Way::Direct(rest.min(WRITE_BYTES) / self.page * self.page),
        }
    }

    /// True when the last bytes of a job had better wait for the next job: what was begun past the cache goes on there only
    /// if none of its pages is in it, and more comes soon. They wait for [`GATHER`] at most, and are not settled.
    #[must_use]
    pub fn leaves(&self, offset: u64, left: usize, written_out: u64) -> bool {
        let is_at_page = offset.is_multiple_of(self.page as u64) && written_out >= offset;
        is_at_page && left < WRITE_BYTES_MIN && self.is_wanted()
    }

    /// Appends `len` bytes of the job from `from` on, of which [`Direct::way`] said that they go this way; may write
    /// less. `written_out` follows what is not in the page cache alone. Where it turns out that it cannot be done,
    /// nothing is written and nobody asks again: `None`.
    pub fn write(
        &mut self,
        file: &File,
        (job, from, len): (&Job, usize, usize),
        (offset, written_out): (u64, &mut u64),
        cx: &Context,
    ) -> io::Result<Option<usize>> {
        let room = match self.room.take().map_or_else(|| Room::new(WRITE_BYTES), Ok) {
            Ok(room) => self.room.insert(room),
            Err(error) => return self.give_up(&error, cx),
        };
        let Some(room) = room.get_mut(..len) else { return Ok(None) };
        if *written_out < offset {
            let page = *written_out / self.page as u64 * self.page as u64;
            if let Err(error) = cx.disk.write_out(file, page..offset, room) {
                return self.give_up(&error, cx);
            }
            *written_out = offset;
        }
        job.copy(from, room);
        let begun = Instant::now();
        let written = cx.disk.write_direct(file, room);
        self.judge(len, begun.elapsed());
        match written {
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => self.give_up(&error, cx),
            Ok(written) => {
                *written_out += written as u64;
                Ok(Some(written))
            }
            Err(error) => Err(error),
        }
    }

    /// The page cache, and its syncs, will tell what is wrong, if something is.
    fn give_up(&mut self, error: &io::Error, cx: &Context) -> io::Result<Option<usize>> {
        self.is_possible = false;
        tracing::debug!(sink = %cx.sink, %error, "no direct writes here");
        Ok(None)
    }

    /// From now on what is large goes past the cache, however busy the machine is.
    #[cfg(test)]
    pub fn insist(&mut self) {
        (self.is_busy, self.patience) = (true, Duration::from_secs(3600));
    }

    /// Whether the disk is slow, by how long it took to write so many bytes.
    fn judge(&mut self, len: usize, took: Duration) {
        let (bytes, time) = &mut self.judged;
        *bytes += len;
        *time += took;
        let is_slow = *time > self.patience;
        if !is_slow && *bytes < JUDGED_BYTES {
            return;
        }
        let longer = self.pause.as_ref().map_or(PAUSE_MIN, |pause| (pause.len * 2).min(PAUSE_MAX));
        self.pause = is_slow.then(|| Pause { until: Instant::now() + longer, len: longer });
        self.judged = (0, Duration::ZERO);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn direct() -> Direct {
        Direct { page: 4096, is_busy: true, ..Direct::new(true) }
    }

    /// Bytes through the cache and past it, in turns.
    fn ways(direct: &Direct, mut offset: u64, mut left: usize) -> Vec<Way> {
        let mut ways = Vec::new();
        while left > 0 {
            let way = direct.way(offset, left, offset);
            let (Way::Cached(part) | Way::Direct(part)) = way;
            assert!(part > 0 && part <= left);
            offset += part as u64;
            left -= part;
            ways.push(way);
        }
        ways
    }

    #[test]
    fn pages_in_the_middle_go_past_the_cache() {
        let direct = direct();
        let (least, most) = (WRITE_BYTES_MIN, WRITE_BYTES);
        assert_eq!(ways(&direct, 0, least - 1), [Way::Cached(least - 1)]);
        assert_eq!(ways(&direct, 0, least), [Way::Direct(least)]);
        assert_eq!(ways(&direct, 4095, least), [Way::Cached(least)]);
        assert_eq!(ways(&direct, 4095, least + 1), [Way::Cached(1), Way::Direct(least)]);
        assert_eq!(ways(&direct, 1, least + 4096), [Way::Cached(4095), Way::Direct(least), Way::Cached(1)]);
        assert_eq!(ways(&direct, 8192, 2 * most + 5), [Way::Direct(most), Way::Direct(most), Way::Cached(5)]);
        assert_eq!(ways(&Direct::new(false), 0, 2 * most), [Way::Cached(2 * most)]);
        let far = CACHED_BYTES_MAX + 4096;
        assert_eq!(direct.way(far, most, 4096), Way::Direct(most));
        assert_eq!(direct.way(far, most, 4095), Way::Cached(most));
    }

    #[test]
    fn little_is_left_to_the_cache() {
        let mut direct = direct();
        let mut say = |per_second: usize, share: f64, bytes: usize| {
            let ago = COUNTED_BUSY;
            // As if there were so many that the CPU time of this test is that share.
            let cpu = cpu_time();
            direct.processors = cpu.as_secs_f64() / (share * ago.as_secs_f64());
            direct.counted = Counted { since: Instant::now() - ago, cpu: Duration::ZERO, bytes: per_second };
            let gathers = direct.gathers(bytes, false);
            (gathers, direct.way(0, WRITE_BYTES, 0) == Way::Direct(WRITE_BYTES))
        };
        assert_eq!(say(400_000_000, 0.9, 1000), (true, true));
        assert_eq!(say(400_000_000, 0.9, GATHERED_BYTES), (false, true));
        assert_eq!(say(200_000_000, 0.4, 1000), (true, true), "not less than half");
        assert_eq!(say(100_000_000, 0.9, 1000), (false, false));
        assert_eq!(say(200_000_000, 0.9, 1000), (false, false), "not much again");
        assert_eq!(say(400_000_000, 0.4, 1000), (false, false), "not busy");
        assert_eq!(say(400_000_000, 0.9, 1000), (true, true));
        assert_eq!(say(400_000_000, 0.2, 1000), (false, false));
        assert_eq!(say(400_000_000, 0.9, 1000), (true, true));
        direct.waited(CALM - Duration::from_millis(1));
        assert!(direct.is_busy);
        direct.waited(CALM);
        assert!(!direct.is_busy);
    }

    /// Scenario: a disk is late once, becomes slow, stays so, and is fast again. Guarantee: while it is slow it is asked
    /// seldom.
    #[test]
    fn a_slow_disk_is_left_to_the_cache() {
        let mut direct = direct();
        let is_asked = |direct: &Direct| direct.way(0, WRITE_BYTES, 0) == Way::Direct(WRITE_BYTES);
        direct.judge(WRITE_BYTES, PATIENCE);
        (1..8).for_each(|_| direct.judge(WRITE_BYTES, Duration::ZERO));
        assert!(is_asked(&direct) && direct.pause.is_none());
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                direct.judge(WRITE_BYTES, PATIENCE / 2);
                direct.judge(WRITE_BYTES, PATIENCE);
                assert!(!is_asked(&direct));
                direct.pause.as_ref().unwrap().len.as_secs()
            })
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        direct.pause.as_mut().unwrap().until = Instant::now();
        assert!(is_asked(&direct));
        (0..8).for_each(|_| direct.judge(WRITE_BYTES, Duration::ZERO));
        assert!(direct.pause.is_none());
    }
}
