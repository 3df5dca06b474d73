//! Records for whoever watches them: as many as are asked for, and never so that anybody else waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::encode::Encoding;
use crate::select::Condition;

mod run;

pub use run::TapRun;

/// Who may watch at a time.
pub const SUBSCRIBERS_MAX: usize = 8;
/// Bytes that wait for one who watches; what comes when they are used up is skipped.
pub const QUEUE_BYTES: usize = 128 << 10;
/// Longest record that is shown, encoded.
pub const RECORD_BYTES_MAX: usize = 64 << 10;
/// Records a second for one who watches, unless another number is asked for.
pub const RATE_DEFAULT: u32 = 1_000;
/// Most records a second that can be asked for.
pub const RATE_MAX: u32 = 100_000;
/// Records a second that are decoded for nobody but those who watch.
pub const DECODED_PER_SECOND: u64 = 20_000;

/// What all who watch take at most: what waits, and what one thread has in hand for each.
#[must_use]
pub fn bytes_max(threads: u64) -> u64 {
    SUBSCRIBERS_MAX as u64 * QUEUE_BYTES as u64 * (1 + threads)
}

/// What somebody wants to see.
#[derive(Debug)]
pub struct Wish {
    /// Only records for which this holds.
    pub condition: Option<Condition>,
    /// Only records of this source.
    pub source: Option<String>,
    /// Only what this sink takes.
    pub sink: Option<String>,
    /// Records a second.
    pub rate: u32,
    /// How they are written: `json` or `pretty`.
    pub encoding: Encoding,
}

/// All who watch.
#[derive(Debug)]
pub struct Tap {
    started: Instant,
    /// How many watch: all that is looked at while nobody does.
    open: AtomicUsize,
    subscribers: RwLock<Vec<Arc<Subscriber>>>,
    decoded: Allowance,
}

impl Default for Tap {
    fn default() -> Self {
        Tap {
            started: Instant::now(),
            open: AtomicUsize::new(0),
            subscribers: RwLock::default(),
            decoded: Allowance::default(),
        }
    }
}

impl Tap {
    /// Begins to watch; `None` when too many do already.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, wish: Wish) -> Option<Subscription> {
        let mut subscribers = self.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        if subscribers.len() >= SUBSCRIBERS_MAX {
            return None;
        }
        let subscriber =
            Arc::new(Subscriber { wish, shown: Allowance::default(), queue: Mutex::default(), come: Notify::new() });
        subscribers.push(Arc::clone(&subscriber));
        self.open.store(subscribers.len(), Ordering::Release);
        Some(Subscription { tap: Arc::clone(self), subscriber })
    }

    /// True while somebody watches. Costs one load.
    #[inline]
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// How many watch.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// The runs of a payload of `source`, for those who want any of it. `sees` says of a sink whether it
    /// gets anything of this payload, and whether that is all of it.
    pub fn runs(&self, source: &str, again: bool, sees: impl Fn(&str) -> Option<bool>) -> Vec<TapRun> {
        let second = self.second();
        let subscribers = self.subscribers.read().unwrap_or_else(PoisonError::into_inner);
        let wanted = subscribers.iter().filter_map(|subscriber| {
            let wish = &subscriber.wish;
            if wish.source.as_ref().is_some_and(|it| it != source) {
                return None;
            }
            let takes_all = match &wish.sink {
                Some(sink) => sees(sink)?,
                // What comes again was shown when it came.
                None if again => return None,
                None => true,
            };
            Some(TapRun::new(Arc::clone(subscriber), takes_all, second))
        });
        wanted.collect()
    }

    /// How many of so many records may be decoded for nobody but those who watch.
    #[must_use]
    pub fn decodable(&self, records: u64) -> u64 {
        self.decoded.take(self.second(), records, DECODED_PER_SECOND)
    }

    fn second(&self) -> u64 {
        self.started.elapsed().as_secs()
    }
}

/// Somebody who watches.
#[derive(Debug)]
struct Subscriber {
    wish: Wish,
    shown: Allowance,
    queue: Mutex<Queue>,
    come: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    skipped: u64,
}

impl Subscriber {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some records, or that so many were skipped.
    fn put(&self, chunk: Vec<u8>, records: u64, skipped: u64) {
        let mut queue = self.lock();
        queue.skipped += skipped;
        if queue.bytes + chunk.len() > QUEUE_BYTES {
            queue.skipped += records;
        } else if !chunk.is_empty() {
            queue.bytes += chunk.len();
            queue.chunks.push_back(chunk.into());
        }
        drop(queue);
        self.come.notify_one();
    }
}

