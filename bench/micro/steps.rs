//! Steps of one thread: bytes in, bytes out.

use std::hint::black_box;
use std::ops::ControlFlow;

use logboom::decode::format::{Places, presets};
use logboom::decode::line::LineSettings;
use logboom::decode::otlp::{Limits, RecordCounts, RecordSettings};
use logboom::decode::reader::{FormatSetting, Origin, Reader};
use logboom::decode::{Scratch, Visitor, line, otlp};
use logboom::encode::{Encoder, Encoding};
use logboom::generate::{BodyKind, NamedFormat};
use logboom::record::{EnvelopeRef, RecordRef, Tree};
use logboom::semantics::Fields;
use logboom::source::framing::Framer;

use super::{Step, input};

/// As Envoy sends them under load.
const REQUEST_RECORDS: u32 = 100;

pub fn all() -> Vec<Step> {
    let mut steps = vec![framing(), format_read()];
    for (format, names) in [
        (NamedFormat::KumaHttp, ["line: read (kuma-http)", "line: read, written as JSON (kuma-http)"]),
        (NamedFormat::KumaJson, ["line: read (kuma-json)", "line: read, written as JSON (kuma-json)"]),
    ] {
        steps.extend([lines(names[0], format, None), lines(names[1], format, Some(Encoding::Json))]);
    }
    for (body, names) in [
        (BodyKind::String, ["otlp: check (text)", "otlp: read (text)", "otlp: read, written as JSON (text)"]),
        (BodyKind::Kvlist, ["otlp: check (kvlist)", "otlp: read (kvlist)", "otlp: read, written as JSON (kvlist)"]),
    ] {
        steps.extend([check(names[0], body), requests(names[1], body, None)]);
        steps.push(requests(names[2], body, Some(Encoding::Json)));
    }
    steps.push(requests("otlp: read, written as OTLP (text)", BodyKind::String, Some(Encoding::Otlp)));
    steps
}

/// Whole lines out of reads that end anywhere.
fn framing() -> Step {
    let lines = input::lines(NamedFormat::KumaHttp).repeat(3);
    let mut framer = Framer::new(1 << 20);
    Step {
        name: "framing: reads of 256 KiB",
        records: 3 * u64::from(input::LINES),
        bytes: lines.len() as u64,
        turn: Box::new(move || {
            for read in lines.chunks(256 << 10) {
                framer.buffer(256 << 10).extend_from_slice(read);
                black_box(framer.frame());
            }
        }),
    }
}

/// Where the values of a line are, without what they mean.
#[allow(clippy::expect_used)]
fn format_read() -> Step {
    let lines = input::lines(NamedFormat::KumaHttp);
    let ends: Vec<usize> = lines.iter().enumerate().filter(|(_, it)| **it == b'\n').map(|(at, _)| at).collect();
    let format = presets::kuma_http().expect("a preset compiles");
    let keys = format.keep(&mut Tree::default());
    let (mut places, mut fields) = (Places::default(), Fields::default());
    Step {
        name: "format: matched (kuma-http)",
        records: u64::from(input::LINES),
        bytes: lines.len() as u64,
        turn: Box::new(move || {
            let mut start = 0;
            for end in &ends {
                fields.clear();
                black_box(format.read(&lines, start, *end, &keys, &mut places, &mut fields));
                start = end + 1;
            }
        }),
    }
}

fn lines(name: &'static str, format: NamedFormat, encoding: Option<Encoding>) -> Step {
    let lines = input::lines(format);
    let reader = reader(Origin::Lines);
    let (mut scratch, mut writer) = (Scratch::default(), Writer::new(encoding));
    Step {
        name,
        records: u64::from(input::LINES),
        bytes: lines.len() as u64,
        turn: Box::new(move || {
            let settings = LineSettings {
                reader: &reader,
                peer_address: Some("10.0.0.1"),
                peer_port: Some(40_000),
                observed_unix_nano: 1,
                redactor: None,
            };
            black_box(line::decode(&lines, &[], &settings, &mut scratch, &mut writer));
            writer.finish();
        }),
    }
}

/// The walk at the door.
fn check(name: &'static str, body: BodyKind) -> Step {
    let request = input::request(body, REQUEST_RECORDS);
    Step {
        name,
        records: REQUEST_RECORDS.into(),
        bytes: request.len() as u64,
        turn: Box::new(move || {
            let _ = black_box(otlp::check(&request, &Limits::default()));
        }),
    }
}

fn requests(name: &'static str, body: BodyKind, encoding: Option<Encoding>) -> Step {
    let request = input::request(body, REQUEST_RECORDS);
    let reader = reader(Origin::Otlp);
    let (mut scratch, mut writer) = (Scratch::default(), Writer::new(encoding));
    Step {
        name,
        records: REQUEST_RECORDS.into(),
        bytes: request.len() as u64,
        turn: Box::new(move || {
            let settings = RecordSettings { reader: &reader, observed_unix_nano: 1, redactor: None };
            let mut counts = RecordCounts::default();
            black_box(otlp::decode(&request, 0, &settings, &mut scratch, &mut writer, &mut counts));
            writer.finish();
        }),
    }
}

#[allow(clippy::expect_used)]
fn reader(origin: Origin) -> Reader {
    Reader::compile(&FormatSetting::default(), origin).expect("the default compiles")
}

/// Encodes what it sees, or only looks at it. The next buffer is as large as the last one, as in the intake.
struct Writer {
    encoder: Option<Encoder>,
}

impl Writer {
    fn new(encoding: Option<Encoding>) -> Writer {
        Writer { encoder: encoding.map(Encoder::new) }
    }

    fn finish(&mut self) {
        if let Some(encoder) = &mut self.encoder {
            let bytes = black_box(encoder.finish()).len();
            encoder.reserve(bytes);
        }
    }
}

impl Visitor for Writer {
    fn envelope(&mut self, envelope: EnvelopeRef<'_>) {
        match &mut self.encoder {
            Some(encoder) => encoder.envelope(envelope),
            None => _ = black_box(envelope),
        }
    }

    fn record(&mut self, record: RecordRef<'_>) -> ControlFlow<()> {
        match &mut self.encoder {
            Some(encoder) => encoder.record(record),
            None => _ = black_box(record),
        }
        ControlFlow::Continue(())
    }
}
