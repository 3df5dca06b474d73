//! From a format string to a format.

use super::class::Class;
use super::literal::Literal;
use super::matcher::{Element, Matcher};
use super::operators::{Operator, Params, Shape, operator, unknown};
use super::parse::{Part, parse};
use super::time::TimeForm;
use super::values::{Move, Reads};
use super::{Format, FormatError, Slot, is_time};
use crate::semantics::{Field, Target};

/// Most operators of a format: an access log has tens.
const SLOTS_MAX: usize = 512;

pub(super) fn compile(text: &str, trace_id: bool) -> Result<Format, FormatError> {
    let mut lead = String::new();
    let (mut slots, mut literals, mut classes, mut reads) = (Vec::new(), Vec::<String>::new(), Vec::new(), Vec::new());
    let mut warnings = Vec::new();
    for part in parse(text.trim_end_matches('\n'))? {
        match part {
            Part::Literal(literal) => literals.last_mut().unwrap_or(&mut lead).push_str(&literal),
            Part::Operator { at, name, params, max } => {
                let known = operator(&name, params.as_deref());
                if known.is_none() {
                    warnings.push(FormatError {
                        at: at.clone(),
                        message: format!(
                            "%{name}% is no operator of Envoy 1.40 or Kuma 2.14: its values are read as text"
                        ),
                        help: "look for a misspelling; Envoy refuses operators it does not know".to_owned(),
                    });
                }
                let known = known.unwrap_or_else(|| unknown(&name, params.as_deref()));
                let slot = Slot { at, operator: name, params, max, target: known.target.clone() };
                check(&slot, &known)?;
                let (class, read) = class(&slot, known.shape, trace_id);
                classes.push(class);
                reads.push(read);
                slots.push(slot);
                literals.push(String::new());
            }
        }
    }
    if slots.len() > SLOTS_MAX {
        return Err(FormatError {
            at: 0..text.len(),
            message: format!("{} operators are too many", slots.len()),
            help: format!("write at most {SLOTS_MAX}"),
        });
    }
    if let Some(at) = text.trim_end_matches('\n').find('\n') {
        warnings.push(FormatError {
            at: at..at + 1,
            message: "a line feed inside of the format: what Envoy sends are several lines, which do not fit it"
                .to_owned(),
            help: "remove it, or use a JSON format".to_owned(),
        });
    }
    let reads = finest_time_counts(&slots, &classes, &reads);
    let moves = slots.iter().zip(reads).map(|(slot, reads)| Move::new(slot, reads));
    let elements = classes.into_iter().zip(&literals).zip(moves);
    let elements = elements.map(|((class, literal), to)| Element { class, after: Literal::new(literal), to });
    let matcher = Matcher::new(&lead, elements.collect());
    Ok(Format { text: text.to_owned(), lead, slots, literals, matcher, warnings })
}

/// Where a format says the same time several times, the finest counts: seconds do not overwrite
/// microseconds. The others are not read.
fn finest_time_counts(slots: &[Slot], classes: &[Class], reads: &[Reads]) -> Vec<Option<Reads>> {
    let precision = |index: usize| match &classes[index] {
        Class::Time(form) => form.precision(),
        _ => None,
    };
    let counts = |index: usize| {
        let same = |other: &usize| *other != index && slots[*other].target == slots[index].target;
        let finer =
            |other: usize| precision(other) > precision(index) || precision(other) == precision(index) && other < index;
        !is_time(&slots[index].target) || !(0..slots.len()).filter(same).any(finer)
    };
    reads.iter().enumerate().map(|(index, read)| counts(index).then_some(*read)).collect()
}

/// What Envoy refuses.
fn check(slot: &Slot, known: &Operator) -> Result<(), FormatError> {
    let name = &slot.operator;
    let error = |message: String, help: &str| FormatError { at: slot.at.clone(), message, help: help.to_owned() };
    match (&slot.params, known.params) {
        (Some(given), Params::None) if !given.is_empty() => {
            return Err(error(format!("%{name}% takes nothing in parentheses"), "remove them"));
        }
        // Empty parentheses are none to Envoy.
        (Some(given), Params::Required) if given.is_empty() => {
            return Err(error(format!("%{name}()% needs something in the parentheses"), "write it there"));
        }
        (None, Params::Required) => {
            return Err(error(format!("%{name}% needs something in parentheses"), "write %NAME(…)%"));
        }
        _ => {}
    }
    if slot.max.is_some() && !known.max {
        return Err(error(format!("%{name}% takes no length"), "remove the colon and the number"));
    }
    let header = matches!(
        name.as_str(),
        "REQ" | "REQUEST_HEADER" | "REQ_WITHOUT_QUERY" | "RESP" | "RESPONSE_HEADER" | "TRAILER" | "RESPONSE_TRAILER"
    );
    let params = slot.params.as_deref().unwrap_or_default();
    if header && params.matches('?').count() > 1 {
        return Err(error(format!("%{name}({params})% has more than one alternative"), "write at most one `?`"));
    }
    Ok(())
}

fn class(slot: &Slot, shape: Shape, trace_id: bool) -> (Class, Reads) {
    if trace_id && slot.target == Target::Field(Field::TraceHeader) {
        return (Class::TraceId, Reads::Text);
    }
    if let Some(form) = time_form(slot) {
        return (Class::Time(form), Reads::Time);
    }
    let read = match shape {
        Shape::Int => Reads::Int,
        Shape::Flags => Reads::Flags,
        Shape::Time | Shape::Name | Shape::Token | Shape::Word | Shape::Text => Reads::Text,
    };
    (Class::new(shape, slot.max), read)
}

/// The form of a slot that is a time.
pub(super) fn time_form(slot: &Slot) -> Option<TimeForm> {
    let local = slot.operator.ends_with("_LOCAL");
    is_time(&slot.target).then(|| TimeForm::compile(local, slot.params.as_deref()))?
}
