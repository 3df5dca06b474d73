//! Any bytes as OTLP/JSON: what is read is protobuf of the schema, no longer than the text; what we write of it
//! is read again, as the same records.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::Scratch;
use logboom::decode::otlp::{Limits, RecordCounts, RecordSettings, check, decode};
use logboom::decode::otlp_json::to_protobuf;
use logboom::decode::reader::{NamedFormat, Origin, Reader};
use logboom::encode::{Encoder, Encoding};
use logboom_fuzz::{AllEncodings, Write};

fuzz_target!(|input: &[u8]| {
    let Ok(bytes) = to_protobuf(input) else { return };
    assert!(bytes.len() <= input.len());
    let reader = Reader::compile(&NamedFormat::Raw.into(), Origin::Otlp).expect("a format with a name compiles");
    let settings = RecordSettings { reader: &reader, observed_unix_nano: 1, redactor: None };
    let mut seen = AllEncodings::new();
    decode(&bytes, 0, &settings, &mut Scratch::default(), &mut seen, &mut RecordCounts::default());
    let Ok(summary) = check(&bytes, &Limits::default()) else { return };
    assert_eq!(seen.records, summary.records as usize);
    seen.verify();
    // Written as JSON, read, and written once more: the same.
    let json = |bytes: &[u8]| {
        let mut written = Write(Encoder::new(Encoding::OtlpJson));
        decode(bytes, 0, &settings, &mut Scratch::default(), &mut written, &mut RecordCounts::default());
        written.0.finish()
    };
    let first = json(&bytes);
    if !first.is_empty() {
        let again = to_protobuf(&first).expect("what we write is read");
        assert_eq!(json(&again), first);
    }
});
