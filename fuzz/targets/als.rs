//! Any bytes as a message of Envoy's access-log service: every part of it is a request that passes the check.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::als::{Stream, WORK_BYTES};
use logboom::decode::otlp::{Limits, check};

fuzz_target!(|input: &[u8]| {
    let mut stream = Stream::default();
    let Ok(mut entries) = stream.begin(input) else { return };
    while let Ok(Some(part)) = stream.part(&mut entries) {
        assert!(part.len() < WORK_BYTES);
        let summary = check(&part, &Limits::default()).expect("what is made of an entry passes the check");
        assert!(summary.records > 0 && summary.oversized_records == 0);
    }
});
