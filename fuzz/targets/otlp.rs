//! Any bytes as an OTLP request: what passes the check decodes in full, can be repaired once and
//! for all, and is written without loss of a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::Scratch;
use logboom::decode::otlp::{Limits, RecordCounts, RecordSettings, check, decode, repair};
use logboom::decode::reader::{NamedFormat, Origin, Reader};
use logboom_fuzz::AllEncodings;

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let seen = [NamedFormat::Raw, NamedFormat::Auto].map(|format| {
        let reader = Reader::compile(&format.into(), Origin::Otlp).expect("a format with a name compiles");
        let settings = RecordSettings { reader: &reader, observed_unix_nano: 1, redactor: None };
        let mut seen = AllEncodings::new();
        decode(input, 0, &settings, &mut Scratch::default(), &mut seen, &mut RecordCounts::default());
        seen
    });
    let repaired = repair(input, limits.record_bytes_max);
    match check(input, &limits) {
        Ok(summary) => {
            assert!(seen.iter().all(|seen| seen.records == summary.records as usize));
            assert_eq!(summary.invalid_text, repaired != input);
            let after = check(&repaired, &limits).expect("a repaired request passes the check");
            assert_eq!((after.records, after.invalid_text), (summary.records, false));
        }
        Err(_) => assert_eq!(repaired, input),
    }
    seen.into_iter().for_each(AllEncodings::verify);
});
