//! Lines cut into columns.

use std::collections::HashMap;
use std::ops::Range;

use super::name;
use super::shape::{self, Shape};

/// Most fields of a line; a format has far fewer.
const FIELDS_MAX: usize = 128;

/// A line and its fields.
pub type Cut<'a> = (&'a str, Vec<Range<usize>>);

/// A part of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The same in all lines.
    Literal(String),
    /// A value, of each line.
    Slot(Vec<&'a str>),
}

/// Lines with the same arrangement of fields, largest group first.
pub fn groups<'a>(lines: &[&'a str]) -> Vec<Vec<Cut<'a>>> {
    let Some(delimiter) = delimiter(lines) else { return Vec::new() };
    let mut groups: HashMap<Vec<u8>, (usize, Vec<Cut<'a>>)> = HashMap::new();
    for (index, line) in lines.iter().enumerate() {
        let fields = fields(line, delimiter);
        if fields.len() > FIELDS_MAX {
            continue;
        }
        let arrangement = fields.iter().map(|it| frame(&line[it.clone()])).collect();
        groups.entry(arrangement).or_insert((index, Vec::new())).1.push((line, fields));
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    // Equal sizes in the order of their first lines, so that the result is always the same.
    groups.sort_by_key(|(first, group)| (std::cmp::Reverse(group.len()), *first));
    groups.into_iter().map(|(_, group)| group).collect()
}

/// What stands around a field.
fn frame(field: &str) -> u8 {
    match field.as_bytes() {
        [first @ (b'"' | b'[' | b'('), .., _] => *first,
        _ => 0,
    }
}

/// The character that cuts most lines into the same, largest number of fields.
fn delimiter(lines: &[&str]) -> Option<u8> {
    let score = |delimiter: u8| {
        let mut counts = [0_usize; FIELDS_MAX + 1];
        for line in lines.iter().take(super::SAMPLES_MAX) {
            counts[fields(line, delimiter).len().min(FIELDS_MAX)] += 1;
        }
        counts.iter().enumerate().skip(2).map(|(fields, lines)| (fields - 1) * lines).max().unwrap_or(0)
    };
    let scored = [b'\t', b'|', b';', b',', b' '].map(|it| (score(it), it));
    scored.into_iter().filter(|(score, _)| *score > 0).max_by_key(|(score, _)| *score).map(|(_, it)| it)
}

/// What stands between delimiters. One inside of quotes or brackets is none.
fn fields(line: &str, delimiter: u8) -> Vec<Range<usize>> {
    let bytes = line.as_bytes();
    let mut fields = Vec::new();
    let mut start = 0;
    while start <= bytes.len() && fields.len() <= FIELDS_MAX {
        let end = protected(bytes, start, delimiter)
            .unwrap_or_else(|| memchr::memchr(delimiter, &bytes[start..]).map_or(bytes.len(), |at| start + at));
        fields.push(start..end);
        start = end + 1;
    }
    fields
}

/// The end of a field in quotes or brackets, where there is one.
fn protected(bytes: &[u8], start: usize, delimiter: u8) -> Option<usize> {
    let rest = bytes.get(start..)?;
    let name = rest.iter().take_while(|it| it.is_ascii_alphanumeric() || b"_-.".contains(it)).count();
    let (start, closing) = match &rest[name..] {
        [b'"', ..] if name == 0 => (start, b'"'),
        [b'[', ..] if name == 0 => (start, b']'),
        [b'=' | b':', b'"', ..] if name > 0 => (start + name + 1, b'"'),
        _ => return None,
    };
    memchr::memchr_iter(closing, &bytes[start + 1..])
        .map(|at| start + 1 + at + 1)
        .find(|end| bytes.get(*end).is_none_or(|next| *next == delimiter))
}

/// What is the same and what differs in lines of one arrangement.
pub fn pieces<'a>(group: &[Cut<'a>]) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let Some((first, fields)) = group.first() else { return pieces };
    for column in 0..fields.len() {
        if column > 0 {
            let between = &first[fields[column - 1].end..fields[column].start];
            pieces.push(Piece::Literal(between.to_owned()));
        }
        let values: Vec<&str> = group.iter().map(|(line, fields)| &line[fields[column].clone()]).collect();
        // Behind the last delimiter of a line there need not be anything, nor between two spaces.
        let may_be_empty = column + 1 == fields.len() || first.as_bytes().get(fields[column].end) == Some(&b' ');
        if !may_be_empty || values.iter().any(|it| !it.is_empty()) {
            split(&values, true, &mut pieces);
        }
    }
    let mut joined: Vec<Piece<'_>> = Vec::new();
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (_, Piece::Literal(text)) if text.is_empty() => {}
            (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
            (_, piece) => joined.push(piece),
        }
    }
    joined
}

