//! From what a source received to what its sinks take.
//!
//! One intake per source. It knows in advance which sinks want its records and how they write
//! them, so each payload is decoded once, encoded once per encoding, in the task of the
//! connection it came from, and handed on in pieces of bounded size. What no sink wants decoded
//! is never decoded.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use crate::batch::Origin;
use crate::budget::Reservation;
use crate::decode::line::{self, Frame, Mark};
use crate::decode::otlp::{Place, RecordCounts};
use crate::decode::reader::Reader;
use crate::decode::{Scratch, otlp};
use crate::encode::{Encoder, Encoding};
use crate::inbox::Put;
use crate::journal::lane::Ticket;
use crate::journal::lanes::Lanes;
use crate::journal::{AppendError, Entry, Kind};
use crate::monitor::{Monitor, Watch};
use crate::redact::Redactor;
use crate::telemetry::{Inflow, LineResult, RepairReason, SourceStats};

mod looking;
mod output;
mod way;

pub use output::Outlet;
use output::{Feed, Output, Product, learn, reserve};
pub use way::Target;
use way::{From, Piece, Ways};

/// Encoded bytes after which a piece is handed on. One record may exceed it.
pub const PIECE_BYTES: usize = 512 << 10;
/// Bytes of the buffer that a piece is written into: a piece, and what it may be longer.
const PIECE_ROOM: usize = PIECE_BYTES + PIECE_BYTES / 4;
/// Bytes of lines that are decoded between two looks at the size of a piece.
const SLICE_BYTES: usize = 64 << 10;

/// The way from one source to its sinks.
#[derive(Debug)]
pub struct Intake {
    inflow: Arc<Inflow>,
    stats: Arc<SourceStats>,
    reader: Reader,
    /// Takes secrets out of each record.
    redactor: Option<Arc<Redactor>>,
    /// Sinks that take the payload as it came, unless the reader changes it.
    as_received: Product,
    /// Sinks that only count.
    counted: Product,
    /// Sinks that need records decoded: to encode them, or to see whether they take them.
    encoded: Vec<Product>,
    /// The journal, when there is one, and every sink's way along it.
    lanes: Option<Arc<Lanes>>,
    /// Where passing records are shown.
    monitor: Option<Arc<Monitor>>,
}

/// What became of a payload.
#[derive(Clone, Debug)]
pub enum Receipt {
    /// Every sink has it, apart from sinks that never hold a source back and missed it.
    Accepted,
    /// A sink that may hold sources back missed it; sending it again may help.
    Missed,
    /// The journal did not take it, and nobody has it.
    NotStored(AppendError),
    /// The journal could not keep it, though sinks may have it.
    NotKept(AppendError),
}

