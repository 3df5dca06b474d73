//! What a lane knows of the entries that its sink has not settled.

use std::collections::VecDeque;

use super::super::Seq;

#[derive(Debug)]
pub(super) struct State {
    /// The first entry that is not settled; `steps` begins there.
    pub(super) base: Seq,
    pub(super) steps: VecDeque<Step>,
    /// From here on entries are read from the journal; `None` while it keeps up.
    pub(super) behind: Option<Seq>,
    /// One past the last entry that was left to the journal.
    pub(super) left_to: Seq,
    /// How many of the steps have a rest.
    pub(super) rests: usize,
    /// It was behind for longer than its `wait_max`, with the journal full.
    pub(super) passed_over: bool,
    /// Ranges that have expired and are not counted yet.
    pub(super) expiring: u32,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Somebody has decided about it.
    pub(super) begun: bool,
    /// Tickets in the hands of inbox, sink and whoever decodes.
    pub(super) tickets: u32,
    /// To be read from the journal.
    pub(super) rest: Option<Rest>,
    /// A sink ended without settling it: for the next start of the process.
    pub(super) kept: bool,
}

/// What of an entry has to be read from the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Records at its beginning that were offered already.
    pub done: u64,
    /// All its records.
    pub records: u64,
}

impl Step {
    fn is_settled(&self) -> bool {
        self.begun && self.tickets == 0 && self.rest.is_none() && !self.kept
    }
}

impl State {
    /// The step of an entry; `None` when it has been passed.
    pub(super) fn step(&mut self, seq: Seq) -> Option<&mut Step> {
        let at = usize::try_from(seq.checked_sub(self.base)?).ok()?;
        if at >= self.steps.len() {
            self.steps.resize(at + 1, Step::default());
        }
        self.steps.get_mut(at)
    }

    /// Moves the base over what is settled.
    pub(super) fn pass_settled(&mut self) -> Seq {
        while self.steps.front().is_some_and(Step::is_settled) {
            self.steps.pop_front();
            self.base += 1;
        }
        self.base
    }

    /// The first entry to be read from the journal.
    pub(super) fn next(&self) -> Option<Seq> {
        let behind = self.behind?;
        if self.rests == 0 {
            return Some(behind);
        }
        let set_aside = self.steps.iter().position(|step| step.rest.is_some());
        Some(set_aside.map_or(behind, |at| self.base + at as u64))
    }

    /// Sets an entry aside, to be read from the journal, or not any more; returns what was there.
    pub(super) fn set_aside(&mut self, seq: Seq, rest: Option<Rest>) -> Option<Rest> {
        let before = std::mem::replace(&mut self.step(seq)?.rest, rest);
        self.rests = self.rests + usize::from(rest.is_some()) - usize::from(before.is_some());
        before
    }
}
