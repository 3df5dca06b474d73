//! A line, wrapped, with marks under the places of its values.

use std::ops::Range;

/// Characters of a line that are shown; a header of 60 KiB is in no need of a ruler.
const SHOWN_MAX: usize = 4_000;
const LABELS: &[u8; 61] = b"123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// The mark of the value with that index.
pub fn label(index: usize) -> char {
    char::from(*LABELS.get(index).unwrap_or(&b'*'))
}

/// The line in rows of so many characters, each with a row of marks under it where values begin.
pub fn ruled(line: &[u8], places: &[(usize, Range<usize>)], width: usize) -> String {
    let mut marks = places.iter().map(|(index, place)| (place.start, label(*index))).peekable();
    let mut out = String::new();
    let (mut text, mut ruler) = (String::new(), String::new());
    let mut flush = |text: &mut String, ruler: &mut String| {
        out.push_str(&format!("  {text}\n"));
        if !ruler.trim_end().is_empty() {
            out.push_str(&format!("  {}\n", ruler.trim_end()));
        }
        text.clear();
        ruler.clear();
    };
    for (count, (at, character)) in characters(line).enumerate() {
        if count == SHOWN_MAX {
            text.push('…');
            break;
        }
        if count > 0 && count % width.max(1) == 0 {
            flush(&mut text, &mut ruler);
        }
        let mut mark = ' ';
        while let Some((_, label)) = marks.next_if(|(start, _)| *start <= at) {
            mark = label;
        }
        text.push(character);
        ruler.push(mark);
    }
    flush(&mut text, &mut ruler);
    out
}

/// One character for each character of the line, and for each part that is none; with its offset.
fn characters(line: &[u8]) -> impl Iterator<Item = (usize, char)> {
    let mut at = 0;
    line.utf8_chunks().flat_map(move |chunk| {
        let start = at;
        at += chunk.valid().len() + chunk.invalid().len();
        let invalid = (!chunk.invalid().is_empty()).then_some((start + chunk.valid().len(), '\u{fffd}'));
        chunk.valid().char_indices().map(move |(offset, it)| (start + offset, harmless(it))).chain(invalid)
    })
}

/// What would end the row, drive the terminal or take no place is a dot.
fn harmless(character: char) -> char {
    match character {
        '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => '·',
        it if it.is_control() => '·',
        it => it,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_under_values() {
        let places = [(0, 1..3), (1, 5..6), (2, 6..6), (10, 9..11)];
        assert_eq!(ruled(b"[ab] c\xff\x1b de", &places, 80), "  [ab] c\u{fffd}· de\n   1   23  b\n");
        assert_eq!(ruled(b"[ab] c de", &[(0, 1..3), (1, 7..9)], 4), "  [ab]\n   1\n   c d\n     2\n  e\n");
        assert_eq!(ruled(b"", &[], 80), "  \n");
        assert_eq!(label(9), 'a');
        assert_eq!(label(usize::MAX), '*');
    }

    #[test]
    fn what_is_long_is_cut() {
        let out = ruled("日".repeat(100_000).as_bytes(), &[], 100);
        assert_eq!(out.lines().count(), 40);
        assert!(out.ends_with("日…\n"));
    }
}
