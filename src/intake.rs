//! From what a source received to what its sinks take.
//!
//! One intake per source. It knows in advance which sinks want its records and how they write
//! them, so each payload is decoded once, encoded once per encoding, in the task of the
//! connection it came from, and handed on in pieces of bounded size. What no sink wants decoded
//! is never decoded.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::batch::{Origin, Routes, Run};
use crate::budget::Reservation;
use crate::decode::line::{self, Frame, LineSettings, Mark};
use crate::decode::otlp::{RecordCounts, RecordSettings};
use crate::decode::reader::Reader;
use crate::decode::{Scratch, Visitor, otlp};
use crate::encode::{Encoder, Encoding};
use crate::inbox::Put;
use crate::journal::lane::Ticket;
use crate::journal::lanes::Lanes;
use crate::journal::{AppendError, Entry, Kind};
use crate::record::{EnvelopeRef, RecordRef};
use crate::redact::Redactor;
use crate::select::{Run as Taking, Selection};
use crate::telemetry::{Inflow, LineResult, Quiet, RepairReason, SourceStats};
use crate::template::Template;

mod way;

pub use way::Target;
use way::{From, Piece, Ways};

/// Encoded bytes after which a piece is handed on. One record may exceed it.
pub const PIECE_BYTES: usize = 512 << 10;
/// Bytes of the buffer that a piece is written into: a piece, and what it may be longer.
const PIECE_ROOM: usize = PIECE_BYTES + PIECE_BYTES / 4;
/// Bytes of lines that are decoded between two looks at the size of a piece.
const SLICE_BYTES: usize = 64 << 10;

static CONDITION_FAILED: Quiet = Quiet::new();

/// How one sink takes records.
#[derive(Clone, Debug)]
pub struct Outlet {
    /// Where they go.
    pub target: Target,
    /// How it writes them; `None` when it only counts.
    pub encoding: Option<Encoding>,
    /// Where each goes, for a sink with a path template.
    pub template: Option<Template>,
    /// Which it takes; `None` when all.
    pub selection: Option<Arc<Selection>>,
}

/// Sinks that take the same bytes.
#[derive(Debug, Default)]
struct Product {
    encoding: Option<Encoding>,
    template: Option<Template>,
    selection: Option<Arc<Selection>>,
    targets: Vec<Target>,
    /// Bytes that 16 bytes of the last payload became, to guess what the next needs; 0 at first.
    expansion: AtomicUsize,
}

impl Product {
    /// What so many bytes are likely to become.
    fn likely_bytes(&self, bytes: usize) -> usize {
        match self.expansion.load(Ordering::Relaxed) {
            0 => 2 * bytes,
            expansion => bytes.saturating_mul(expansion) / 16,
        }
    }

