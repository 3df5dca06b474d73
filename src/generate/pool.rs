//! The records of one connection, rendered before the clock starts.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::BufMut;
use fastrand::Rng;

use super::access::{Access, DataPlane};
use super::args::{BodyKind, GenArgs};
use super::format::{Format, NamedFormat};
use super::layout::Layouts;
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
    /// The lines handed out last.
    last: Slice,
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
    ///
    /// # Errors
    ///
    /// None in practice: formats are checked when the flags are read.
    pub fn new(args: &GenArgs, index: u32) -> anyhow::Result<Pool> {
        let mut rng = Rng::with_seed(args.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(index)));
        let plane = DataPlane::new(index);
        let id_prefix = args.id.then(|| format!("c{index}-"));
        let layouts = Layouts::new(&args.format)?;
        let mut clock = Clock::default();
        clock.read();
        let context =
            Context { plane: &plane, id_prefix: id_prefix.as_deref(), layouts: &layouts, now_nanos: clock.nanos };
        let connections = args.connections as usize;
        let content = match args.target() {
            Target::Otlp(_) | Target::OtlpTls(_) => {
                let all = REQUESTS_ALL.min(2 * LINES_ALL / args.batch as usize);
                let number = (all / connections).max(REQUESTS_EACH_MIN);
                Content::Requests(Requests::new(args, context, number, &mut rng))
            }
            _ => {
                let number = (LINES_ALL / connections).max(LINES_EACH_MIN);
                Content::Lines(Lines::new(args, context, number, &mut rng))
            }
        };
        Ok(Pool { content, cursor: 0, last: Slice::default(), clock, counter: Counter::from(0), id_prefix })
    }

    /// The next lines, each with its newline, stamped with the time and their numbers: at most
    /// `lines_max` and, when that is more than one line, at most `bytes_max`. Returns their number
    /// and bytes. For pools of lines; a pool of requests has none.
    pub fn next_lines(&mut self, lines_max: u32, bytes_max: usize) -> (u32, &[u8]) {
        let Content::Lines(lines) = &mut self.content else { return (0, &[]) };
        self.clock.read();
        let slice = lines.take(&mut self.cursor, lines_max as usize, bytes_max);
        let bytes = &mut lines.bytes[slice.bytes.clone()];
        stamp(bytes, slice.bytes.start, &lines.stamps[slice.stamps.clone()], &self.clock, &mut self.counter);
        self.last = slice;
        (self.last.lines as u32, bytes)
    }

    /// Takes back those of the lines handed out last that were not sent as a whole, and their
    /// numbers, when only the first `bytes` bytes of them were. Returns how many were sent.
    pub fn cut(&mut self, bytes: usize) -> u32 {
        let Content::Lines(lines) = &self.content else { return 0 };
        let ends = &lines.ends[self.last.first..self.last.first + self.last.lines];
        let whole = ends.partition_point(|(end, _)| end - self.last.bytes.start <= bytes);
        let kept = whole.checked_sub(1).map_or(self.last.stamps.start, |last| ends[last].1);
        let unsent = &lines.stamps[kept..self.last.stamps.end];
        let numbers = unsent.iter().filter(|stamp| stamp.what == What::Id).count();
        self.counter = Counter::from(self.counter.next - numbers as u64);
        whole as u32
    }

    /// The next request, of `records` records but never more than the batch of the flags, with the
    /// time and their numbers. For pools of requests; a pool of lines has none.
    pub fn next_request(&mut self, records: u32) -> Option<Outgoing> {
        let Content::Requests(requests) = &self.content else { return None };
        self.clock.read();
        let request = match &requests.whole[self.cursor] {
            whole if records >= requests.batch => whole.clone(),
            // Only the last request of a connection is shorter.
            _ => Arc::new(otlp::request(&requests.resource, &requests.spare[..records as usize])),
        };
        self.cursor = (self.cursor + 1) % requests.whole.len();
        let outgoing = Outgoing { request, clock: self.clock, counter: self.counter };
        if self.id_prefix.is_some() {
            let numbered = outgoing.request.stamps.iter().filter(|stamp| stamp.what == What::Id).count();
            self.counter = Counter::from(self.counter.next + numbered as u64);
        }
        Some(outgoing)
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

/// A request about to be sent. It is stamped while it is copied to where it is sent from: a copy of
/// its own would cost as much as sending it.
#[derive(Clone, Debug)]
pub struct Outgoing {
    request: Arc<Rendered>,
    clock: Clock,
    counter: Counter,
}

impl Outgoing {
    /// Bytes of the request.
    #[must_use]
    pub fn bytes_len(&self) -> usize {
        self.request.bytes.len()
    }

    /// Appends the request, an encoded `ExportLogsServiceRequest`.
    pub fn write(mut self, out: &mut impl BufMut) {
        let mut from = 0;
        for stamp in &self.request.stamps {
            let at = stamp.at as usize;
            out.put_slice(&self.request.bytes[from..at]);
            from = at + stamp.what.len();
            match stamp.what {
                What::Time => out.put_slice(&self.clock.text),
                What::TimeNanos => out.put_u64_le(self.clock.nanos),
                What::Id => out.put_slice(self.counter.next()),
            }
        }
        out.put_slice(&self.request.bytes[from..]);
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
#[derive(Debug, Default)]
struct Slice {
    first: usize,
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
        Slice { first, lines, bytes: bytes_start..bytes_end, stamps: stamps_start..stamps_end }
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
    context.layouts.render(&access, context, rng)
}

/// Requests, and the records to build a shorter one from.
#[derive(Debug)]
struct Requests {
    batch: u32,
    whole: Vec<Arc<Rendered>>,
    resource: Rendered,
    spare: Vec<Rendered>,
}

impl Requests {
    fn new(args: &GenArgs, context: Context<'_>, number: usize, rng: &mut Rng) -> Requests {
        let resource = otlp::resource(context.plane);
        let mut spare = Vec::new();
        let whole = (0..number)
            .map(|index| {
                let body = match (&args.format, args.body) {
                    // Loggers with different bodies never share a request.
                    (Format::Named(NamedFormat::Mixed), _) if index % 2 == 1 => Body::Kvlist,
                    (_, BodyKind::Kvlist) => Body::Kvlist,
                    _ => Body::String,
                };
                spare = (0..args.batch as usize).map(|index| record(args, context, body, index, rng)).collect();
                Arc::new(otlp::request(&resource, &spare))
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
        let place = &mut bytes[stamp.at as usize - base..][..stamp.what.len()];
        match stamp.what {
            What::Time => place.copy_from_slice(&clock.text),
            What::TimeNanos => place.copy_from_slice(&clock.nanos.to_le_bytes()),
            What::Id => place.copy_from_slice(counter.next()),
        }
    }
}

/// The time, as text no more than once a millisecond.
#[derive(Clone, Copy, Debug, Default)]
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
#[derive(Clone, Copy, Debug)]
struct Counter {
    next: u64,
    digits: [u8; ID_DIGITS],
    last: [u8; ID_DIGITS],
}

impl From<u64> for Counter {
    fn from(next: u64) -> Counter {
        let mut digits = [b'0'; ID_DIGITS];
        let mut rest = next;
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        Counter { next, digits, last: digits }
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