thread_local! {
    /// Decoding is synchronous, so one workspace per runtime thread serves all connections.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Intake {
    /// The way from the source of `inflow` to `outlets`; payloads arrive in the
    /// encoding `as_received` (`raw` for lines, `otlp` for OTLP) and are read by `reader`. With a
    /// `redactor` no sink gets a payload as it came.
    #[must_use]
    pub fn new(
        inflow: Arc<Inflow>,
        as_received: Encoding,
        reader: Reader,
        redactor: Option<Arc<Redactor>>,
        outlets: Vec<Outlet>,
    ) -> Intake {
        let mut intake = Intake {
            stats: Arc::clone(inflow.source()),
            inflow,
            reader,
            redactor,
            as_received: Product::of_encoding(as_received),
            counted: Product::default(),
            encoded: Vec::new(),
            lanes: None,
            monitor: None,
        };
        for outlet in outlets {
            let product = match &outlet {
                it if intake.counted.makes(it) => &mut intake.counted,
                it if intake.redactor.is_none() && intake.as_received.makes(it) => &mut intake.as_received,
                it => {
                    let at = intake.encoded.iter().position(|product| product.makes(it)).unwrap_or_else(|| {
                        intake.encoded.push(Product::like(it));
                        intake.encoded.len() - 1
                    });
                    &mut intake.encoded[at]
                }
            };
            product.targets.push(outlet.target);
        }
        intake
    }

    /// Writes each payload to a journal before it is decoded.
    #[must_use]
    pub fn with_journal(self, lanes: Option<Arc<Lanes>>) -> Intake {
        Intake { lanes, ..self }
    }

    /// Shows passing records there.
    #[must_use]
    pub fn with_monitor(self, monitor: Option<Arc<Monitor>>) -> Intake {
        Intake { monitor, ..self }
    }

    /// Bytes to reserve, beyond the payload itself, before a payload is handed in.
    #[must_use]
    pub fn work_bytes(&self) -> usize {
        self.products(self.may_rewrite()).count() * PIECE_ROOM
    }

    /// Takes the lines of one read. `held` covers the payload and [`Intake::work_bytes`].
    pub async fn lines(&self, frame: Frame, origin: Origin, held: Reservation) {
        let Frame { payload, marks, lines: records, .. } = frame;
        if records == 0 {
            return;
        }
        let stored = match &self.lanes {
            None => None,
            Some(lanes) => match lanes.append(entry(Kind::Lines, &payload, &marks, records, &origin), None).await {
                Ok(stored) => Some(stored),
                // Better in memory than nowhere: the sinks that have room take them.
                Err(error) => {
                    lanes.not_stored(&origin.source, records, &error);
                    None
                }
            },
        };
        let _moving = self.inflow.count_received(records);
        let from = From::Source(stored.as_ref().map(|stored| stored.seq));
        let mut work = Work::new(self, origin, &payload, held, None);
        let ways = self.ways(&from, records, false);
        drop(stored);
        let watch = self.watch(&work.origin, records, &ways, false);
        self.decode_lines(&mut work, ways, payload, &marks, records, watch).await;
    }

    async fn decode_lines(
        &self,
        work: &mut Work<'_>,
        ways: PayloadWays<'_>,
        payload: Bytes,
        marks: &[Mark],
        records: u64,
        mut watch: Watch<'_>,
    ) {
        let PayloadWays { counted, as_received, mut outputs } = ways;
        if outputs.is_empty() {
            self.look_at_lines(&mut watch, &payload, records, &work.origin);
            watch = Watch::default();
        }
        work.count(counted, records).await;
        work.pass_on(as_received, &outputs, payload.clone(), records).await;
        if self.encoded.is_empty() {
            self.stats.count_lines(LineResult::Raw, records);
            return;
        }
        let peer_address = work.origin.peer.map(|peer| peer.ip().to_string());
        let origin = work.origin.clone();
        let settings = self.line_settings(&origin, peer_address.as_deref());
        let mut start = 0;
        while start < payload.len() && !outputs.is_empty() {
            let end = slice_end(&payload, start);
            let slice = &payload[start..end];
            let marks = marks_within(marks, start, end);
            reserve(&mut outputs, payload.len() - start);
            let counts = SCRATCH.with_borrow_mut(|scratch| {
                line::decode(slice, &marks, &settings, scratch, &mut Feed { outputs: &mut outputs, watch: &mut watch })
            });
            self.stats.count_lines(LineResult::Ok, counts.ok);
            self.stats.count_lines(LineResult::Ambiguous, counts.ambiguous);
            self.stats.count_lines(LineResult::Raw, counts.raw);
            self.stats.count_repaired(RepairReason::InvalidUtf8, counts.invalid_utf8);
            self.stats.count_repaired(RepairReason::Mojibake, counts.mojibake);
            self.stats.count_repaired(RepairReason::StrayQuotes, counts.stray_quotes);
            start = end;
            watch.hand_on();
            if start == payload.len() || outputs.iter().any(|output| output.len() >= PIECE_BYTES) {
                work.hand_on(&mut outputs, start == payload.len()).await;
            }
        }
        learn(&outputs, payload.len());
        self.count_repeated_keys(&outputs);
    }

    /// Takes one OTLP request that passed [`otlp::check`]. `held` covers the payload and
    /// [`Intake::work_bytes`]. Sinks may hold it back until `hold_until`; `None` for a sender that repeats
    /// nothing and hears no answer: then it is taken as lines are, and always accepted or missed.
    pub async fn otlp(
        &self,
        payload: Bytes,
        records: u64,
        origin: Origin,
        held: Reservation,
        hold_until: Option<Instant>,
    ) -> Receipt {
        let stored = match &self.lanes {
            None => None,
            Some(lanes) => {
                let entry = entry(Kind::Otlp, &payload, &[], records, &origin);
                match lanes.append(entry, hold_until).await {
                    Ok(stored) => Some(stored),
                    Err(error) if hold_until.is_some() => return Receipt::NotStored(error),
                    Err(error) => {
                        lanes.not_stored(&origin.source, records, &error);
                        None
                    }
                }
            }
        };
        let _moving = self.inflow.count_received(records);
        let seq = stored.as_ref().map(|stored| stored.seq);
        let mut work = Work::new(self, origin, &payload, held, hold_until);
        let rewritten = self.rewrites(&payload);
        let ways = self.ways(&From::Source(seq), records, rewritten);
        drop(stored);
        let watch = self.watch(&work.origin, records, &ways, false);
        self.decode_otlp(&mut work, ways, payload, records, watch).await;
        match (&self.lanes, seq) {
            // While it was decoded, it was synced.
            (Some(lanes), Some(seq)) if hold_until.is_some() => {
                lanes.kept(seq).await.map_or_else(Receipt::NotKept, |()| work.receipt)
            }
            _ => work.receipt,
        }
    }

    async fn decode_otlp(
        &self,
        work: &mut Work<'_>,
        ways: PayloadWays<'_>,
        payload: Bytes,
        records: u64,
        mut watch: Watch<'_>,
    ) {
        let PayloadWays { counted, as_received, mut outputs } = ways;
        if outputs.is_empty() {
            self.look_at_otlp(&mut watch, &payload, records, &work.origin);
            watch = Watch::default();
        }
        work.count(counted, records).await;
        work.pass_on(as_received, &outputs, payload.clone(), records).await;
        let mut counts = RecordCounts::default();
        let mut from = Place::default();
        let mut done = false;
        while !done && !outputs.is_empty() {
            let settings = self.record_settings(&work.origin);
            let left = records.saturating_sub(u64::from(from.records())) * payload.len() as u64 / records.max(1);
            reserve(&mut outputs, left as usize);
            let mut feed = Feed { outputs: &mut outputs, watch: &mut watch };
            let next = SCRATCH
                .with_borrow_mut(|scratch| otlp::decode(&payload, from, &settings, scratch, &mut feed, &mut counts));
            done = next.is_none();
            from = next.unwrap_or(from);
            watch.hand_on();
            work.hand_on(&mut outputs, done).await;
        }
        learn(&outputs, payload.len());
        self.count_repeated_keys(&outputs);
        self.stats.count_repaired(RepairReason::Mojibake, counts.mojibake);
        self.stats.count_repaired(RepairReason::StrayQuotes, counts.stray_quotes);
    }

    /// Takes an entry of the journal again, for the only sink there is. What finds no room stays
    /// in the journal; false then.
    pub async fn again(&self, entry: Entry, ticket: Arc<Ticket>, done: u64) -> bool {
        self.entry(entry, From::Journal(ticket, done)).await
    }

    /// Takes an entry of a journal that is not its own. Sinks are waited for as their `wait_max` says.
    pub async fn replayed(&self, entry: Entry) {
        let _ = self.entry(entry, From::Source(None)).await;
    }

    async fn entry(&self, entry: Entry, from: From) -> bool {
        let Entry { kind, source, peer, received_unix_nano, records, marks, payload } = entry;
        let origin = Origin { source, peer, received_unix_nano };
        let mut work = Work::new(self, origin, &payload, Reservation::default(), None);
        let rewritten = kind == Kind::Otlp && self.rewrites(&payload);
        let ways = self.ways(&from, records, rewritten);
        drop(from);
        // Entries are read in chunks; one that waits in an inbox must not keep a whole chunk.
        let watch = self.watch(&work.origin, records, &ways, true);
        let waits = !rewritten && !self.as_received.targets.is_empty();
        let payload = if waits { Bytes::copy_from_slice(&payload) } else { payload };
        match kind {
            Kind::Lines => self.decode_lines(&mut work, ways, payload, &marks, records, watch).await,
            Kind::Otlp => self.decode_otlp(&mut work, ways, payload, records, watch).await,
        }
        !work.left_behind
    }

    /// How a payload reaches each sink.
    fn ways(&self, from: &From, records: u64, rewritten: bool) -> PayloadWays<'_> {
        let new = |product: &Product| Ways::new(&product.targets, from, records);
        let as_received = (!rewritten).then(|| new(&self.as_received));
        let outputs = self.products(rewritten).map(|product| Output::new(product, new(product)));
        PayloadWays {
            counted: new(&self.counted),
            as_received,
            outputs: outputs.filter(|it| it.ways.is_open()).collect(),
        }
    }

    /// What is looked at of a payload. One that comes `again`, from the journal, was looked at before.
    fn watch(&self, origin: &Origin, records: u64, ways: &PayloadWays<'_>, again: bool) -> Watch<'_> {
        let Some(monitor) = &self.monitor else { return Watch::default() };
        let sees = |sink: &str| {
            let takes_all = self.counted.feeds(sink) || (ways.as_received.is_some() && self.as_received.feeds(sink));
            let takes_some = || ways.outputs.iter().any(|output| output.product.feeds(sink));
            if takes_all { Some(true) } else { takes_some().then_some(false) }
        };
        match again {
            false => monitor.watch(&origin.source, records, origin.received_unix_nano, sees),
            true => monitor.watch_again(&origin.source, sees),
        }
    }

    /// Whether what takes this request as it came takes it rewritten.
    fn rewrites(&self, payload: &[u8]) -> bool {
        self.may_rewrite() && (self.reader.has_shapes() || otlp::is_from_envoy(payload))
    }

    /// Keys whose earlier values did not reach a text encoding. Encoders agree on it.
    fn count_repeated_keys(&self, outputs: &[Output<'_>]) {
        let encoders = outputs.iter().filter_map(|output| output.encoder.as_ref());
        let repeated = encoders.map(Encoder::repeated_keys).max().unwrap_or(0);
        if repeated > 0 {
            self.stats.count_repaired(RepairReason::RepeatedKey, repeated);
        }
    }

    /// What takes a payload as it came may have to take it rewritten: OTLP requests whose records
    /// the reader understands. A line is never changed.
    fn may_rewrite(&self) -> bool {
        let takes = !self.as_received.targets.is_empty();
        takes && self.as_received.encoding == Some(Encoding::Otlp) && !self.reader.is_raw()
    }

    /// The products that are encoded for a payload.
    fn products(&self, rewritten: bool) -> impl Iterator<Item = &Product> {
        self.encoded.iter().chain(rewritten.then_some(&self.as_received))
    }
}

/// A payload as the journal keeps it.
fn entry(kind: Kind, payload: &Bytes, marks: &[Mark], records: u64, origin: &Origin) -> Entry {
    let Origin { source, peer, received_unix_nano } = origin;
    Entry {
        kind,
        source: Arc::clone(source),
        peer: *peer,
        received_unix_nano: *received_unix_nano,
        records,
        marks: marks.to_vec(),
        payload: payload.clone(),
    }
}

/// How one payload reaches all sinks of its source.
struct PayloadWays<'a> {
    counted: Ways,
    /// `None` when those that take it as it came take it rewritten.
    as_received: Option<Ways>,
    /// Only those that somebody waits for.
    outputs: Vec<Output<'a>>,
}

