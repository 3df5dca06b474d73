//! How much clients may send before it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes that the clients of a source may send before they are read: so many times the connection limit
/// is memory that a crowd of clients can occupy outside of the budget.
pub const UNREAD_BYTES: u32 = 128 << 10;

/// What HTTP/2 allows one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    /// Bytes before they are read: of one stream, and of all.
    pub(super) window: u32,
    /// Largest frame. One that is not complete yet may come on top of a full window.
    pub(super) frame: u32,
}

/// For the first connections. A request of some hundred kilobytes is one frame, which is never
/// copied, and comes without a pause: 85 ns a record of 665 bytes in requests of 500, where windows of
/// 128 KiB and frames of 16 took 215 (loopback, raw bytes only acknowledged).
const WIDE: Flow = Flow { window: 1 << 20, frame: 512 << 10 };
/// For a crowd. The window is what HTTP/2 begins with everywhere.
const NARROW: Flow = Flow { window: 64 << 10, frame: 32 << 10 };
/// Connections for each wide one: what narrow ones leave of [`UNREAD_BYTES`] is what it takes.
const CONNECTIONS_PER_WIDE: u32 = (WIDE.window + WIDE.frame).div_ceil(UNREAD_BYTES - NARROW.window - NARROW.frame);

/// The wide connections of a source.
#[derive(Debug, Default)]
pub(super) struct Wide {
    open: Arc<AtomicU32>,
}

/// What one connection is allowed, until it is dropped.
#[derive(Debug)]
pub(super) struct Allowed {
    pub(super) flow: Flow,
    wide: Option<Arc<AtomicU32>>,
}

impl Wide {
    /// What a new connection is allowed, of so many that may come.
    pub(super) fn allow(&self, connections_max: u32) -> Allowed {
        let wide_max = connections_max / CONNECTIONS_PER_WIDE;
        let more = |open: u32| (open < wide_max).then_some(open + 1);
        match self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Allowed { flow: WIDE, wide: Some(Arc::clone(&self.open)) },
            Err(_) => Allowed { flow: NARROW, wide: None },
        }
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        if let Some(open) = &self.wide {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_together_stay_within_their_sum() {
        for connections_max in [1, 47, 48, 100, 512, 4096, 100_000] {
            let wide = Wide::default();
            let open: Vec<Allowed> = (0..connections_max).map(|_| wide.allow(connections_max)).collect();
            let bytes: u64 = open.iter().map(|it| u64::from(it.flow.window) + u64::from(it.flow.frame)).sum();
            assert!(bytes <= u64::from(connections_max) * u64::from(UNREAD_BYTES), "{connections_max}");
        }
    }

    #[test]
    fn the_first_are_wide_and_leave_room_for_others() {
        let wide = Wide::default();
        let first = wide.allow(512);
        assert_eq!(first.flow, WIDE);
        let open: Vec<Allowed> = (0..511).map(|_| wide.allow(512)).collect();
        assert_eq!(wide.allow(512).flow, NARROW);
        drop(first);
        assert_eq!(wide.allow(512).flow, WIDE);
        drop(open);
        assert_eq!(wide.open.load(Ordering::Relaxed), 0);
    }
}
