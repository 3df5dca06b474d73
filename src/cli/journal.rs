//! `journal check` and `journal dump`: what a journal holds.

use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{Exit, complain, input, print, refuse};
use crate::config::units::ByteSize;
use crate::journal::inspect::{Inspection, Piece, SegmentSeen};
use crate::journal::{Entry, Kind, RealDisk, Seq};

#[derive(Args, Debug)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is in each segment, where the sinks stand, and what is damaged; exit 1 when something is
    Check(PlaceArgs),
    /// Print entries as JSON lines, or their payloads; exit 1 when some are damaged
    Dump(DumpArgs),
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct PlaceArgs {
    /// Directory of the journal
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// YAML file with a `journal` block
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct DumpArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// First entry: a number, or the time it was received (2026-11-20T11:48:37Z)
    #[arg(long, value_name = "SEQ|TIME", value_parser = from)]
    from: Option<From>,
    /// Most entries
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    limit: u64,
    /// The payloads only, byte for byte
    #[arg(long)]
    raw: bool,
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Seq(Seq),
    Received(u64),
}

impl From {
    /// Begins after this entry.
    pub(super) fn is_after(self, seq: Seq) -> bool {
        matches!(self, From::Seq(from) if seq < from)
    }

    /// Begins with this entry or a later one: what is damaged before it is of no concern.
    pub(super) fn begins_at_or_after(self, seq: Seq, entry: &Entry) -> bool {
        match self {
            From::Seq(from) => seq <= from,
            From::Received(from) => entry.received_unix_nano < from,
        }
    }

    /// Takes this entry.
    pub(super) fn takes(self, seq: Seq, entry: &Entry) -> bool {
        match self {
            From::Seq(from) => seq >= from,
            From::Received(from) => entry.received_unix_nano >= from,
        }
    }
}

pub(super) fn from(text: &str) -> Result<From, String> {
    if let Ok(seq) = text.parse() {
        return Ok(From::Seq(seq));
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| "write a number, or a time such as 2026-11-20T11:48:37Z")?;
    Ok(From::Received(u64::try_from(time.as_nanosecond()).unwrap_or(0)))
}

pub fn journal(args: &JournalArgs) -> Exit {
    let (Command::Check(place) | Command::Dump(DumpArgs { place, .. })) = &args.command;
    let dir = match place.dir() {
        Ok(dir) => dir,
        Err(exit) => return exit,
    };
    let inspection = match inspect(&dir) {
        Ok(inspection) => inspection,
        Err(exit) => return exit,
    };
    match &args.command {
        Command::Check(_) => check(&inspection),
        Command::Dump(args) => dump(&inspection, args),
    }
}

/// Looks into a directory, or says why not.
pub(super) fn inspect(dir: &Path) -> Result<Inspection, Exit> {
    let opened = RealDisk::existing(dir)
        .map_err(|error| format!("cannot open it: {error}; write the directory that `journal.dir` names"));
    opened.and_then(|disk| Inspection::of(&disk).map_err(|error| error.to_string())).map_err(|why| {
        complain(&format!("error: journal {}: {why}", dir.display()));
        Exit::Usage
    })
}

impl PlaceArgs {
    pub(super) fn dir(&self) -> Result<PathBuf, Exit> {
        if let Some(dir) = &self.dir {
            return Ok(dir.clone());
        }
        let checked = input::file(self.config.as_deref()).map_err(|errors| refuse(&errors))?;
        checked.config().journal.as_ref().map(|journal| journal.dir.clone()).ok_or_else(|| {
            complain("error: there is no `journal` block in this configuration");
            Exit::Usage
        })
    }
}

/// What is in one segment.
#[derive(Default)]
struct Sum {
    entries: u64,
    records: u64,
    damage: Vec<String>,
    tail: u64,
    last: Option<Seq>,
}

fn sum(inspection: &Inspection, segment: &SegmentSeen, positions: &mut [(Seq, u64, u64)]) -> Sum {
    let mut sum = Sum::default();
    let walked = inspection.walk(segment, |piece| {
        match piece {
            Piece::Entry(seq, entry) => {
                sum.entries += 1;
                sum.records = sum.records.saturating_add(entry.records);
                sum.last = Some(seq);
                for (_, entries, records) in positions.iter_mut().filter(|(next, ..)| *next <= seq) {
                    *entries += 1;
                    *records = records.saturating_add(entry.records);
                }
            }
            Piece::Tail(bytes) => sum.tail = bytes,
            piece => sum.damage.extend(describe(&piece)),
        }
        ControlFlow::Continue(())
    });
    if let Err(error) = walked {
        sum.damage.push(format!("cannot be read: {error}"));
    }
    if !segment.has_header && sum.last.is_some() {
        sum.damage.push("its header is damaged".to_owned());
    }
    sum.damage.extend(inspection.gap_behind(segment).and_then(|gap| describe(&Piece::Missing(gap))));
    sum
}

fn describe(piece: &Piece) -> Option<String> {
    Some(match piece {
        Piece::Spoilt { seq, records } => format!("entry {seq} is damaged, {records} records"),
        Piece::Damaged(bytes) => format!("{} bytes at {} are no entry", bytes.end - bytes.start, bytes.start),
        Piece::Missing(seqs) if seqs.end == seqs.start + 1 => format!("entry {} is missing", seqs.start),
        Piece::Missing(seqs) => format!("entries {} to {} are missing", seqs.start, seqs.end - 1),
        Piece::Tail(_) | Piece::Entry(..) => return None,
    })
}