/// Where a slice of lines ends: at a line end, close to [`SLICE_BYTES`] on.
fn slice_end(payload: &[u8], start: usize) -> usize {
    let Some(rest) = payload.get(start + SLICE_BYTES..) else { return payload.len() };
    memchr::memchr(b'\n', rest).map_or(payload.len(), |at| start + SLICE_BYTES + at + 1)
}

/// The marks of a slice, relative to it.
fn marks_within(marks: &[Mark], start: usize, end: usize) -> Vec<Mark> {
    marks
        .iter()
        .filter(|mark| (start..end).contains(&(mark.start as usize)))
        .map(|mark| Mark { start: mark.start - start as u32, ..*mark })
        .collect()
}

/// One payload on its way to the sinks.
struct Work<'a> {
    intake: &'a Intake,
    origin: Origin,
    /// Length of the payload, which stays in memory until all is done.
    payload_bytes: usize,
    held: Reservation,
    hold_until: Option<Instant>,
    receipt: Receipt,
    /// A sink will get the rest of it from the journal.
    left_behind: bool,
}

impl<'a> Work<'a> {
    fn new(intake: &'a Intake, origin: Origin, payload: &[u8], held: Reservation, hold_until: Option<Instant>) -> Self {
        Work {
            intake,
            origin,
            payload_bytes: payload.len(),
            held,
            hold_until,
            receipt: Receipt::Accepted,
            left_behind: false,
        }
    }

