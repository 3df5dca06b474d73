//! From what is on the disk to a journal that can be written to. It always succeeds, whatever is
//! in the files: what is damaged is passed over when it is read, not here.
//!
//! Only the last segment is looked through. What was being written when the process ended is cut
//! off, and the segment is sealed: a segment is written by one process only.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Seq;
use super::block::BLOCK;
use super::damage::{Damage, write_all};
use super::entry::Names;
use super::index::Segment;
use super::segment::{Footer, SEQ_END, Tallies};
use super::stats::JournalStats;
use super::survey::{Found, Survey};
use super::walk::{Step, Walk};

/// So many segments at the end may have been written to shortly before the process ended, and are
/// forced to the disk again; it costs nothing when they are there.
const SYNC_AGAIN: usize = 8;

/// What goes on.
#[derive(Debug)]
pub struct Recovery {
    pub segments: Vec<Segment>,
    /// Those that may not have reached the disk.
    pub unsynced: Vec<Found>,
    pub next: Seq,
    pub torn_bytes: u64,
    pub warnings: Vec<String>,
}

/// What the end of the last segment looks like.
#[derive(Debug)]
struct End {
    /// Where it is to be cut.
    offset: u64,
    /// One past the last entry that is whole.
    next: Seq,
    entries: u64,
    tallies: Tallies,
    salt: Option<u64>,
    /// Behind the cut, up to the last byte that is not zero.
    torn: Range<u64>,
}

/// Recovers. What is in `survey` is made whole on the disk; failing to is no reason not to start.
pub fn recover(survey: &mut Survey, disk: &dyn super::Disk, damage: &Damage, stats: &JournalStats) -> Recovery {
    let mut warnings = Vec::new();
    for name in &survey.unfinished {
        if let Err(error) = disk.remove(name) {
            stats.failed("cannot remove an unfinished file", &error);
        }
    }
    let durable_end = survey.cursors.iter().filter_map(|(_, slot)| *slot).map(|slot| slot.durable_end).max();
    // Numbers that somebody may have seen are not given again, even when their entries are gone.
    let seen = survey.cursors.iter().filter_map(|(_, slot)| *slot).map(|slot| slot.next).max();
    let mut next = durable_end.max(seen).unwrap_or(1).max(1);
    let mut torn_bytes = 0;
    while let Some(last) = survey.segments.last_mut() {
        next = next.max(last.base);
        if last.footer.is_some() {
            break;
        }
        let end = match find_end(last) {
            Ok(end) => end,
            Err(error) => {
                // Perhaps it can be read later. No more entries than this can be in it.
                stats.failed("cannot read the last segment", &error);
                next = next.max(last.base.saturating_add(last.len / BLOCK as u64)).min(SEQ_END - 1);
                break;
            }
        };
        torn_bytes += end.torn.end - end.torn.start;
        if !end.torn.is_empty() {
            damage.corrupt(&*last.file, last.base, end.torn.clone());
        }
        next = next.max(end.next);
        if end.entries > 0 {
            if let Err(error) = seal(last, end) {
                stats.failed("cannot seal the last segment", &error);
            }
            break;
        }
        // Nothing was ever in it, or nothing is left; with a name that a new segment may need.
        if let Err(error) = disk.remove(&super::segment::file_name(last.base)) {
            stats.failed("cannot remove an empty segment", &error);
            next = next.max(last.base + 1);
            break;
        }
        survey.segments.pop();
    }
    let segments = index(&survey.segments, &mut next, damage, &mut warnings);
    let unsynced = survey.segments.iter().rev().take(SYNC_AGAIN).rev().cloned().collect();
    stats.torn_bytes.store(torn_bytes, Relaxed);
    if torn_bytes > 0 {
        warnings.push(format!("{torn_bytes} bytes behind the last whole entry were cut off"));
    }
    if let Err(error) = disk.sync_dir() {
        stats.failed("cannot sync the directory", &error);
    }
    Recovery { segments, unsynced, next, torn_bytes, warnings }
}

/// The segments as readers see them: a later one ends an earlier one.
fn index(found: &[Found], next: &mut Seq, damage: &Damage, warnings: &mut Vec<String>) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::with_capacity(found.len());
    for (at, segment) in found.iter().enumerate() {
        let later = found.get(at + 1).map(|later| later.base);
        let own = segment.footer.as_ref().map(|footer| footer.end);
        let end = own.unwrap_or(SEQ_END).min(later.unwrap_or(SEQ_END));
        // The last one without a footer: sealing it failed, and its end is the end.
        let end = if end == SEQ_END { *next } else { end };
        *next = end.max(*next);
        if let Some(later) = later.filter(|later| *later > end) {
            warnings.push(format!("entries {end} to {} are missing: a segment was removed or damaged", later - 1));
            damage.lost(end..later);
        }
        let tallies = segment.footer.as_ref().filter(|footer| footer.end == end);
        segments.push(Segment {
            id: at as u64 + 1,
            base: segment.base,
            end,
            limit: segment.limit(),
            bytes: segment.len,
            salt: segment.salt(),
            is_sealed: true,
            tallies: tallies.map(|footer| Arc::new(footer.tallies.clone())),
        });
    }
    segments
}

/// Looks through a segment that was not sealed. Damage with whole entries behind it stays where it
/// is; damage at the end is what was being written.
fn find_end(found: &Found) -> io::Result<End> {
    let seqs = found.base..SEQ_END;
    let mut walk = Walk::new(Arc::clone(&found.file), found.len, seqs, found.salt(), 1 << 20);
    let (offset, next, tallies) = (BLOCK as u64, found.base, Tallies::default());
    let mut end = End { offset, next, entries: 0, tallies, salt: found.salt(), torn: 0..0 };
    let mut names = Names::default();
    loop {
        match walk.step()? {
            Step::Entry { offset, header } => {
                let body = walk.body(offset, header.total() - BLOCK as u64)?;
                if let Some(entry) = header.entry(&body, &mut names) {
                    end.offset = walk.position();
                    end.next = header.seq + 1;
                    end.entries += 1;
                    end.tallies.add(&entry.source, 1, header.records);
                    end.salt = Some(header.salt);
                }
            }
            Step::Damaged(_) => {}
            Step::End { offset, rubbish } => {
                end.torn = end.offset..(offset + rubbish).max(end.offset);
                return Ok(end);
            }
        }
    }
}

/// Cuts off what is torn and writes the footer.
fn seal(found: &mut Found, end: End) -> io::Result<()> {
    let footer = Footer {
        base: found.base,
        end: end.next,
        entries: end.entries,
        tallies: end.tallies,
        salt: end.salt.unwrap_or_default(),
        offset: end.offset,
    };
    found.file.set_len(end.offset)?;
    found.len = end.offset;
    let bytes = footer.to_bytes();
    write_all(&*found.file, &mut [IoSlice::new(&bytes)], end.offset)?;
    found.len += bytes.len() as u64;
    found.footer = Some(footer);
    Ok(())
}
