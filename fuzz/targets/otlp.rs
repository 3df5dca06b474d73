//! Any bytes as an OTLP request: what passes the check decodes in full, can be repaired once and
//! for all, and is written without loss of a record.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::Scratch;
use logboom::decode::otlp::{Limits, check, decode, repair};
use logboom_fuzz::AllEncodings;

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let mut seen = AllEncodings::new();
    decode(input, 0, 1, &mut Scratch::default(), &mut seen);
    let repaired = repair(input, limits.record_bytes_max);
    match check(input, &limits) {
        Ok(summary) => {
            assert_eq!(seen.records, summary.records as usize);
            assert_eq!(summary.invalid_text, repaired != input);
            let after = check(&repaired, &limits).expect("a repaired request passes the check");
            assert_eq!((after.records, after.invalid_text), (summary.records, false));
        }
        Err(_) => assert_eq!(repaired, input),
    }
    seen.verify();
});
