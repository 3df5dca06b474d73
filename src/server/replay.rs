//! What a journal holds, once more, to some sinks: no sources, no cursors.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use super::journal::make_intake;
use super::sinks::SinkUnit;
use super::sources::{Sinks, Wiring};
use crate::config::Checked;
use crate::inbox::Tally;
use crate::intake::Intake;
use crate::journal::Entry;

/// Some sinks of a configuration at work, fed by hand.
#[derive(Debug)]
pub struct Replay {
    checked: Checked,
    wiring: Wiring,
    sinks: Sinks,
}

impl Replay {
    /// Opens the sinks with these names. They wait for room without end: nobody is held up by it. To be
    /// called within a tokio runtime.
    pub fn open(checked: Checked, names: &[String]) -> anyhow::Result<Replay> {
        let checked = checked.with_patience();
        let mut sinks = names
            .iter()
            .map(|name| Ok((name.clone(), SinkUnit::open(name, &checked)?)))
            .collect::<anyhow::Result<Sinks>>()?;
        sinks.values_mut().for_each(SinkUnit::start);
        let wiring = Wiring::new(checked.config(), None, None);
        Ok(Replay { checked, wiring, sinks })
    }

    /// Feeds them until there are no more entries and everything is delivered. Dropped before that,
    /// [`Replay::end`] says what was not.
    pub async fn feed(&self, mut entries: Receiver<Entry>) -> anyhow::Result<()> {
        let mut intakes: BTreeMap<(Arc<str>, String), Arc<Intake>> = BTreeMap::new();
        while let Some(entry) = entries.recv().await {
            for (name, sink) in self.sinks.iter().filter(|(_, sink)| sink.config().takes_from(&entry.source)) {
                let key = (Arc::clone(&entry.source), name.clone());
                let intake = match intakes.get(&key) {
                    Some(intake) => Arc::clone(intake),
                    None => {
                        let make = make_intake(self.checked.config(), &self.wiring, sink.outlet());
                        let intake = make(&entry.source, entry.kind)?;
                        intakes.insert(key, Arc::clone(&intake));
                        intake
                    }
                };
                intake.replayed(entry.clone()).await;
            }
        }
        for sink in self.sinks.values() {
            sink.inbox().empty().await;
        }
        Ok(())
    }

    /// Ends the sinks, and says what each has counted.
    pub async fn end(self) -> BTreeMap<String, Tally> {
        let until = Instant::now() + self.checked.config().shutdown.grace.0;
        let mut tallies = BTreeMap::new();
        for (name, sink) in self.sinks {
            let inbox = Arc::clone(sink.inbox());
            sink.stop(until);
            sink.ended(until).await;
            tallies.insert(name, inbox.tally());
        }
        tallies
    }
}
