//! A format out of samples.
//!
//! Lines of one format have the same separators in the same order. So lines are cut into fields,
//! those with the same arrangement are put together (`columns`), and each column is named by the
//! shape of its values and the words beside it (`name`). Knows no sockets, files, clocks or tasks.

mod columns;
mod name;
mod shape;
mod survey;

pub use survey::{Share, Survey, survey, take};

use columns::Piece;

/// Lines of one arrangement that are looked at closely.
const SAMPLES_MAX: usize = 2_000;
/// Formats proposed for one stream; Kuma alone writes two.
const PROPOSALS_MAX: usize = 4;
/// An arrangement is a format when so many lines in a hundred have it: what is rarer is damaged.
const PERCENT_MIN: usize = 2;

/// Values of a format that are named without a doubt, or have a key in front of them in all lines.
const CERTAIN_MIN: usize = 2;

/// A format that lines seem to be written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// As Envoy reads it.
    pub format: String,
    /// Its operators, in order.
    pub slots: Vec<Named>,
    /// Words that are the same in all lines and stand in the format as they are.
    pub constants: Vec<String>,
    /// A line it was made from.
    pub example: String,
}

/// An operator of a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// As it stands in the format, percent signs included.
    pub operator: String,
    /// Why, when the values alone do not say it.
    pub doubt: Option<&'static str>,
    /// One of the values, one that is not absent if there is any.
    pub example: String,
}

/// Proposes formats for lines of text, the most frequent first; none for lines that have nothing
/// in common. Time is linear in the length of the lines.
#[must_use]
pub fn propose(lines: &[&str]) -> Vec<Proposal> {
    let mut groups = columns::groups(lines);
    groups.retain(|group| group.len() >= 2 && group.len() * 100 >= lines.len() * PERCENT_MIN);
    groups.truncate(PROPOSALS_MAX);
    let mut proposals: Vec<Proposal> = Vec::new();
    for mut group in groups {
        group.truncate(SAMPLES_MAX);
        let proposal = proposal(&columns::pieces(&group), group.first().map_or("", |(line, _)| line));
        // Nearly anything fits a format of unknown values.
        let certain = proposal.slots.iter().filter(|slot| slot.doubt.is_none()).count();
        let keyed = proposal.format.matches("=%REQ(X-FIELD-").count();
        if certain + keyed >= CERTAIN_MIN && !proposals.iter().any(|it| it.format == proposal.format) {
            proposals.push(proposal);
        }
    }
    proposals
}

fn proposal(pieces: &[Piece<'_>], example: &str) -> Proposal {
    let names = name::all(pieces);
    let mut names = names.into_iter();
    let mut format = String::new();
    let mut slots = Vec::new();
    let mut constants = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => {
                format.push_str(&text.replace('%', "%%"));
                constants.extend(
                    text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty()).map(str::to_owned),
                );
            }
            Piece::Slot(values) => {
                let Some((operator, doubt)) = names.next() else { continue };
                format.push_str(&operator);
                let example = values.iter().find(|it| !shape::is_absent(it)).or(values.first()).map_or("", |it| it);
                slots.push(Named { operator, doubt, example: example.to_owned() });
            }
        }
    }
    Proposal { format, slots, constants, example: example.to_owned() }
}

#[cfg(test)]
mod tests;
