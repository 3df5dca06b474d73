//! Some of the log records of an `ExportLogsServiceRequest`, cut out of its bytes.
//!
//! Only the three outer levels are looked at; a record, a resource or a field that nobody knows
//! is copied as it is.

use std::ops::Range;

/// Which field holds the next level: `resource_logs`, in it `scope_logs`, in it `log_records`.
/// Source: opentelemetry/proto/collector/logs/v1/logs_service.proto and logs/v1/logs.proto.
const CHILD: [u64; 3] = [1, 2, 2];

/// Number of log records. `None` for bytes that are no protobuf message.
pub(super) fn count(request: &[u8]) -> Option<usize> {
    count_in(request, &CHILD)
}

/// The request with only the log records in `keep`, counted from zero, under their resource and
/// scope; resources and scopes without records are left out. `None` for bytes that are no
/// protobuf message.
pub(super) fn select(request: &[u8], keep: &Range<usize>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(request.len());
    select_in(request, &CHILD, keep, &mut 0, &mut out)?;
    Some(out)
}

fn count_in(message: &[u8], levels: &[u64]) -> Option<usize> {
    let Some((&child, deeper)) = levels.split_first() else { return Some(1) };
    let mut rest = message;
    let mut total = 0;
    while !rest.is_empty() {
        let field = take_field(&mut rest)?;
        if let Some(body) = field.child(child) {
            total += count_in(body, deeper)?;
        }
    }
    Some(total)
}

/// Appends what is kept of `message`; says whether any record is in it. The depth is that of
/// `levels`, whatever the input.
fn select_in(
    message: &[u8],
    levels: &[u64],
    keep: &Range<usize>,
    index: &mut usize,
    out: &mut Vec<u8>,
) -> Option<bool> {
    let Some((&child, deeper)) = levels.split_first() else {
        let kept = keep.contains(index);
        *index += 1;
        if kept {
            out.extend_from_slice(message);
        }
        return Some(kept);
    };
    let mut rest = message;
    let mut any = false;
    while !rest.is_empty() {
        let field = take_field(&mut rest)?;
        let Some(body) = field.child(child) else {
            out.extend_from_slice(field.whole);
            continue;
        };
        let mut inner = Vec::new();
        if select_in(body, deeper, keep, index, &mut inner)? {
            any = true;
            put_varint(out, child << 3 | LENGTH_DELIMITED);
            put_varint(out, inner.len() as u64);
            out.extend_from_slice(&inner);
        }
    }
    Some(any)
}

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED_32: u64 = 5;

struct Field<'a> {
    tag: u64,
    /// Tag, length and value.
    whole: &'a [u8],
    value: &'a [u8],
}

impl<'a> Field<'a> {
    /// The value, if this is the message field with this number.
    fn child(&self, number: u64) -> Option<&'a [u8]> {
        (self.tag == (number << 3 | LENGTH_DELIMITED)).then_some(self.value)
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let tag = take_varint(rest)?;
    let length = match tag & 7 {
        VARINT => {
            let before = *rest;
            take_varint(rest)?;
            let length = before.len() - rest.len();
            *rest = before;
            length
        }
        FIXED_64 => 8,
        LENGTH_DELIMITED => usize::try_from(take_varint(rest)?).ok()?,
        FIXED_32 => 4,
        _ => return None,
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(Field { tag, whole: &start[..start.len() - after.len()], value })
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (at, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            *rest = &rest[at + 1..];
            return Some(value);
        }
    }
    None
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    /// Resources of scopes of records; numbers tell them apart.
    fn request(shape: &[Vec<usize>]) -> ExportLogsServiceRequest {
        let mut time_unix_nano = 0;
        let resource_logs = shape.iter().enumerate().map(|(resource, scopes)| ResourceLogs {
            resource: Some(Resource { dropped_attributes_count: resource as u32, ..Resource::default() }),
            scope_logs: scopes
                .iter()
                .enumerate()
                .map(|(scope, records)| ScopeLogs {
                    scope: Some(InstrumentationScope { name: scope.to_string(), ..InstrumentationScope::default() }),
                    log_records: (0..*records)
                        .map(|_| {
                            time_unix_nano += 1;
                            LogRecord { time_unix_nano, ..LogRecord::default() }
                        })
                        .collect(),
                    schema_url: "scope".to_owned(),
                })
                .collect(),
            schema_url: "resource".to_owned(),
        });
        ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
    }

    /// Every record with what it belongs to.
    fn flat(request: &ExportLogsServiceRequest) -> Vec<(u32, String, u64)> {
        let mut flat = Vec::new();
        for resource in &request.resource_logs {
            assert_eq!(resource.schema_url, "resource");
            for scope in &resource.scope_logs {
                assert_eq!(scope.schema_url, "scope");
                for record in &scope.log_records {
                    flat.push((
                        resource.resource.as_ref().unwrap().dropped_attributes_count,
                        scope.scope.as_ref().unwrap().name.clone(),
                        record.time_unix_nano,
                    ));
                }
            }
        }
        flat
    }

    proptest! {
        #[test]
        fn what_is_cut_out_is_what_was_there(shape in vec(vec(0usize..6, 0..4), 0..4), a in 0usize..40, b in 0usize..40) {
            let whole = request(&shape);
            let bytes = whole.encode_to_vec();
            let records = flat(&whole);
            prop_assert_eq!(count(&bytes), Some(records.len()));
            let keep = a.min(b).min(records.len())..a.max(b).min(records.len());
            let part = select(&bytes, &keep).unwrap();
            let part = ExportLogsServiceRequest::decode(&part[..]).unwrap();
            prop_assert_eq!(flat(&part), &records[keep]);
            prop_assert!(part.resource_logs.iter().all(|it| it.scope_logs.iter().all(|it| !it.log_records.is_empty())));
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, a in 0usize..9, b in 0usize..9) {
            prop_assert_eq!(count(&bytes).is_some(), select(&bytes, &(a..b)).is_some());
        }
    }

    #[test]
    fn unknown_fields_stay() {
        // Field 15 as a number in each level: the records are kept around it.
        let record = [0x78, 1];
        let scope = [&[0x78, 2, 0x12, 2][..], &record[..]].concat();
        let resource = [&[0x78, 3, 0x12, scope.len() as u8][..], &scope[..]].concat();
        let request = [&[0x78, 4, 0x0a, resource.len() as u8][..], &resource[..]].concat();
        assert_eq!(select(&request, &(0..1)).unwrap(), request);
        assert_eq!(select(&request, &(1..2)).unwrap(), [0x78, 4]);
    }
}
