//! Any bytes as lines: each line that is not blank is one record, in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::Scratch;
use logboom::decode::line::{LineSettings, decode};
use logboom::decode::reader::{NamedFormat, Origin, Reader};
use logboom_fuzz::AllEncodings;

fuzz_target!(|input: &[u8]| {
    for format in [NamedFormat::Auto, NamedFormat::Raw, NamedFormat::Json] {
        let reader = Reader::compile(&format.into(), Origin::Lines).expect("a format with a name compiles");
        let settings = LineSettings {
            reader: &reader,
            peer_address: Some("127.0.0.1"),
            peer_port: Some(5000),
            observed_unix_nano: 1,
            redactor: None,
        };
        let mut seen = AllEncodings::new();
        let counts = decode(input, &[], &settings, &mut Scratch::default(), &mut seen);
        assert_eq!(counts.records as usize, seen.records);
        assert_eq!(counts.ok + counts.ambiguous + counts.raw, counts.records);
        let ended = input.iter().filter(|byte| **byte == b'\n').count();
        let unended = usize::from(input.last().is_some_and(|byte| *byte != b'\n'));
        assert_eq!(seen.records + counts.blank as usize, ended + unended);
        seen.verify();
    }
});