    /// Gives back what is not needed to wait with so many bytes more than the payload.
    fn keep(&mut self, bytes: usize) {
        self.held.shrink_to(self.payload_bytes + bytes);
    }

    /// To the sinks that only count.
    async fn count(&mut self, mut ways: Ways, records: u64) {
        let piece = Piece { records, seen: records, ..Piece::default() };
        self.put(&self.intake.counted, &mut ways, piece).await;
    }

    /// To the sinks that take it as it came.
    async fn pass_on(&mut self, ways: Option<Ways>, outputs: &[Output<'_>], payload: Bytes, records: u64) {
        let product = &self.intake.as_received;
        let Some(mut ways) = ways.filter(|_| !product.targets.is_empty()) else { return };
        if outputs.is_empty() {
            // Nothing will be encoded.
            self.keep(0);
        }
        self.put(product, &mut ways, Piece { payload, records, seen: records, routes: None }).await;
    }

    /// What has been encoded so far, to the sinks that want it.
    async fn hand_on(&mut self, outputs: &mut Vec<Output<'_>>, last: bool) {
        let pieces: Vec<Piece> = outputs.iter_mut().map(Output::take).collect();
        if last {
            self.keep(pieces.iter().map(|piece| piece.payload.len()).sum());
        }
        for (output, piece) in outputs.iter_mut().zip(pieces).filter(|(_, piece)| piece.seen > 0) {
            self.put(output.product, &mut output.ways, piece).await;
        }
        outputs.retain(|output| output.ways.is_open());
    }

    async fn put(&mut self, product: &Product, ways: &mut Ways, piece: Piece) {
        if ways.put(&product.targets, piece, &self.origin, self.hold_until).await == Put::Shed {
            self.receipt = Receipt::Missed;
        }
        self.left_behind |= !ways.is_open();
    }
}
