//! Tests of the journal: on a real disk with its threads, and on one that crashes.

mod crash;
mod damage;
mod model;
mod real;
mod sim;
mod spare;

use std::sync::Arc;

use bytes::Bytes;

use super::{Entry, JournalSettings, Kind, Mode};
use crate::decode::line::Mark;

/// An entry that differs from all others, of a size that differs too.
pub fn entry(n: u64) -> Entry {
    let peers = [None, "10.0.0.1:4711".parse().ok(), "[fe80::1%3]:9".parse().ok()];
    let marks = (0..n % 3).map(|i| Mark { start: i as u32 * 7, truncated: i == 0, partial: i == 1 }).collect();
    let mut random = fastrand::Rng::with_seed(n);
    let len = match n % 7 {
        0 => 0,
        1 => 4096,
        _ => random.usize(1..2000),
    };
    let payload: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
    Entry {
        kind: if n.is_multiple_of(2) { Kind::Lines } else { Kind::Otlp },
        source: ["mesh", "otlp"][n as usize % 2].into(),
        peer: peers[n as usize % 3],
        received_unix_nano: 1_700_000_000_000_000_000 + n,
        records: n % 5,
        marks,
        payload: Bytes::from(payload),
    }
}

pub fn settings(max_bytes: u64, segment_bytes: u64, sinks: &[&str]) -> JournalSettings {
    let cursors = sinks.iter().map(|sink| Arc::from(*sink)).collect();
    JournalSettings { max_bytes, mode: Mode::Durable, segment_bytes, cursors }
}
