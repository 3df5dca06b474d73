//! What one encoding has of a payload so far, and which sinks take it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::way::{Piece, Target, Ways};
use super::{PIECE_BYTES, PIECE_ROOM};
use crate::batch::{Routes, Run};
use crate::decode::Visitor;
use crate::encode::{Encoder, Encoding};
use crate::monitor::Watch;
use crate::record::{EnvelopeRef, RecordRef};
use crate::select::{Run as Taking, Selection};
use crate::telemetry::Quiet;
use crate::template::Template;

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
pub(super) struct Product {
    pub(super) encoding: Option<Encoding>,
    template: Option<Template>,
    selection: Option<Arc<Selection>>,
    pub(super) targets: Vec<Target>,
    /// Bytes that 16 bytes of the last payload became, to guess what the next needs; 0 at first.
    expansion: AtomicUsize,
}

impl Product {
    /// For those that take all records in this encoding, and no templates.
    pub(super) fn of_encoding(encoding: Encoding) -> Product {
        Product { encoding: Some(encoding), ..Product::default() }
    }

    /// For those that take what this one does, without it.
    pub(super) fn like(outlet: &Outlet) -> Product {
        let Outlet { encoding, template, selection, .. } = outlet.clone();
        Product { encoding, template, selection, ..Product::default() }
    }

    /// What so many bytes are likely to become.
    fn likely_bytes(&self, bytes: usize) -> usize {
        match self.expansion.load(Ordering::Relaxed) {
            0 => 2 * bytes,
            expansion => bytes.saturating_mul(expansion) / 16,
        }
    }

    /// True when a sink of that name takes what it makes.
    pub(super) fn feeds(&self, sink: &str) -> bool {
        self.targets.iter().any(|target| &**target.inbox.sink() == sink)
    }

    pub(super) fn makes(&self, outlet: &Outlet) -> bool {
        let selects = match (&self.selection, &outlet.selection) {
            (None, None) => true,
            (Some(own), Some(other)) => own.takes_as(other),
            _ => false,
        };
        selects && self.encoding == outlet.encoding && self.template == outlet.template
    }
}

/// What one product has of the payload so far.
pub(super) struct Output<'a> {
    pub(super) product: &'a Product,
    pub(super) ways: Ways,
    /// Records to be passed by: they were offered before.
    skip: u64,
    /// Records shown since the last piece.
    seen: u64,
    /// It has taken the record that was shown last.
    has_taken: bool,
    /// `None` where records are only counted.
    pub(super) encoder: Option<Encoder>,
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
    pub(super) fn new(product: &'a Product, ways: Ways) -> Self {
        Output {
            product,
            skip: ways.done(),
            ways,
            seen: 0,
            has_taken: false,
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

    pub(super) fn len(&self) -> usize {
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

    pub(super) fn take(&mut self) -> Piece {
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
        self.has_taken = false;
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
        self.has_taken = true;
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
pub(super) struct Feed<'a, 'b> {
    pub(super) outputs: &'a mut [Output<'b>],
    /// Who looks on.
    pub(super) watch: &'a mut Watch<'b>,
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
        let outputs = &*self.outputs;
        self.watch.record(&record, |sink| outputs.iter().any(|it| it.has_taken && it.product.feeds(sink)));
        if self.outputs.iter().any(|output| output.len() >= PIECE_BYTES) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Room for what so many bytes are likely to become, or for a piece: a buffer that grows is copied.
pub(super) fn reserve(outputs: &mut [Output<'_>], bytes: usize) {
    // What a selection leaves of a payload is likely to be as much of the next.
    for output in outputs {
        let likely = output.product.likely_bytes(bytes);
        if let Some(encoder) = &mut output.encoder {
            encoder.reserve((likely + likely / 8).min(PIECE_ROOM.saturating_sub(encoder.len())));
        }
    }
}

/// Remembers what so many bytes became.
pub(super) fn learn(outputs: &[Output<'_>], bytes: usize) {
    for output in outputs {
        let expansion = 16 * output.taken_bytes / bytes.max(1);
        output.product.expansion.store(expansion + 1, Ordering::Relaxed);
    }
}
