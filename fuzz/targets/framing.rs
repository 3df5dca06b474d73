//! Any split of a byte stream into reads gives the same lines, and none is over the limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::decode::line::Frame;
use logboom::source::framing::Framer;

fuzz_target!(|input: &[u8]| {
    // The first bytes say how to cut the rest, so that a stream of lines is a fair seed too.
    let Some((head, stream)) = input.split_at_checked(8) else { return };
    let line_max = 1 + usize::from(head[0]);
    let sizes: Vec<usize> = head[1..].iter().map(|byte| 1 + usize::from(*byte)).collect();
    let mut reads = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (read, later) = rest.split_at((*size).min(rest.len()));
        reads.push(read);
        rest = later;
    }
    assert_eq!(lines(line_max, &reads), lines(line_max, &[stream]));
});

/// A line, and whether it is truncated or partial.
type Line = (Vec<u8>, bool, bool);

/// All lines that come out when the reads arrive one by one, and the number of blank ones.
fn lines(line_max: usize, reads: &[&[u8]]) -> (Vec<Line>, u64) {
    let mut framer = Framer::new(line_max);
    let mut found = (Vec::new(), 0);
    for (number, read) in reads.iter().enumerate() {
        framer.buffer(read.len()).extend_from_slice(read);
        collect(framer.frame(), line_max, &mut found);
        assert!(framer.unfinished().len() <= line_max);
        if number % 3 == 0 {
            framer.rest();
        }
    }
    collect(framer.finish(), line_max, &mut found);
    found
}

fn collect(frame: Frame, line_max: usize, found: &mut (Vec<Line>, u64)) {
    let mut start = 0;
    let mut marks = frame.marks.iter().peekable();
    let mut count = 0;
    for line in frame.payload.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.ends_with(b"\n") && line.len() <= line_max + 1);
        let mark = marks.next_if(|mark| mark.start as usize == start);
        start += line.len();
        count += 1;
        let (truncated, partial) = mark.map_or((false, false), |mark| (mark.truncated, mark.partial));
        found.0.push((line.to_vec(), truncated, partial));
    }
    assert!(marks.next().is_none(), "every mark points at a line");
    assert_eq!(count, frame.lines);
    found.1 += frame.blank;
}