/// One who watches. Dropped, it is over.
#[derive(Debug)]
pub struct Subscription {
    tap: Arc<Tap>,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// The next lines, each ended by a line feed, and how many records were skipped since the last
    /// time. Waits while there is neither. Cancel-safe.
    pub async fn next(&self) -> (Bytes, u64) {
        loop {
            {
                let mut queue = self.subscriber.lock();
                let chunk = queue.chunks.pop_front();
                if chunk.is_some() || queue.skipped > 0 {
                    let chunk = chunk.unwrap_or_default();
                    queue.bytes -= chunk.len();
                    return (chunk, std::mem::take(&mut queue.skipped));
                }
            }
            self.subscriber.come.notified().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.tap.subscribers.write().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|it| !Arc::ptr_eq(it, &self.subscriber));
        self.tap.open.store(subscribers.len(), Ordering::Release);
    }
}

/// So many a second, whoever takes them.
#[derive(Debug, Default)]
struct Allowance {
    /// The second in the upper half, what was taken in the lower.
    taken: AtomicU64,
}

impl Allowance {
    /// As many of `wanted` as are left of `rate` in this second.
    fn take(&self, second: u64, wanted: u64, rate: u64) -> u64 {
        let mut now = self.taken.load(Ordering::Relaxed);
        loop {
            let used = if now >> 32 == second { now & u64::from(u32::MAX) } else { 0 };
            let granted = wanted.min(rate.saturating_sub(used));
            if granted == 0 {
                return 0;
            }
            let next = second << 32 | (used + granted);
            match self.taken.compare_exchange_weak(now, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return granted,
                Err(other) => now = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(sink: Option<&str>) -> Wish {
        Wish { condition: None, source: None, sink: sink.map(Into::into), rate: 5, encoding: Encoding::Json }
    }

    #[test]
    fn so_many_a_second() {
        let allowance = Allowance::default();
        assert_eq!(allowance.take(1, 3, 5), 3);
        assert_eq!(allowance.take(1, 3, 5), 2);
        assert_eq!(allowance.take(1, 3, 5), 0);
        assert_eq!(allowance.take(2, 9, 5), 5);
    }

    #[tokio::test]
    async fn who_does_not_read_misses_records_and_holds_no_memory() {
        let tap = Arc::new(Tap::default());
        let subscription = tap.subscribe(wish(None)).unwrap();
        assert!(tap.is_open());
        let subscriber = &subscription.subscriber;
        for _ in 0..100 {
            subscriber.put(vec![b'x'; 10 << 10], 2, 1);
        }
        assert!(subscriber.lock().bytes <= QUEUE_BYTES);
        let (mut bytes, mut skipped) = (0, 0);
        while bytes < 12 * (10 << 10) {
            let (chunk, more) = subscription.next().await;
            bytes += chunk.len();
            skipped += more;
        }
        assert_eq!(skipped, 100 + 88 * 2);
        assert_eq!(subscriber.lock().bytes, 0);
        drop(subscription);
        assert!(!tap.is_open());
    }

    #[test]
    fn only_so_many_watch() {
        let tap = Arc::new(Tap::default());
        let all: Vec<_> = (0..SUBSCRIBERS_MAX).map(|_| tap.subscribe(wish(None)).unwrap()).collect();
        assert!(tap.subscribe(wish(None)).is_none());
        drop(all);
        assert!(tap.subscribe(wish(None)).is_some());
    }

    #[test]
    fn runs_are_for_those_who_want_it() {
        let tap = Arc::new(Tap::default());
        let _all = tap.subscribe(wish(None)).unwrap();
        let _files = tap.subscribe(wish(Some("files"))).unwrap();
        let _mesh = tap.subscribe(Wish { source: Some("mesh".into()), ..wish(None) }).unwrap();
        let sees = |sink: &str| (sink == "files").then_some(false);
        assert_eq!(tap.runs("mesh", false, sees).len(), 3);
        assert_eq!(tap.runs("otlp", false, sees).len(), 2);
        assert_eq!(tap.runs("otlp", false, |_| None).len(), 1);
        assert_eq!(tap.runs("mesh", true, sees).len(), 1);
    }
}
