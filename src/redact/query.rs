//! Values of query parameters.

use std::ops::Range;

use super::text::{Edits, View};

/// Names of parameters, in lower case.
#[derive(Clone, Debug)]
pub struct Names {
    names: Vec<Vec<u8>>,
    longest: usize,
}

impl Names {
    pub fn new(names: &[String]) -> Names {
        let names: Vec<Vec<u8>> = names.iter().map(|it| it.to_ascii_lowercase().into_bytes()).collect();
        Names { longest: names.iter().map(Vec::len).max().unwrap_or(0), names }
    }

    /// Redacts the values of all parameters with these names: behind `?` and `&`, and for a query
    /// at its beginning; the value of the latter is returned. Empty values stay.
    pub fn find(&self, view: &View<'_>, is_query: bool, edits: &mut Edits) -> Option<Range<usize>> {
        if self.names.is_empty() {
            return None;
        }
        let text = view.text();
        // What is in a value that is taken out is not looked at again: `?a=?a=?a=` takes linear time.
        let mut taken_until = 0;
        let mut redact = |from: usize| {
            if from < taken_until {
                return None;
            }
            let value = self.value(text, from).filter(|value| !value.is_empty())?;
            taken_until = value.end;
            edits.redact(value.clone());
            Some(value)
        };
        let first = if is_query { redact(0) } else { None };
        for at in memchr::memchr2_iter(b'?', b'&', text) {
            redact(at + 1);
        }
        first
    }

    /// The value of the parameter that begins there, if it is one of these.
    fn value(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let mut name = Vec::new();
        let mut at = from;
        loop {
            match text.get(at)? {
                b'=' => break,
                b'&' | b'?' => return None,
                byte if ends(*byte) => return None,
                b'%' => {
                    let hex = text.get(at + 1..at + 3)?;
                    let decoded = u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()?;
                    name.push(decoded.to_ascii_lowercase());
                    at += 3;
                }
                byte => {
                    name.push(byte.to_ascii_lowercase());
                    at += 1;
                }
            }
            if name.len() > self.longest {
                return None;
            }
        }
        if !self.names.contains(&name) {
            return None;
        }
        let start = at + 1;
        let rest = text.get(start..)?;
        let len = rest.iter().position(|byte| *byte == b'&' || ends(*byte)).unwrap_or(rest.len());
        Some(start..start + len)
    }
}

/// True for what ends a query.
fn ends(byte: u8) -> bool {
    matches!(byte, b'"' | b'#' | 0..=b' ')
}
