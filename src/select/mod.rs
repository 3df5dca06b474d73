//! Which records a sink takes: `when`, a condition in CEL, and `sample`, every Nth of the rest.
//!
//! A condition is parsed by the crate `cel`. Its boolean structure and the comparisons that most
//! conditions are made of are compiled into a tree that is evaluated without allocating; a part
//! that is anything else is left to the crate's interpreter. `docs/select.md` says what a condition
//! means, and the same holds either way. Knows no sockets, files, clocks or tasks.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::record::RecordRef;

mod check;
mod compare;
mod compile;
mod field;
mod interpret;
mod parse;
mod sample;
#[cfg(test)]
mod tests;

pub use sample::Sample;

/// Longest condition in bytes.
pub const CONDITION_BYTES_MAX: usize = 4096;

/// A compiled condition.
#[derive(Clone, Debug)]
pub struct Condition {
    text: String,
    node: compile::Node,
}

/// Why a text is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {at}: {message}")]
pub struct ConditionError {
    /// The character at fault, counted from 1.
    pub at: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

/// What a condition says about a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Yes,
    /// It does not hold.
    No,
    /// It could not be evaluated, such as text compared by size with a number: counts as no.
    Failed,
}

impl Verdict {
    fn of(holds: bool) -> Verdict {
        if holds { Verdict::Yes } else { Verdict::No }
    }
}

impl Condition {
    /// Compiles a condition.
    ///
    /// # Errors
    /// When it is longer than [`CONDITION_BYTES_MAX`], nested too deep, not CEL, uses names or
    /// functions that do not exist, or can be seen not to be true or false.
    pub fn compile(text: &str) -> Result<Condition, ConditionError> {
        Condition::compile_as(text, compile::Leaves::Compiled)
    }

    fn compile_as(text: &str, leaves: compile::Leaves) -> Result<Condition, ConditionError> {
        let parsed = parse::parse(text)?;
        check::check(&parsed)?;
        Ok(Condition { text: text.to_owned(), node: compile::compile(&parsed, leaves)? })
    }

    /// The condition as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when it holds for the record.
    #[must_use]
    pub fn matches(&self, record: &RecordRef<'_>) -> bool {
        self.verdict(record) == Verdict::Yes
    }

    /// What it says about the record.
    #[must_use]
    pub fn verdict(&self, record: &RecordRef<'_>) -> Verdict {
        self.node.verdict(record)
    }
}

/// What one sink takes of the records of its sources. Shared by all that feed the sink.
#[derive(Debug)]
pub struct Selection {
    condition: Option<Condition>,
    sample: Option<Sample>,
    /// Records that passed the condition since the last one that was taken.
    passed: AtomicU64,
}

impl Selection {
    /// `None` when everything is taken.
    #[must_use]
    pub fn new(condition: Option<Condition>, sample: Option<Sample>) -> Option<Selection> {
        let sample = sample.filter(|sample| sample.every() > 1);
        (condition.is_some() || sample.is_some()).then(|| Selection { condition, sample, passed: AtomicU64::new(0) })
    }

    /// True when both always take the same records. Samples never do: each counts for itself.
    #[must_use]
    pub fn takes_as(&self, other: &Selection) -> bool {
        let text = |it: &Selection| it.condition.as_ref().map(|condition| condition.text.clone());
        self.sample.is_none() && other.sample.is_none() && text(self) == text(other)
    }

    /// Begins a run of records. It borrows the count of what has passed so far and gives it back
    /// at its end; of runs at the same time one has it, so no record counts twice and the share is
    /// exact.
    #[must_use]
    pub fn run(&self) -> Run<'_> {
        let passed = if self.sample.is_some() { self.passed.swap(0, Ordering::Relaxed) } else { 0 };
        Run { selection: self, passed, filtered: 0, failed: 0 }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self.condition.as_ref().map(Condition::text), self.sample).fmt(f)
    }
}

/// `when status >= 500, 1/20`; empty when there is neither.
#[must_use]
pub fn describe(when: Option<&str>, sample: Option<Sample>) -> String {
    let when = when.map(|it| format!("when {}", it.split_whitespace().collect::<Vec<_>>().join(" ")));
    let parts: Vec<String> = when.into_iter().chain(sample.map(|it| it.to_string())).collect();
    parts.join(", ")
}

/// Some records, one after the other.
#[derive(Debug)]
pub struct Run<'a> {
    selection: &'a Selection,
    passed: u64,
    filtered: u64,
    failed: u64,
}

/// What a run left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Records that were not taken.
    pub filtered: u64,
    /// Of these, records for which the condition could not be evaluated.
    pub failed: u64,
}

impl Run<'_> {
    /// True when the record is taken.
    pub fn takes(&mut self, record: &RecordRef<'_>) -> bool {
        let verdict = self.selection.condition.as_ref().map_or(Verdict::Yes, |condition| condition.verdict(record));
        let taken = verdict == Verdict::Yes && self.is_nth();
        self.filtered += u64::from(!taken);
        self.failed += u64::from(verdict == Verdict::Failed);
        taken
    }

    fn is_nth(&mut self) -> bool {
        let Some(sample) = self.selection.sample else { return true };
        self.passed += 1;
        let taken = self.passed >= sample.every();
        if taken {
            self.passed -= sample.every();
        }
        taken
    }

    /// What was left out since the last time it was asked.
    pub fn left_out(&mut self) -> LeftOut {
        LeftOut { filtered: std::mem::take(&mut self.filtered), failed: std::mem::take(&mut self.failed) }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.passed > 0 {
            self.selection.passed.fetch_add(self.passed, Ordering::Relaxed);
        }
    }
}
