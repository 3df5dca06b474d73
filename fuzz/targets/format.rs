//! Any format and any line: what is read in one way, rendered, is the line again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::format::{Format, Places, Reading};
use logboom::record::Tree;
use logboom::semantics::Fields;

fuzz_target!(|input: &[u8]| {
    let (format, lines) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let Ok(format) = std::str::from_utf8(format) else { return };
    let formats = [Format::compile(format), Format::compile_with_trace_id(format)];
    let (mut places, mut fields) = (Places::default(), Fields::default());
    for format in formats.into_iter().flatten() {
        let keys = format.keep(&mut Tree::default());
        for line in lines.split(|byte| *byte == b'\n') {
            fields.clear();
            let reading = format.read(line, 0, line.len(), &keys, &mut places, &mut fields);
            if matches!(reading, Reading::No { .. }) {
                continue;
            }
            assert_eq!(places.slots().count(), format.slots().len());
            assert_eq!(reading == Reading::Ambiguous, places.slots().any(|place| place.is_none()));
            // A length counts bytes before Envoy makes characters of them: rendering may cut the value.
            if reading == Reading::Ambiguous || format.slots().iter().any(|slot| slot.max.is_some()) {
                continue;
            }
            let mut slots = places.slots().flatten();
            let mut rendered = Vec::new();
            format
                .render(|_, out| out.extend_from_slice(slots.next().map_or(b"", |place| &line[place])), &mut rendered);
            assert_eq!(rendered, line);
        }
    }
});
