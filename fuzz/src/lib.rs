//! What every decoder's target does with the records it gets: write them in all encodings and
//! hold the results against what those encodings promise.

use std::ops::ControlFlow;

use logboom::decode::Visitor;
use logboom::decode::otlp::{Limits, check};
use logboom::encode::{Encoder, Encoding};
use logboom::record::{EnvelopeRef, RecordRef};

const LINES: [Encoding; 3] = [Encoding::Json, Encoding::Raw, Encoding::Pretty { colour: false }];

/// Writes every record it sees in every encoding.
pub struct AllEncodings {
    lines: [Encoder; 3],
    otlp_json: Encoder,
    otlp: Encoder,
    /// Records seen.
    pub records: usize,
}

impl AllEncodings {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        AllEncodings {
            lines: LINES.map(Encoder::new),
            otlp_json: Encoder::new(Encoding::OtlpJson),
            otlp: Encoder::new(Encoding::Otlp),
            records: 0,
        }
    }

    /// One line a record, no control characters, UTF-8 but in `raw`, valid JSON where JSON is promised,
    /// and a protobuf request that passes the check with the same number of records.
    pub fn verify(mut self) {
        for (encoding, encoder) in LINES.iter().zip(&mut self.lines) {
            let text = encoder.finish();
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), self.records, "{encoding:?}");
            assert!(!text.iter().any(|byte| byte.is_ascii_control() && !b"\n\t".contains(byte)), "{encoding:?}");
            // Only raw keeps bytes that are not UTF-8.
            let Ok(text) = std::str::from_utf8(&text) else {
                assert_eq!(*encoding, Encoding::Raw);
                continue;
            };
            assert!(text.chars().all(|char| !char.is_control() || "\n\t".contains(char)), "{encoding:?}");
            if *encoding == Encoding::Json {
                for line in text.lines() {
                    is_json(line);
                }
            }
        }
        let request = self.otlp_json.finish();
        if self.records == 0 {
            assert!(request.is_empty());
        } else {
            is_json(std::str::from_utf8(&request).expect("otlp-json is UTF-8"));
        }
        let request = self.otlp.finish();
        let summary = check(&request, &Limits::default()).expect("what we write passes our own check");
        assert_eq!(summary.records as usize, self.records);
        assert!(!summary.invalid_text);
    }
}

impl Visitor for AllEncodings {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        for encoder in self.lines.iter_mut().chain([&mut self.otlp_json, &mut self.otlp]) {
            encoder.envelope(envelope);
        }
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        self.records += 1;
        for encoder in self.lines.iter_mut().chain([&mut self.otlp_json, &mut self.otlp]) {
            encoder.record(record);
        }
        ControlFlow::Continue(())
    }
}

/// Writes every record it sees in one encoding.
pub struct Write(pub Encoder);

impl Visitor for Write {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        self.0.envelope(envelope);
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        self.0.record(record);
        ControlFlow::Continue(())
    }
}

fn is_json(text: &str) {
    let parsed = serde_json::from_str::<&serde_json::value::RawValue>(text);
    assert!(parsed.is_ok(), "{parsed:?} in {text}");
}
