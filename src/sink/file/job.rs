//! Lines on their way into one file.

use std::collections::HashMap;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

use crate::batch::Batch;
use crate::sink::rotate::whole_lines;

/// Payloads below this size are copied together: a slice of their own would cost more.
const COPY_BELOW_BYTES: usize = 16 * 1024;

/// Most slices in one write; the kernel takes no more.
const SLICES_MAX: usize = 1024;

/// The lines of several batches that belong into one file, in order, and how far they have got.
#[derive(Debug, Default)]
pub struct Job {
    /// Path relative to the root.
    pub path: String,
    /// Number of records.
    pub records: u64,
    /// Bytes written.
    pub written: usize,
    /// Bytes known to be on the disk; follows `written` only with `sync: always`.
    pub synced: usize,
    /// Its end may be left unwritten, see [`super::direct::Direct::leaves`].
    pub may_leave: bool,
    /// True once it was sent to the overflow file and counted there.
    pub is_diverted: bool,
    pieces: Vec<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Job {
    fn new(path: &str) -> Job {
        Job { path: path.to_owned(), ..Job::default() }
    }

    fn push(&mut self, batch: &Batch, from: usize, to: usize) {
        self.len += to - from;
        if to - from < COPY_BELOW_BYTES {
            self.small.extend_from_slice(&batch.payload[from..to]);
        } else {
            self.flush_small();
            self.pieces.push(batch.payload.slice(from..to));
        }
    }

    fn flush_small(&mut self) {
        if !self.small.is_empty() {
            self.pieces.push(std::mem::take(&mut self.small).freeze());
        }
    }

    /// Bytes not written yet.
    #[must_use]
    pub fn rest(&self) -> usize {
        self.len - self.written
    }

    /// Length of the whole lines that come next and fit into `room` bytes.
    #[must_use]
    pub fn fitting(&self, room: u64) -> usize {
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if self.rest() <= room {
            return self.rest();
        }
        let mut fitting = 0;
        for piece in self.pieces_from(self.written) {
            if fitting + piece.len() > room {
                // Every piece is whole lines, so a piece that does not fit is the one to cut.
                return fitting + whole_lines(piece, room - fitting);
            }
            fitting += piece.len();
        }
        fitting
    }

    /// Length of the line that comes next.
    #[must_use]
    pub fn first_line(&self) -> usize {
        let next = self.pieces_from(self.written).next().unwrap_or_default();
        memchr::memchr(b'\n', next).map_or(next.len(), |at| at + 1)
    }

    /// The bytes from `from` on, at most `len` of them and at most as many slices as one write takes.
    pub fn slices(&self, from: usize, len: usize) -> Vec<IoSlice<'_>> {
        let mut left = len;
        let slices = self.pieces_from(from).map_while(|piece| {
            let taken = piece.len().min(left);
            left -= taken;
            (taken > 0).then(|| IoSlice::new(&piece[..taken]))
        });
        slices.take(SLICES_MAX).collect()
    }

    /// Copies the bytes from `from` on into a block that is not longer than what is left.
    pub fn copy(&self, from: usize, block: &mut [u8]) {
        let mut rest = block;
        for piece in self.pieces_from(from) {
            let (begin, behind) = rest.split_at_mut(piece.len().min(rest.len()));
            begin.copy_from_slice(&piece[..begin.len()]);
            rest = behind;
        }
    }

    fn pieces_from(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let mut skip = from;
        self.pieces.iter().filter_map(move |piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            (skipped < piece.len()).then(|| &piece[skipped..])
        })
    }
}

/// Sorts batches by file, each file's lines in the order of the batches. What no route covers,
/// gap records for one, goes to `otherwise`; so does everything when no batch has routes.
/// Copies at most as many bytes as the batches hold.
#[must_use]
pub fn jobs<'a>(batches: impl Iterator<Item = &'a Batch>, otherwise: &str) -> Vec<Job> {
    let mut jobs = vec![Job::new(otherwise)];
    let mut by_path: HashMap<&'a str, usize> = HashMap::new();
    for batch in batches {
        let mut start = 0;
        let mut records = 0;
        let (paths, runs) = batch.routes.as_deref().map_or((&[][..], &[][..]), |it| (&it.paths[..], &it.runs[..]));
        for run in runs {
            let end = run.end as usize;
            let Some(path) = paths.get(run.path as usize) else { continue };
            if end <= start || end > batch.payload.len() {
                continue;
            }
            let job = *by_path.entry(path).or_insert_with(|| {
                jobs.push(Job::new(path));
                jobs.len() - 1
            });
            jobs[job].push(batch, start, end);
            jobs[job].records += u64::from(run.records);
            records += u64::from(run.records);
            start = end;
        }
        jobs[0].push(batch, start, batch.payload.len());
        jobs[0].records += batch.records.saturating_sub(records);
    }
    jobs.iter_mut().for_each(Job::flush_small);
    jobs.retain(|job| job.len > 0);
    jobs
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::batch::{Origin, Routes, Run};

    fn batch(payload: &str, routes: Option<Routes>) -> Batch {
        Batch {
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            records: payload.matches('\n').count() as u64,
            routes: routes.map(Arc::new),
            origin: Origin { source: "mesh".into(), peer: None, received_unix_nano: 0 },
        }
    }

    fn text(job: &Job) -> String {
        let bytes: Vec<u8> = job.slices(0, job.len).iter().flat_map(|slice| slice.to_vec()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn lines_are_sorted_by_route() {
        let run = |path, end| Run { path, end, records: 1 };
        let routes = Routes {
            paths: vec!["a.log".into(), "b.log".into()],
            runs: vec![run(0, 2), run(1, 4), run(0, 6), run(7, 8), run(1, 99)],
        };
        let batches =
            [batch("1\n2\n3\n4\n", Some(routes.clone())), batch("gap\n", None), batch("5\n6\n7\n8\n", Some(routes))];
        let jobs = jobs(batches.iter(), "other.log");
        let got: Vec<_> = jobs.iter().map(|job| (job.path.as_str(), job.records, text(job))).collect();
        assert_eq!(
            got,
            [
                ("other.log", 3, "4\ngap\n8\n".to_owned()),
                ("a.log", 4, "1\n3\n5\n7\n".to_owned()),
                ("b.log", 2, "2\n6\n".to_owned()),
            ]
        );
    }

    #[test]
    fn cuts_are_line_ends() {
        let large = format!("{}\n", "x".repeat(20_000));
        let batches = [batch("a\nbb\n", None), batch(&large, None), batch("ccc\n", None)];
        let mut job = jobs(batches.iter(), "x.log").remove(0);
        assert_eq!(job.pieces.len(), 3);
        let mut check = |written, room, expected| {
            job.written = written;
            assert_eq!(job.fitting(room), expected, "{written} {room}");
        };
        check(0, 1, 0);
        check(0, 2, 2);
        check(0, 4, 2);
        check(0, 20_005, 5);
        check(0, 20_006, 20_006);
        check(2, 3, 3);
        check(5, 20_000, 0);
        check(5, 20_001, 20_001);
        check(0, u64::MAX, 20_010);
        job.written = 5;
        assert_eq!(job.first_line(), 20_001);
    }
}
