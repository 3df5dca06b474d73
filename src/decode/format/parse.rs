//! A format string into literals and operators, by Envoy's grammar.
//!
//! `%NAME%`, `%NAME(params)%`, `%NAME(params):Z%`, and `%%` for a percent sign; parameters hold no
//! closing parenthesis. Source: envoy `substitution_formatter.rst` and
//! `substitution_format_utility.cc`, tried against Envoy 1.40.

use std::ops::Range;

use super::FormatError;

/// A literal or an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Text as it stands in the line, `%%` resolved.
    Literal(String),
    /// A command operator.
    Operator {
        /// Its bytes in the format string.
        at: Range<usize>,
        /// Its name.
        name: String,
        /// What stands in its parentheses.
        params: Option<String>,
        /// `:Z`.
        max: Option<usize>,
    },
}

/// Splits a format string.
pub(super) fn parse(text: &str) -> Result<Vec<Part>, FormatError> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find('%') {
        let start = rest + found;
        literal.push_str(&text[rest..start]);
        if text[start..].starts_with("%%") {
            literal.push('%');
            rest = start + 2;
            continue;
        }
        let (operator, end) = operator(text, start)?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(operator);
        rest = end;
    }
    literal.push_str(&text[rest..]);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

/// The operator that begins at `start`, and where it ends.
fn operator(text: &str, start: usize) -> Result<(Part, usize), FormatError> {
    let inside = &text[start + 1..];
    let name_len = inside.bytes().take_while(|it| matches!(it, b'A'..=b'Z' | b'0'..=b'9' | b'_')).count();
    let name = &inside[..name_len];
    if name.is_empty() {
        return Err(FormatError {
            at: start..start + 1,
            message: "a percent sign that begins no operator".to_owned(),
            help: "write %% for a percent sign, or %NAME% with a name in capitals".to_owned(),
        });
    }
    let mut end = start + 1 + name_len;
    let mut params = None;
    if text[end..].starts_with('(') {
        let Some(len) = text[end..].find(')') else {
            return Err(FormatError {
                at: start..text.len(),
                message: format!("the parenthesis of %{name}(…)% is not closed"),
                help: "close it, and end the operator with a percent sign".to_owned(),
            });
        };
        params = Some(text[end + 1..end + len].to_owned());
        end += len + 1;
    }
    let mut max = None;
    if text[end..].starts_with(':') {
        let digits = text[end + 1..].bytes().take_while(u8::is_ascii_digit).count();
        max = text[end + 1..end + 1 + digits].parse().ok();
        end += 1 + digits;
        if max.is_none() {
            return Err(FormatError {
                at: start..end,
                message: format!("%{name}…:% has no length behind the colon"),
                help: "write the longest length in bytes, such as :20".to_owned(),
            });
        }
    }
    if !text[end..].starts_with('%') {
        return Err(FormatError {
            at: start..end,
            message: format!("the operator %{name} does not end in a percent sign"),
            help: "write %NAME%, %NAME(params)% or %NAME(params):LENGTH%; and %% for a percent sign".to_owned(),
        });
    }
    let operator = Part::Operator { at: start..end + 1, name: name.to_owned(), params, max };
    Ok((operator, end + 1))
}
