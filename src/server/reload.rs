//! Another configuration takes the place of the one that runs, without closing what both have.
//!
//! Everything that can be refused is done first: reading, checking, binding, opening. Then sources
//! are wired to the new sinks; what they are in the middle of still goes to the old ones, which
//! end when nothing is under way to them any more.
//!
//! A sink that writes where another one of before still writes has to wait for it. Sources are
//! held for that time, so that nothing is lost and no order turned, and what they do not read
//! waits in the sockets. If the new sink then cannot be opened, the old one is opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::time::Instant;

use super::change::Change;
use super::journal::CatchUps;
use super::sinks::SinkUnit;
use super::sources::{Replaced, Sinks, SourceUnit, Wiring};
use super::{Load, SOURCES_SHARE, Server, owner_of_source};
use crate::config::Checked;
use crate::source::Place;
use crate::source::accept::Listeners;
use crate::source::listen::Listener;
use crate::telemetry::{SinkView, Telemetry};

/// Why there is no other configuration now.
enum Failure {
    /// It was refused, and that of before runs on.
    Refused(anyhow::Error),
    /// A sink is lost.
    Lost(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Refused(error)
    }
}

impl Server {
    /// Opens files anew, and puts into force what `load` reads. What is refused is logged and
    /// counted; an error is that a sink could not be opened again.
    pub(super) async fn reload_from(&mut self, load: Option<&Load>) -> anyhow::Result<()> {
        tracing::info!("reopening output files");
        self.sinks.values().for_each(SinkUnit::reopen);
        let Some(load) = load else { return Ok(()) };
        let done = match load() {
            Err(errors) => Err(Failure::Refused(anyhow!("{errors}"))),
            Ok(next) => {
                let warnings = next.warnings().to_vec();
                self.reload(next).await.map(|change| (change, warnings))
            }
        };
        match done {
            Ok((change, _)) if change.is_nothing() => tracing::info!("the configuration has not changed"),
            Ok((change, warnings)) => {
                self.telemetry.count_reload(true);
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                tell(&change);
                tracing::info!(bound = self.checked.memory_bound_line(), "memory");
            }
            Err(Failure::Refused(error)) => {
                self.telemetry.count_reload(false);
                tracing::error!("the new configuration is refused, that of before runs on: {error:#}");
            }
            Err(Failure::Lost(error)) => {
                self.telemetry.count_reload(false);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn reload(&mut self, next: Checked) -> Result<Change, Failure> {
        let next = next.beside(&self.checked).map_err(anyhow::Error::msg)?;
        let change = Change::between(&self.checked, &next);
        if change.is_nothing() {
            return Ok(change);
        }
        if self.wiring.lanes.is_some() && change.concerns_cursors().next().is_some() {
            return Err(Failure::Refused(anyhow!(needs_cursors(&change, &next))));
        }
        let listeners = self.bind(&change, &next)?;
        let new = change.sinks_added.union(&change.sinks_replaced);
        let mut sinks = open_all(new.filter(|name| !change.sinks_waiting.contains(*name)), &next)?;
        let mut retired = Retired::default();
        if !change.sinks_waiting.is_empty() {
            let opened = self.open_waiting(&change, &next, &mut retired).await;
            match opened {
                Ok(opened) => sinks.extend(opened),
                Err(failure) => {
                    self.retire(retired);
                    return Err(failure);
                }
            }
        }
        self.put_into_force(&change, next, listeners, sinks, &mut retired).map_err(Failure::Lost)?;
        if let Some(catch_ups) = self.catch_ups.take() {
            catch_ups.stop().await;
        }
        self.catch_ups = Some(CatchUps::start(self.checked.config(), &self.wiring, &self.sinks));
        self.retire(retired);
        Ok(change)
    }

    /// Binds what was not listened on before.
    fn bind(&mut self, change: &Change, next: &Checked) -> anyhow::Result<BTreeMap<String, Listeners>> {
        let mut bound = BTreeMap::new();
        for name in &change.sources_bound {
            let Some(source) = next.config().sources.get(name) else { continue };
            let stays = change.sources_changed.contains(name);
            let mut listeners = Listeners::new();
            for place in source.places() {
                let listener = match self.sources.get(name).filter(|_| stays).and_then(|it| listener_of(it, place)) {
                    Some(own) => own,
                    None => Arc::new(self.bind_one(name, place).with_context(|| format!("source {name}"))?),
                };
                listeners.insert(place.key, listener);
            }
            bound.insert(name.clone(), listeners);
        }
        Ok(bound)
    }

    /// A listener that another source has under this address, or this one under another key, is
    /// shared.
    fn bind_one(&mut self, name: &str, Place { key, address }: Place<'_>) -> anyhow::Result<Listener> {
        // Port 0 is another one each time.
        let is_same = |it: &Place<'_>| it.address == address && !address.ends_with(":0");
        let there = self.sources.values().find_map(|source| {
            let place = source.config().places().into_iter().find(is_same)?;
            listener_of(source, place)
        });
        match there {
            Some(listener) => listener.try_clone(),
            None => self.sockets.listen(&owner_of_source(name, key), address),
        }
    }

    /// Ends the sinks that stand in the way, and opens those that wait for them.
    async fn open_waiting(&mut self, change: &Change, next: &Checked, retired: &mut Retired) -> Result<Sinks, Failure> {
        let grace = self.checked.config().shutdown.grace.0;
        let now = Instant::now();
        retired.replaced.extend(self.sources.values().filter_map(SourceUnit::hold));
        for Replaced { gone, .. } in &retired.replaced {
            let _late = tokio::time::timeout_at(now + grace.mul_f32(SOURCES_SHARE), gone.cancelled()).await;
        }
        let place = |name: &String| next.config().sinks.get(name)?.kind.place();
        let places: BTreeSet<String> = change.sinks_waiting.iter().filter_map(place).collect();
        let mut ended = BTreeSet::new();
        for name in change.sinks_removed.union(&change.sinks_replaced) {
            let place = self.sinks.get(name).and_then(|sink| sink.config().kind.place());
            if !place.is_some_and(|it| places.contains(&it)) {
                continue;
            }
            if let Some(sink) = self.sinks.remove(name) {
                retired.views.push(Arc::clone(sink.view()));
                sink.stop(now + grace);
                sink.ended(now + grace).await;
                ended.insert(name.clone());
            }
        }
        let refused = match open_all(change.sinks_waiting.iter(), next) {
            Ok(sinks) => return Ok(sinks),
            Err(error) => error,
        };
        let mut lost = None;
        for name in ended {
            match SinkUnit::open(&name, &self.checked) {
                Ok(mut sink) => {
                    sink.start();
                    self.sinks.insert(name, sink);
                }
                Err(error) => lost = Some(error),
            }
        }
        // Whatever is left: what is held has to go somewhere.
        self.publish();
        self.rewire(retired).map_err(Failure::Lost)?;
        if let Some(error) = lost {
            let why = format!("a reload was refused ({refused:#}), and what ran before cannot be opened again");
            return Err(Failure::Lost(error.context(why)));
        }
        Err(Failure::Refused(refused))
    }

    /// Nothing is refused any more.
    fn put_into_force(
        &mut self,
        change: &Change,
        next: Checked,
        mut listeners: BTreeMap<String, Listeners>,
        mut sinks: Sinks,
        retired: &mut Retired,
    ) -> anyhow::Result<()> {
        let config = next.config();
        for name in change.sinks_removed.union(&change.sinks_replaced) {
            retired.sinks.extend(self.sinks.remove(name));
        }
        for name in &change.sinks_rewired {
            if let (Some(sink), Some(config)) = (self.sinks.get_mut(name), config.sinks.get(name)) {
                sink.rewire(config)?;
            }
        }
        sinks.values_mut().for_each(SinkUnit::start);
        self.sinks.append(&mut sinks);
        self.wiring = Wiring::new(config, self.wiring.lanes.take());
        let removed: Vec<SourceUnit> = change.sources_removed.iter().filter_map(|it| self.sources.remove(it)).collect();
        for name in &change.sources_changed {
            if let (Some(source), Some(config)) = (self.sources.get_mut(name), config.sources.get(name)) {
                source.configure(config, listeners.remove(name));
            }
        }
        let mut added = Vec::new();
        for name in &change.sources_added {
            if let (Some(listeners), Some(config)) = (listeners.remove(name), config.sources.get(name)) {
                let stats = self.telemetry.source(name, config.kind());
                added.push((name, SourceUnit::new(config, stats, listeners, &self.wiring, &self.sinks)?));
            }
        }
        self.rewire(retired)?;
        for mut source in removed {
            if !change.sinks_waiting.is_empty() {
                // It is held, and its connections have to end somewhere.
                retired.replaced.extend(source.rewire(&self.wiring, &self.sinks)?);
            }
            retired.replaced.extend(source.remove());
        }
        for (name, mut source) in added {
            self.running.spawn(source.run());
            self.sources.insert(name.clone(), source);
        }
        self.checked = next;
        self.publish();
        Ok(())
    }

    /// Wires all sources to the sinks of now.
    pub(super) fn rewire(&mut self, retired: &mut Retired) -> anyhow::Result<()> {
        for source in self.sources.values_mut() {
            retired.replaced.extend(source.rewire(&self.wiring, &self.sinks)?);
        }
        Ok(())
    }

    /// Lets what was replaced come to its end, in its own time.
    pub(super) fn retire(&mut self, retired: Retired) {
        let until = Instant::now() + self.checked.config().shutdown.grace.0;
        let views = self.sinks.values().map(|sink| Arc::clone(sink.view())).collect();
        self.ending.spawn(retired.end(until, views, Arc::clone(&self.telemetry)));
    }
}

/// What a reload has replaced.
#[derive(Debug, Default)]
pub(super) struct Retired {
    /// Ways that nothing new goes.
    replaced: Vec<Replaced>,
    /// Sinks that end once nothing is under way to them.
    sinks: Vec<SinkUnit>,
    /// Sinks that have ended.
    views: Vec<Arc<SinkView>>,
}

impl Retired {
    /// Sinks that have ended.
    pub(super) fn of(views: Vec<Arc<SinkView>>) -> Retired {
        Retired { views, ..Retired::default() }
    }

    /// Ends the sinks, by `until` at the latest; then nothing is left of it but what was counted.
    /// `views` are the sinks that stay.
    async fn end(mut self, until: Instant, views: Vec<Arc<SinkView>>, telemetry: Arc<Telemetry>) {
        for Replaced { gone, .. } in &self.replaced {
            let _late = tokio::time::timeout_at(until, gone.cancelled()).await;
        }
        self.views.extend(self.sinks.iter().map(|sink| Arc::clone(sink.view())));
        self.sinks.iter().for_each(|sink| sink.stop(until));
        for sink in self.sinks {
            sink.ended(until).await;
        }
        for Replaced { gone, inflow } in &self.replaced {
            gone.cancelled().await;
            views.iter().chain(&self.views).for_each(|view| view.inflows.end(inflow));
        }
        self.views.iter().for_each(|view| telemetry.sink_ended(view));
    }
}

/// What a source listens on at a place, if it is a place of its own.
fn listener_of(source: &SourceUnit, place: Place<'_>) -> Option<Arc<Listener>> {
    let has = source.config().places().contains(&place);
    source.listeners().get(place.key).filter(|_| has).cloned()
}

/// Opens the sinks with these names.
pub(super) fn open_all<'a>(names: impl Iterator<Item = &'a String>, checked: &Checked) -> anyhow::Result<Sinks> {
    names.map(|name| Ok((name.clone(), SinkUnit::open(name, checked)?))).collect()
}

/// Why a journal is in the way of a change.
fn needs_cursors(change: &Change, next: &Checked) -> String {
    let sinks = change.concerns_cursors().map(|(name, what)| {
        let place = next.sink_place(name).map(|place| format!(" ({place})")).unwrap_or_default();
        format!("sink {name}{place} {what}")
    });
    format!(
        "{}; with a journal that needs a restart, because each sink has its place in the journal: `logboom run --take-over` loses nothing",
        sinks.collect::<Vec<_>>().join(", ")
    )
}

/// Says what is different now.
fn tell(change: &Change) {
    let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    let parts = [
        ("sources added", &change.sources_added),
        ("sources changed", &change.sources_changed),
        ("sources removed", &change.sources_removed),
        ("sinks added", &change.sinks_added),
        ("sinks replaced", &change.sinks_replaced),
        ("sinks that take something else", &change.sinks_rewired),
        ("sinks removed", &change.sinks_removed),
    ];
    let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
    let mut said: Vec<String> = parts.map(|(what, names)| format!("{what}: {}", list(names))).collect();
    if change.rest {
        said.push("redact, memory or shutdown changed".to_owned());
    }
    if said.is_empty() {
        said.push("all that has changed needs a restart".to_owned());
    }
    tracing::info!("configuration reloaded; {}", said.join("; "));
    for key in &change.needs_restart {
        tracing::warn!(
            "`{key}` in the configuration is not what runs: it needs a restart, and stays as it is until then"
        );
    }
}
