//! What flows through a running process, for whoever looks: the traffic of the last minutes, and
//! records as they pass.
//!
//! The intake shows what it decodes anyway. Of the traffic some five thousand records a second are
//! looked at, each for those that were not; whoever watches records gets as many as there is room
//! for. Neither is ever waited for, and nobody sees what the redactor has taken out.

use std::sync::Arc;

use crate::record::RecordRef;

mod cell;
mod edges;
mod histogram;
mod report;
mod ring;
mod sampler;
mod seldom;
mod sighting;
pub mod tap;
mod traffic;

pub use edges::EDGES_MAX;
pub use report::{EdgeReport, TrafficReport, TrafficSince};
pub use sampler::LOOKS_PER_SECOND;
pub use sighting::Protocol;
use tap::TapRun;
pub use tap::{Subscription, Tap, Wish};
use traffic::Glimpses;
pub use traffic::{BYTES_MAX as TRAFFIC_BYTES_MAX, Traffic};

/// What one process shows of what it does.
#[derive(Debug)]
pub struct Monitor {
    traffic: Option<Traffic>,
    tap: Arc<Tap>,
}

impl Monitor {
    /// Nobody looks yet. Without `traffic` only records can be watched.
    #[must_use]
    pub fn new(traffic: bool) -> Arc<Monitor> {
        Arc::new(Monitor { traffic: traffic.then(Traffic::default), tap: Arc::default() })
    }

    /// The traffic; `None` when none is gathered.
    #[must_use]
    pub fn traffic(&self) -> Option<&Traffic> {
        self.traffic.as_ref()
    }

    /// All who watch records.
    #[must_use]
    pub fn tap(&self) -> &Arc<Tap> {
        &self.tap
    }

    /// Begins a payload of so many records that `source` received at `unix_nano`. `sees` says of a sink
    /// whether it gets anything of it, and whether that is all of it.
    #[must_use]
    pub fn watch(&self, source: &str, records: u64, unix_nano: u64, sees: impl Fn(&str) -> Option<bool>) -> Watch<'_> {
        Watch {
            glimpses: self.traffic.as_ref().map(|traffic| traffic.begin(records, unix_nano)),
            taps: if self.tap.is_open() { self.tap.runs(source, false, sees) } else { Vec::new() },
            tap: Some(&self.tap),
        }
    }

    /// The same for a payload that comes again, for one sink: only who watches that sink sees it.
    #[must_use]
    pub fn watch_again(&self, source: &str, sees: impl Fn(&str) -> Option<bool>) -> Watch<'_> {
        let taps = if self.tap.is_open() { self.tap.runs(source, true, sees) } else { Vec::new() };
        Watch { glimpses: None, taps, tap: Some(&self.tap) }
    }
}

/// What is looked at of one payload. Dropped, it hands on what it has.
#[derive(Debug, Default)]
pub struct Watch<'a> {
    glimpses: Option<Glimpses<'a>>,
    taps: Vec<TapRun>,
    tap: Option<&'a Tap>,
}

impl Watch<'_> {
    /// The next record; `taken` says of a sink whether it has taken it.
    #[inline]
    pub fn record(&mut self, record: &RecordRef<'_>, taken: impl Fn(&str) -> bool) {
        if let Some(glimpses) = &mut self.glimpses {
            glimpses.record(record);
        }
        for tap in &mut self.taps {
            tap.record(record, &taken);
        }
    }

    /// Hands on what was seen so far, between two parts of a payload.
    pub fn hand_on(&mut self) {
        if let Some(glimpses) = &mut self.glimpses {
            glimpses.take_in();
        }
        self.taps.iter_mut().for_each(TapRun::hand_on);
    }

    /// Where records are decoded for nobody else: what is to be decoded of `records`. Nothing, mostly.
    #[must_use]
    pub fn plan(&mut self, records: u64) -> Plan {
        self.taps.retain(TapRun::takes_all);
        let shown = match self.tap.filter(|_| !self.taps.is_empty()) {
            Some(tap) => tap.decodable(records),
            None => 0,
        };
        self.taps.iter_mut().for_each(|tap| tap.pass(records - shown));
        Plan { looks: self.glimpses.as_ref().map_or(0, Glimpses::coming), shown }
    }

    /// Carries out the first part of a plan: whoever is given the records shows each of them.
    pub fn looks(&mut self, count: u64) -> impl FnMut(&RecordRef<'_>) {
        let mut weights = self.glimpses.as_mut().map(|it| it.spread(count));
        let glimpses = &mut self.glimpses;
        move |record| {
            if let (Some(glimpses), Some(weight)) = (glimpses.as_mut(), weights.as_mut().and_then(Iterator::next)) {
                glimpses.look(record, weight);
            }
        }
    }

    /// A record that is shown only to those who watch.
    pub fn show(&mut self, record: &RecordRef<'_>) {
        self.taps.iter_mut().for_each(|tap| tap.record(record, |_| true));
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.taps.iter_mut().for_each(TapRun::hand_on);
    }
}

/// What is decoded of a payload for nobody but those who look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Records that the traffic looks at, spread over the payload.
    pub looks: u64,
    /// Records from the first on that are shown to those who watch.
    pub shown: u64,
}