/// One column into what is the same and what is not. `bare`: nothing stands around the values that
/// would make a constant a value.
fn split<'a>(values: &[&'a str], bare: bool, pieces: &mut Vec<Piece<'a>>) {
    let literal = |text: &str| Piece::Literal(text.to_owned());
    let Some(first) = values.first() else { return };
    let telling = shape::of_all(values).is_none_or(shape::is_telling);
    if telling && !first.is_empty() || values.iter().all(|it| it.is_empty()) {
        return pieces.push(Piece::Slot(values.to_vec()));
    }
    if bare && values.iter().all(|it| it == first) && first.bytes().all(|it| !it.is_ascii_digit()) {
        // A name in brackets is a value.
        if !first.contains(['"', '(', '[']) && *first != name::DEFAULT_MESH {
            return pieces.push(literal(first));
        }
    }
    for (open, close) in [("\"", "\""), ("[", "]"), ("(", ")")] {
        let inner: Option<Vec<&str>> =
            values.iter().map(|it| it.strip_prefix(open).and_then(|it| it.strip_suffix(close))).collect();
        if let Some(inner) = inner {
            pieces.push(literal(open));
            if !request_line(&inner, pieces) {
                match open {
                    "\"" => pieces.push(Piece::Slot(inner)),
                    _ => split(&inner, false, pieces),
                }
            }
            return pieces.push(literal(close));
        }
    }
    let prefix = common_prefix(values);
    if prefix > 0 {
        pieces.push(literal(&first[..prefix]));
        let rest: Vec<&str> = values.iter().map(|it| &it[prefix..]).collect();
        return split(&rest, false, pieces);
    }
    let suffix = common_suffix(values);
    if suffix > 0 {
        let rest: Vec<&str> = values.iter().map(|it| &it[..it.len() - suffix]).collect();
        split(&rest, false, pieces);
        return pieces.push(literal(&first[first.len() - suffix..]));
    }
    if !at_brackets(values, pieces) {
        pieces.push(Piece::Slot(values.to_vec()));
    }
}

/// `GET /path HTTP/1.1`.
fn request_line<'a>(values: &[&'a str], pieces: &mut Vec<Piece<'a>>) -> bool {
    let parts: Vec<Vec<&str>> = values.iter().map(|it| it.split(' ').collect()).collect();
    let three = parts.iter().filter(|it| it.len() == 3).count();
    let column = |index: usize| parts.iter().filter(|it| it.len() == 3).map(|it| it[index]).collect::<Vec<_>>();
    let is_request = three > 0
        && three >= values.len() - values.len() / 20
        && matches!(shape::of_all(&column(2)), None | Some(Shape::Protocol))
        && matches!(shape::of_all(&column(0)), None | Some(Shape::Method));
    if is_request {
        for index in 0..3 {
            if index > 0 {
                pieces.push(Piece::Literal(" ".to_owned()));
            }
            pieces.push(Piece::Slot(column(index)));
        }
    }
    is_request
}

/// Length of `name=` or `name:` that all values begin with.
fn common_prefix(values: &[&str]) -> usize {
    let Some(first) = values.first() else { return 0 };
    let same =
        values.iter().map(|it| first.bytes().zip(it.bytes()).take_while(|(a, b)| a == b).count()).min().unwrap_or(0);
    let name = first.bytes().take_while(|it| it.is_ascii_alphanumeric() || b"_-.".contains(it)).count();
    match first.as_bytes().get(name) {
        Some(b'=' | b':') if name < same => name + 1,
        _ => 0,
    }
}

/// Length of the unit and the punctuation that all values end with.
fn common_suffix(values: &[&str]) -> usize {
    let Some(first) = values.first() else { return 0 };
    let ending = |it: &str, with: fn(u8) -> bool| it.bytes().rev().take_while(|byte| with(*byte)).count();
    let all_end = |length: usize| length > 0 && values.iter().all(|it| it.ends_with(&first[first.len() - length..]));
    let unit = ending(first, |it| it.is_ascii_alphabetic() || b",;%".contains(&it));
    let is_number = |it: &&str| it[..it.len() - unit].parse::<f64>().is_ok();
    if all_end(unit) && values.iter().all(is_number) {
        return unit;
    }
    let punctuation = ending(first, |it| b",;".contains(&it));
    if all_end(punctuation) { punctuation } else { 0 }
}

const BRACKETS: [char; 8] = ['(', ')', '[', ']', '{', '}', '<', '>'];

/// Splits where all values have the same brackets in the same order: `10.0.0.1(web)->…`.
fn at_brackets<'a>(values: &[&'a str], pieces: &mut Vec<Piece<'a>>) -> bool {
    let parts: Vec<Vec<&'a str>> = values.iter().map(|it| tokens(it)).collect();
    let Some(first) = parts.first() else { return false };
    let separators = |parts: &[&'a str]| parts.iter().skip(1).step_by(2).copied().collect::<Vec<_>>();
    if first.len() < 3 || parts.iter().any(|it| it.len() != first.len() || separators(it) != separators(first)) {
        return false;
    }
    for (index, part) in first.iter().enumerate() {
        match index % 2 {
            1 => pieces.push(Piece::Literal((*part).to_owned())),
            _ if parts.iter().all(|it| it[index].is_empty()) => {}
            _ => pieces.push(Piece::Slot(parts.iter().map(|it| it[index]).collect())),
        }
    }
    true
}

/// Text and brackets in turn; arrows belong to the brackets in front of them.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let next = |rest: &str| rest.find(BRACKETS).into_iter().chain(rest.find("->")).min().unwrap_or(rest.len());
        let (before, behind) = rest.split_at(next(rest));
        let brackets = behind.len() - behind.trim_start_matches(BRACKETS).len();
        let arrow = if behind[brackets..].starts_with("->") { 2 } else { 0 };
        let (separator, behind) = behind.split_at(brackets + arrow);
        tokens.push(before);
        if !separator.is_empty() {
            tokens.push(separator);
        }
        rest = behind;
    }
    tokens
}
