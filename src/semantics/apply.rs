//! Fields into a record.

use super::Fields;
use super::http::Outcome;
use super::keys::{Key, Keys};
use super::severity::{self, Severity};
use super::writer::Writer;
use crate::record::{Record, Span, Value};

/// What [`apply`] had to change, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// A value was text in which every byte had become a character of its own, and was repaired.
    pub mojibake: bool,
}

/// Adds to the record what the fields say: attributes behind those it has, in a fixed order, time,
/// trace and span id, severity; where the record already has one of these, it stays. Values point
/// into `raw` or into the record's tree.
///
/// Attributes are only pushed: the caller opens the record's range of attributes before, and ends
/// it afterwards. Severity is set when there is a status, flags or a gRPC status to judge by.
pub fn apply(fields: &Fields, keys: &Keys, raw: &[u8], record: &mut Record) -> Applied {
    let applied = Applied::default();
    let mut writer = Writer { fields, keys, raw, tree: &mut record.tree, applied, doubtful: false };
    let (outcome, sizes) = writer.http();
    // Once: a severity asks for them too.
    let flags = writer.flags();
    let start = writer.envoy(sizes, flags);
    writer.kuma();
    writer.others();
    let context = writer.trace();
    if writer.doubtful {
        writer.push(Key::Mojibake, Value::Text(keys.of(Key::Possible)));
    }
    let severity = judge(&writer, outcome, flags);
    let applied = writer.applied;

    if record.time_unix_nano == 0 {
        record.time_unix_nano = start.unwrap_or(0);
    }
    if let (Some(context), true) = (context, record.trace_id.is_empty() && record.span_id.is_empty()) {
        record.trace_id = record.tree.side_text(&context.trace.get().to_be_bytes());
        record.span_id = context.span.map_or(Span::EMPTY, |it| record.tree.side_text(&it.get().to_be_bytes()));
        record.flags |= u32::from(context.flags);
    }
    if let (Some(severity), true) = (severity, record.severity_number == 0 && record.severity_text.is_empty()) {
        record.severity_number = severity.number();
        record.severity_text = keys.of(severity.text());
    }
    applied
}

/// The worst that status, gRPC status and flags say; `None` when none of them is there.
#[inline]
fn judge(writer: &Writer<'_>, outcome: Outcome, flags: Option<Span>) -> Option<Severity> {
    let flags = flags.map(|it| severity::of_flags(writer.bytes(it)));
    let status = outcome.status.map(severity::of_status);
    [status, outcome.grpc.map(severity::of_grpc), flags].into_iter().flatten().max()
}
