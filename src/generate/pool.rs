//! The records of one connection, rendered before the clock starts.

use std::time::SystemTime;

use bytes::Bytes;
use fastrand::Rng;

use super::access::{Access, DataPlane};
use super::args::{BodyKind, Format, GenArgs};
use super::otlp::{self, Body};
use super::render::{self, Context, Rendered, Stamp, TIME_LEN, What};
use super::{Target, hostile};

pub use render::ID_DIGITS;

/// Distinct lines over all connections, and at least so many for each. About 7 MB of access
/// lines: more than a cache, less than a nuisance.
const LINES_ALL: usize = 20_000;
const LINES_EACH_MIN: usize = 500;
/// Distinct requests over all connections unless they are large, and at least so many for each.
const REQUESTS_ALL: usize = 64;
const REQUESTS_EACH_MIN: usize = 2;

/// The records of one connection and the number of the next one.
#[derive(Debug)]
pub struct Pool {
    content: Content,
    cursor: usize,
    clock: Clock,
    counter: Counter,
    id_prefix: Option<String>,
}

#[derive(Debug)]
enum Content {
    Lines(Lines),
    Requests(Requests),
}

impl Pool {
    /// Renders the records of connection `index`; the same flags give the same records.
    #[must_use]
    pub fn new(args: &GenArgs, index: u32) -> Pool {
        let mut rng = Rng::with_seed(args.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(index)));
        let plane = DataPlane::new(index);
        let id_prefix = args.id.then(|| format!("c{index}-"));
        let context = Context { plane: &plane, id_prefix: id_prefix.as_deref() };
        let connections = args.connections as usize;
        let content = match args.target() {
            Target::Otlp(_) => {
                let all = REQUESTS_ALL.min(2 * LINES_ALL / args.batch as usize);
                let number = (all / connections).max(REQUESTS_EACH_MIN);
                Content::Requests(Requests::new(args, context, number, &mut rng))
            }
            _ => {
                let number = (LINES_ALL / connections).max(LINES_EACH_MIN);
                Content::Lines(Lines::new(args, context, number, &mut rng))
            }
        };
        Pool { content, cursor: 0, clock: Clock::default(), counter: Counter::default(), id_prefix }
    }

    /// The next lines, each with its newline, stamped with the time and their numbers: at most
    /// `lines_max` and, when that is more than one line, at most `bytes_max`. Returns their number
    /// and bytes. For pools of lines; a pool of requests has none.
    pub fn next_lines(&mut self, lines_max: u32, bytes_max: usize) -> (u32, &[u8]) {
        let Content::Lines(lines) = &mut self.content else { return (0, &[]) };
        self.clock.read();
        let slice = lines.take(&mut self.cursor, lines_max as usize, bytes_max);
        let base = slice.bytes.start;
        let bytes = &mut lines.bytes[slice.bytes];
        stamp(bytes, base, &lines.stamps[slice.stamps], &self.clock, &mut self.counter);
        (slice.lines as u32, bytes)
    }

    /// The next request, of `records` records but never more than the batch of the flags, stamped
    /// with the time and their numbers. For pools of requests; a pool of lines has none.
    pub fn next_request(&mut self, records: u32) -> Bytes {
        let Content::Requests(requests) = &self.content else { return Bytes::new() };
        self.clock.read();
        let short;
        let request = match &requests.whole[self.cursor] {
            whole if records >= requests.batch => whole,
            _ => {
                // Only the last request of a connection is shorter.
                short = otlp::request(&requests.resource, &requests.spare[..records as usize]);
                &short
            }
        };
        let mut bytes = request.bytes.clone();
        stamp(&mut bytes, 0, &request.stamps, &self.clock, &mut self.counter);
        self.cursor = (self.cursor + 1) % requests.whole.len();
        bytes.into()
    }

    /// First and last number given so far, with `--id`.
    #[must_use]
    pub fn ids(&self) -> Option<(String, String)> {
        let prefix = self.id_prefix.as_deref()?;
        let last = self.counter.next.checked_sub(1)?;
        let id = |number: u64| format!("{prefix}{number:0ID_DIGITS$}");
        Some((id(0), id(last)))
    }
}

/// Lines back to back.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    stamps: Vec<Stamp>,
    /// Where each line ends in `bytes`, and its stamps in `stamps`.
    ends: Vec<(usize, usize)>,
}

/// Some lines in a row.
struct Slice {
    lines: usize,
    bytes: std::ops::Range<usize>,
    stamps: std::ops::Range<usize>,
}

impl Lines {
    fn new(args: &GenArgs, context: Context<'_>, number: usize, rng: &mut Rng) -> Lines {
        let mut lines = Lines::default();
        for index in 0..number {
            let mut line = line(args, context, index, rng);
            line.text("\n");
            if args.hostile && rng.u8(..8) == 0 {
                // Releases up to 2.10 wrote an empty line after each record.
                line.text("\n");
            }
            let base = lines.bytes.len() as u32;
            lines.stamps.extend(line.stamps.iter().map(|stamp| Stamp { at: base + stamp.at, ..*stamp }));
            lines.bytes.extend_from_slice(&line.bytes);
            lines.ends.push((lines.bytes.len(), lines.stamps.len()));
        }
        lines
    }

