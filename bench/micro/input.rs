//! What the generator sends, as bytes.

use logboom::generate::{BodyKind, Format, GenArgs, NamedFormat, Pool, Rate, Target};

/// A thousand lines.
pub fn lines(format: NamedFormat) -> Vec<u8> {
    let target = Target::Lines("127.0.0.1:0".to_owned());
    let mut pool = pool(format, target, BodyKind::String, 1);
    let (lines, bytes) = pool.next_lines(LINES, 1 << 20);
    assert_eq!(lines, LINES);
    bytes.to_vec()
}

/// As many as [`lines`] has.
pub const LINES: u32 = 1000;

/// A request of so many records.
pub fn request(body: BodyKind, records: u32) -> Vec<u8> {
    let target = Target::Otlp("127.0.0.1:0".to_owned());
    let mut bytes = Vec::new();
    if let Some(request) = pool(NamedFormat::Otlp, target, body, records).next_request(records) {
        request.write(&mut bytes);
    }
    assert!(!bytes.is_empty());
    bytes
}

#[allow(clippy::expect_used)]
fn pool(format: NamedFormat, target: Target, body: BodyKind, batch: u32) -> Pool {
    let args = GenArgs {
        format: Format::Named(format),
        body,
        rate: Rate::Max,
        count: None,
        duration: None,
        connections: 1,
        batch,
        to: Some(target),
        ca: None,
        token: None,
        streams: 1,
        id: false,
        seed: 0,
        hostile: false,
        per_write: None,
        json: false,
    };
    Pool::new(&args, 0).expect("known formats compile")
}