    fn makes(&self, outlet: &Outlet) -> bool {
        let selects = match (&self.selection, &outlet.selection) {
            (None, None) => true,
            (Some(own), Some(other)) => own.takes_as(other),
            _ => false,
        };
        selects && self.encoding == outlet.encoding && self.template == outlet.template
    }
}

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
            as_received: Product { encoding: Some(as_received), ..Product::default() },
            counted: Product::default(),
            encoded: Vec::new(),
            lanes: None,
        };
        for outlet in outlets {
            let product = match &outlet {
                it if intake.counted.makes(it) => &mut intake.counted,
                it if intake.redactor.is_none() && intake.as_received.makes(it) => &mut intake.as_received,
                it => {
                    let at = intake.encoded.iter().position(|product| product.makes(it)).unwrap_or_else(|| {
                        let Outlet { encoding, template, selection, .. } = it.clone();
                        intake.encoded.push(Product { encoding, template, selection, ..Product::default() });
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
        self.decode_lines(&mut work, ways, payload, &marks, records).await;
    }

    async fn decode_lines(
        &self,
        work: &mut Work<'_>,
        ways: PayloadWays<'_>,
        payload: Bytes,
        marks: &[Mark],
        records: u64,
    ) {
        let PayloadWays { counted, as_received, mut outputs } = ways;
        work.count(counted, records).await;
        work.pass_on(as_received, &outputs, payload.clone(), records).await;
        if self.encoded.is_empty() {
            self.stats.count_lines(LineResult::Raw, records);
            return;
        }
        let peer_address = work.origin.peer.map(|peer| peer.ip().to_string());
        let settings = LineSettings {
            reader: &self.reader,
            peer_address: peer_address.as_deref(),
            peer_port: work.origin.peer.map(|peer| peer.port()),
            observed_unix_nano: work.origin.received_unix_nano,
            redactor: self.redactor.as_deref(),
        };
        let mut start = 0;
        while start < payload.len() && !outputs.is_empty() {
            let end = slice_end(&payload, start);
            let slice = &payload[start..end];
            let marks = marks_within(marks, start, end);
            reserve(&mut outputs, payload.len() - start);
            let counts = SCRATCH.with_borrow_mut(|scratch| {
                line::decode(slice, &marks, &settings, scratch, &mut Feed { outputs: &mut outputs })
            });
            self.stats.count_lines(LineResult::Ok, counts.ok);
            self.stats.count_lines(LineResult::Ambiguous, counts.ambiguous);
            self.stats.count_lines(LineResult::Raw, counts.raw);
            self.stats.count_repaired(RepairReason::InvalidUtf8, counts.invalid_utf8);
            self.stats.count_repaired(RepairReason::Mojibake, counts.mojibake);
            self.stats.count_repaired(RepairReason::StrayQuotes, counts.stray_quotes);
            start = end;
            if start == payload.len() || outputs.iter().any(|output| output.len() >= PIECE_BYTES) {
                work.hand_on(&mut outputs, start == payload.len()).await;
            }
        }
        learn(&outputs, payload.len());
        self.count_repeated_keys(&outputs);
    }

    /// Takes one OTLP request that passed [`otlp::check`]. `held` covers the payload and
    /// [`Intake::work_bytes`]. Sinks may hold it back until `hold_until`.
    pub async fn otlp(
        &self,
        payload: Bytes,
        records: u64,
        origin: Origin,
        held: Reservation,
        hold_until: Instant,
    ) -> Receipt {
        let stored = match &self.lanes {
            None => None,
            Some(lanes) => {
                let entry = entry(Kind::Otlp, &payload, &[], records, &origin);
                match lanes.append(entry, Some(hold_until)).await {
                    Ok(stored) => Some(stored),
                    Err(error) => return Receipt::NotStored(error),
                }
            }
        };
        let _moving = self.inflow.count_received(records);
        let seq = stored.as_ref().map(|stored| stored.seq);
        let mut work = Work::new(self, origin, &payload, held, Some(hold_until));
        let rewritten = self.rewrites(&payload);
        let ways = self.ways(&From::Source(seq), records, rewritten);
        drop(stored);
        self.decode_otlp(&mut work, ways, payload, records).await;
        match (&self.lanes, seq) {
            // While it was decoded, it was synced.
            (Some(lanes), Some(seq)) => lanes.kept(seq).await.map_or_else(Receipt::NotKept, |()| work.receipt),
            _ => work.receipt,
        }
    }

    async fn decode_otlp(&self, work: &mut Work<'_>, ways: PayloadWays<'_>, payload: Bytes, records: u64) {
        let PayloadWays { counted, as_received, mut outputs } = ways;
        work.count(counted, records).await;
        work.pass_on(as_received, &outputs, payload.clone(), records).await;
        let mut counts = RecordCounts::default();
        let mut from = 0;
        let mut done = false;
        while !done && !outputs.is_empty() {
            let settings = RecordSettings {
                reader: &self.reader,
                observed_unix_nano: work.origin.received_unix_nano,
                redactor: self.redactor.as_deref(),
            };
            let left = records.saturating_sub(u64::from(from)) * payload.len() as u64 / records.max(1);
            reserve(&mut outputs, left as usize);
            let mut feed = Feed { outputs: &mut outputs };
            let next = SCRATCH
                .with_borrow_mut(|scratch| otlp::decode(&payload, from, &settings, scratch, &mut feed, &mut counts));
            done = next.is_none();
            from = next.unwrap_or(from);
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
        let waits = !rewritten && !self.as_received.targets.is_empty();
        let payload = if waits { Bytes::copy_from_slice(&payload) } else { payload };
        match kind {
            Kind::Lines => self.decode_lines(&mut work, ways, payload, &marks, records).await,
            Kind::Otlp => self.decode_otlp(&mut work, ways, payload, records).await,
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

/// Room for what so many bytes are likely to become, or for a piece: a buffer that grows is copied.
fn reserve(outputs: &mut [Output<'_>], bytes: usize) {
    // Of a selection nobody knows what is left.
    for output in outputs.iter_mut().filter(|output| output.run.is_none()) {
        let likely = output.product.likely_bytes(bytes);
        if let Some(encoder) = &mut output.encoder {
            encoder.reserve((likely + likely / 8).min(PIECE_ROOM.saturating_sub(encoder.len())));
        }
    }
}

/// Remembers what so many bytes became.
fn learn(outputs: &[Output<'_>], bytes: usize) {
    for output in outputs {
        let expansion = 16 * output.taken_bytes / bytes.max(1);
        output.product.expansion.store(expansion + 1, Ordering::Relaxed);
    }
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

/// What one product has of the payload so far.
struct Output<'a> {
    product: &'a Product,
    ways: Ways,
    /// Records to be passed by: they were offered before.
    skip: u64,
    /// Records shown since the last piece.
    seen: u64,
    /// `None` where records are only counted.
    encoder: Option<Encoder>,
    /// `None` where all records are taken.
    run: Option<Taking<'a>>,
    /// A group has begun that no record was taken of yet.
    group_begun: bool,
    /// Lines that had to end before the payload does.
    ended: Vec<u8>,
    records: u64,
    /// Bytes of the pieces so far.
    taken_bytes: usize,
    route: String,
    routes: Routes,
    /// Where each path stands in `routes`.
    paths: HashMap<String, u32>,
}

impl<'a> Output<'a> {
    fn new(product: &'a Product, ways: Ways) -> Self {
        Output {
            product,
            skip: ways.done(),
            ways,
            seen: 0,
            encoder: product.encoding.map(Encoder::new),
            run: product.selection.as_deref().map(Selection::run),
            group_begun: false,
            ended: Vec::new(),
            records: 0,
            taken_bytes: 0,
            route: String::new(),
            routes: Routes::default(),
            paths: HashMap::new(),
        }
    }

    fn len(&self) -> usize {
        self.ended.len() + self.encoder.as_ref().map_or(0, Encoder::len)
    }

    fn tell_failed_conditions(&mut self) {
        let Some(failed) = self.run.as_mut().map(|run| run.left_out().failed) else { return };
        if failed > 0
            && let Some(suppressed) = CONDITION_FAILED.allow()
        {
            let sinks: Vec<&str> = self.product.targets.iter().map(|target| target.inbox.sink().as_ref()).collect();
            tracing::warn!(
                sinks = sinks.join(", "),
                records = failed,
                suppressed,
                "`when` could not be evaluated, such as text compared by size with a number; \
                 these records are not for the sink"
            );
        }
    }

    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        match (&self.run, &mut self.encoder) {
            // A group none of whose records are taken is not written.
            (Some(_), _) => self.group_begun = true,
            (None, Some(encoder)) => encoder.envelope(envelope),
            (None, None) => {}
        }
    }

    fn take(&mut self) -> Piece {
        self.tell_failed_conditions();
        self.end_lines();
        self.paths.clear();
        let mut piece = std::mem::take(&mut self.ended);
        // An inbox counts what is in it: the rest is at most as much.
        if piece.len() < piece.capacity() / 2 {
            piece.shrink_to_fit();
        }
        let payload = Bytes::from(piece);
        self.taken_bytes += payload.len();
        let routes = self.product.template.is_some().then(|| {
            let mut routes = std::mem::take(&mut self.routes);
            if let Some(run) = routes.runs.last_mut() {
                run.end = payload.len() as u32;
            }
            Arc::new(routes)
        });
        Piece { payload, records: std::mem::take(&mut self.records), seen: std::mem::take(&mut self.seen), routes }
    }

    fn record(&mut self, record: RecordRef<'_>) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        self.seen += 1;
        if let Some(run) = &mut self.run
            && !run.takes(&record)
        {
            return;
        }
        if std::mem::take(&mut self.group_begun)
            && let Some(encoder) = &mut self.encoder
        {
            encoder.envelope(record.envelope());
        }
        if let Some(template) = &self.product.template {
            self.route.clear();
            template.render(&record, &mut self.route);
            let path = self.path();
            match self.routes.runs.last_mut() {
                Some(run) if run.path == path => run.records += 1,
                last => {
                    let changes = last.is_some();
                    if changes {
                        self.end_run(record);
                    }
                    self.routes.runs.push(Run { path, end: 0, records: 1 });
                }
            }
        }
        if let Some(encoder) = &mut self.encoder {
            encoder.record(record);
        }
        self.records += 1;
    }

    /// The number of the path in `route`.
    fn path(&mut self) -> u32 {
        if let Some(path) = self.paths.get(&self.route) {
            return *path;
        }
        let path = self.routes.paths.len() as u32;
        self.routes.paths.push(self.route.clone());
        self.paths.insert(self.route.clone(), path);
        path
    }

    /// The next record goes to another path.
    fn end_run(&mut self, next: RecordRef<'_>) {
        if self.product.encoding == Some(Encoding::OtlpJson) {
            // Its lines hold many records; this one must not hold those of two paths.
            self.end_lines();
            if let Some(encoder) = &mut self.encoder {
                encoder.envelope(next.envelope());
            }
        }
        let end = self.len() as u32;
        if let Some(run) = self.routes.runs.last_mut() {
            run.end = end;
        }
    }

    fn end_lines(&mut self) {
        let lines = self.encoder.as_mut().map(Encoder::finish).unwrap_or_default();
        if self.ended.is_empty() {
            self.ended = lines;
        } else {
            self.ended.extend_from_slice(&lines);
        }
    }
}

/// Feeds decoded records to all encoders at once.
struct Feed<'a, 'b> {
    outputs: &'a mut [Output<'b>],
}

impl Visitor for Feed<'_, '_> {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        for output in &mut *self.outputs {
            output.envelope(envelope);
        }
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        for output in &mut *self.outputs {
            output.record(record);
        }
        if self.outputs.iter().any(|output| output.len() >= PIECE_BYTES) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