    /// The next lines from `cursor` on, never past the end of the pool; there the cursor wraps.
    fn take(&self, cursor: &mut usize, lines_max: usize, bytes_max: usize) -> Slice {
        let first = *cursor;
        let (bytes_start, stamps_start) = first.checked_sub(1).map_or((0, 0), |before| self.ends[before]);
        let candidates = &self.ends[first..self.ends.len().min(first + lines_max)];
        let fitting = candidates.partition_point(|(end, _)| end - bytes_start <= bytes_max);
        // One line always goes, however long.
        let lines = fitting.max(1).min(candidates.len());
        let (bytes_end, stamps_end) = self.ends[first + lines - 1];
        *cursor = (first + lines) % self.ends.len();
        Slice { lines, bytes: bytes_start..bytes_end, stamps: stamps_start..stamps_end }
    }
}

fn line(args: &GenArgs, context: Context<'_>, index: usize, rng: &mut Rng) -> Rendered {
    let mut access = Access::random(context.plane, rng);
    if args.hostile && index % hostile::LINE_EVERY == 1 {
        let mut line = Rendered::default();
        line.bytes(hostile::line(rng));
        return line;
    }
    if args.hostile && index % hostile::TWIST_EVERY == 2 {
        hostile::twist(&mut access, rng);
    }
    let kind = match args.format {
        Format::Mixed => [Format::KumaHttp, Format::KumaHttp, Format::KumaJson, Format::KumaTcp][rng.usize(..4)],
        kind => kind,
    };
    match kind {
        Format::KumaTcp => render::tcp(&access, context),
        Format::KumaJson => render::json(&access, context),
        Format::KumaHttp | Format::Otlp | Format::Mixed => render::http(&access, context),
    }
}

/// Requests, and the records to build a shorter one from.
#[derive(Debug)]
struct Requests {
    batch: u32,
    whole: Vec<Rendered>,
    resource: Rendered,
    spare: Vec<Rendered>,
}

impl Requests {
    fn new(args: &GenArgs, context: Context<'_>, number: usize, rng: &mut Rng) -> Requests {
        let resource = otlp::resource(context.plane);
        let mut spare = Vec::new();
        let whole = (0..number)
            .map(|index| {
                let body = match (args.format, args.body) {
                    // Loggers with different bodies never share a request.
                    (Format::Mixed, _) if index % 2 == 1 => Body::Kvlist,
                    (_, BodyKind::Kvlist) => Body::Kvlist,
                    _ => Body::String,
                };
                spare = (0..args.batch as usize).map(|index| record(args, context, body, index, rng)).collect();
                otlp::request(&resource, &spare)
            })
            .collect();
        Requests { batch: args.batch, whole, resource, spare }
    }
}

fn record(args: &GenArgs, context: Context<'_>, body: Body, index: usize, rng: &mut Rng) -> Rendered {
    let mut access = Access::random(context.plane, rng);
    match args.hostile && index % hostile::TWIST_EVERY == 2 {
        true => otlp::hostile_record(&mut access, context, body, rng),
        false => otlp::record(&access, context, body),
    }
}

/// Overwrites the places of `stamps`, whose offsets count from `base` before `bytes`.
fn stamp(bytes: &mut [u8], base: usize, stamps: &[Stamp], clock: &Clock, counter: &mut Counter) {
    for stamp in stamps {
        let at = stamp.at as usize - base;
        match stamp.what {
            What::Time => bytes[at..at + TIME_LEN].copy_from_slice(&clock.text),
            What::TimeNanos => bytes[at..at + 8].copy_from_slice(&clock.nanos.to_le_bytes()),
            What::Id => bytes[at..at + ID_DIGITS].copy_from_slice(counter.next()),
        }
    }
}

/// The time, as text no more than once a millisecond.
#[derive(Debug, Default)]
struct Clock {
    nanos: u64,
    text: [u8; TIME_LEN],
}

impl Clock {
    fn read(&mut self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Envoy knows microseconds.
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) / 1_000 * 1_000;
        if nanos / 1_000_000 != self.nanos / 1_000_000 {
            let millis = i64::try_from(nanos / 1_000_000).unwrap_or_default();
            let text = format!("{:.3}", jiff::Timestamp::from_millisecond(millis).unwrap_or_default());
            // Dates of four-digit years have that length.
            if text.len() == TIME_LEN {
                self.text.copy_from_slice(text.as_bytes());
            }
        }
        self.nanos = nanos;
    }
}

/// Counts in decimal digits: adding one costs less than writing a number.
#[derive(Debug)]
struct Counter {
    next: u64,
    digits: [u8; ID_DIGITS],
    last: [u8; ID_DIGITS],
}

impl Default for Counter {
    fn default() -> Counter {
        Counter { next: 0, digits: [b'0'; ID_DIGITS], last: [b'0'; ID_DIGITS] }
    }
}

impl Counter {
    fn next(&mut self) -> &[u8; ID_DIGITS] {
        self.last = self.digits;
        self.next += 1;
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                break;
            }
            *digit = b'0';
        }
        &self.last
    }
}