fn check(inspection: &Inspection) -> Exit {
    let cursors: Vec<_> = inspection.cursors().collect();
    // What each sink has before it: entries, records.
    let mut before: Vec<(Seq, u64, u64)> = cursors.iter().map(|cursor| (cursor.next.unwrap_or(1), 0, 0)).collect();
    let mut is_damaged = false;
    let mut out = String::new();
    let mut last_end = None;
    for segment in inspection.segments() {
        let sum = sum(inspection, &segment, &mut before);
        let end = segment.end.unwrap_or(sum.last.map_or(segment.base, |last| last + 1));
        let seqs = if end > segment.base { format!("{}..{}", segment.base, end - 1) } else { "empty".to_owned() };
        let state = match (segment.is_sealed, segment.is_last) {
            (true, _) => "sealed",
            (false, true) => "open",
            (false, false) => "not sealed",
        };
        out += &format!(
            "segment {:016x}  entries {seqs}: {} entries, {} records, {}, {state}\n",
            segment.base,
            sum.entries,
            sum.records,
            ByteSize(segment.bytes)
        );
        if sum.tail > 0 {
            out += &format!("  {} bytes at its end are being written, or were when the process ended\n", sum.tail);
        }
        for damage in &sum.damage {
            out += &format!("  damaged: {damage}\n");
        }
        is_damaged |= !sum.damage.is_empty();
        last_end = Some(end);
    }
    // Without a segment there may have been nothing left to keep.
    let end = last_end.or_else(|| cursors.iter().filter_map(|cursor| cursor.next).min());
    if let Some(end) = end.filter(|end| *end < inspection.durable_end())
        && let Some(damage) = describe(&Piece::Missing(end..inspection.durable_end()))
    {
        out += &format!("  damaged: {damage} at the end\n");
        is_damaged = true;
    }
    if let Some(last) = inspection.durable_end().checked_sub(1).filter(|last| *last > 0) {
        out +=
            &format!("synced  up to entry {last}, as the cursors say; what is behind it may be cut off by a crash\n");
    }
    for (cursor, (next, entries, records)) in cursors.iter().zip(&before) {
        match cursor.next {
            Some(_) => {
                out += &format!("cursor {}  next {next}: {entries} entries, {records} records to go\n", cursor.sink)
            }
            None => out += &format!("cursor {}  damaged: the sink gets everything again\n", cursor.sink),
        }
        if cursor.is_foreign {
            out += "  of another journal: the sink gets everything again\n";
        }
        is_damaged |= cursor.next.is_none() || cursor.is_foreign;
    }
    if inspection.quarantined > 0 {
        out += &format!("quarantine  {} of damaged bytes, for people\n", ByteSize(inspection.quarantined));
    }
    out += if is_damaged { "damaged\n" } else { "clean\n" };
    match print(&out) {
        Exit::Clean if is_damaged => Exit::Failure,
        exit => exit,
    }
}

fn dump(inspection: &Inspection, args: &DumpArgs) -> Exit {
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut left, mut is_damaged, mut written) = (args.limit, false, Ok(()));
    for segment in inspection.segments() {
        let begins_after = |seq: Seq| args.from.is_some_and(|from| from.is_after(seq));
        if left == 0 || written.is_err() || segment.end.is_some_and(|end| begins_after(end - 1)) {
            continue;
        }
        let walked = inspection.walk(&segment, |piece| {
            match piece {
                Piece::Entry(seq, entry) if args.from.is_some_and(|from| !from.takes(seq, &entry)) => {}
                Piece::Entry(seq, entry) => {
                    written = write(&mut out, seq, &entry, args.raw);
                    left -= 1;
                }
                piece => {
                    if let Some(damage) = describe(&piece) {
                        is_damaged = true;
                        complain(&format!("segment {:016x}: {damage}", segment.base));
                    }
                }
            }
            if left == 0 || written.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Err(error) = walked {
            is_damaged = true;
            complain(&format!("segment {:016x}: cannot be read: {error}", segment.base));
        }
    }
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("error: cannot write: {error}"));
            Exit::Failure
        }
        _ if is_damaged => Exit::Failure,
        _ => Exit::Clean,
    }
}

/// An entry as a line. Without a payload there is one in base64: what is not text is not made to look like it.
#[derive(Serialize)]
struct Row<'a> {
    seq: Seq,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    received: String,
    kind: &'static str,
    records: u64,
    /// Offsets of lines whose end is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    truncated: Vec<u32>,
    /// Offsets of lines in which the connection ended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    partial: Vec<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

fn write(out: &mut impl Write, seq: Seq, entry: &Entry, is_raw: bool) -> io::Result<()> {
    if is_raw {
        return out.write_all(&entry.payload);
    }
    let received = i128::from(entry.received_unix_nano);
    let received = jiff::Timestamp::from_nanosecond(received).map(|time| time.to_string()).unwrap_or_default();
    let text = std::str::from_utf8(&entry.payload).ok().filter(|_| entry.kind == Kind::Lines);
    let row = Row {
        seq,
        source: &entry.source,
        peer: entry.peer,
        received,
        kind: match entry.kind {
            Kind::Lines => "lines",
            Kind::Otlp => "otlp",
        },
        records: entry.records,
        truncated: entry.marks.iter().filter(|mark| mark.truncated).map(|mark| mark.start).collect(),
        partial: entry.marks.iter().filter(|mark| mark.partial).map(|mark| mark.start).collect(),
        payload: text,
        payload_base64: text.is_none().then(|| STANDARD.encode(&entry.payload)),
    };
    serde_json::to_writer(&mut *out, &row)?;
    out.write_all(b"\n")
}
