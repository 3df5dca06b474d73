//! A source as the server holds it: bound, then at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::SOURCES_SHARE;
use super::sinks::SinkUnit;
use crate::budget::{Budget, Shares};
use crate::config::Config;
use crate::encode::Encoding;
use crate::intake::Intake;
use crate::journal::lanes::Lanes;
use crate::memory;
use crate::redact::Redactor;
use crate::source::accept::{Acceptor, Listeners};
use crate::source::lines::{Connection, LinesSource, LinesStage, Parked, Unfinished};
use crate::source::live::Gone;
use crate::source::logs_service::OtlpStage;
use crate::source::otlp::OtlpSource;
use crate::source::sockets::SYSTEMD;
use crate::source::stop::Stop;
use crate::source::stream::Stream;
use crate::source::{self, Place, SourceConfig};
use crate::telemetry::{Inflow, SourceStats};

/// What all sources share.
#[derive(Debug)]
pub struct Wiring {
    /// The budget, divided.
    pub shares: Shares,
    pub redactor: Option<Arc<Redactor>>,
    pub lanes: Option<Arc<Lanes>>,
    unfinished: Budget,
    drain_max: Duration,
}

impl Wiring {
    /// What the sources of `config` need, which write to the journal of `lanes`.
    pub fn new(config: &Config, lanes: Option<Arc<Lanes>>) -> Wiring {
        Wiring {
            lanes,
            shares: memory::shares(config),
            unfinished: Budget::new(memory::unfinished_lines_bytes(config)),
            redactor: Redactor::new(&config.redact).map(Arc::new),
            // The connections of a source end a little before it is waited for no longer.
            drain_max: config.shutdown.grace.0.mul_f32(SOURCES_SHARE * 0.9),
        }
    }

    /// What the source of `inflow` looks up, with a way to each of `sinks` that takes from it.
    fn stage(&self, config: &SourceConfig, inflow: &Arc<Inflow>, sinks: &Sinks) -> anyhow::Result<Stage> {
        let name = inflow.source().name();
        let reader = config.reader().with_context(|| format!("source {name}"))?;
        let takers: Vec<_> = sinks.values().filter(|sink| sink.config().takes_from(name)).collect();
        for sink in &takers {
            sink.view().inflows.add(Arc::clone(inflow));
        }
        let as_received = match config {
            SourceConfig::Lines(_) => Encoding::Raw,
            SourceConfig::Otlp(_) => Encoding::Otlp,
        };
        let outlets = takers.into_iter().map(SinkUnit::outlet).collect();
        let intake = Intake::new(Arc::clone(inflow), as_received, reader, self.redactor.clone(), outlets);
        let intake = intake.with_journal(self.lanes.clone());
        Ok(match config {
            SourceConfig::Lines(lines) => Stage::Lines(LinesStage {
                intake,
                line_max: lines.line_max.bytes(),
                work: self.shares.lines.clone(),
                unfinished: self.unfinished.clone(),
                drain_max: self.drain_max,
            }),
            SourceConfig::Otlp(otlp) => Stage::Otlp(OtlpStage::new(otlp, intake, self.shares.clone())),
        })
    }
}

/// All sinks by name.
pub type Sinks = BTreeMap<String, SinkUnit>;

enum Stage {
    Lines(LinesStage),
    Otlp(OtlpStage),
}

/// A source that is bound.
#[derive(Debug)]
pub struct SourceUnit {
    config: SourceConfig,
    stats: Arc<SourceStats>,
    inflow: Arc<Inflow>,
    kind: Kind,
    stop: Stop,
    parked: Parked,
}

#[derive(Clone, Debug)]
enum Kind {
    Lines(Arc<LinesSource>),
    Otlp(Arc<OtlpSource>),
}

/// What nothing new passes any more.
#[derive(Debug)]
pub struct Replaced {
    pub gone: Gone,
    pub inflow: Arc<Inflow>,
}

/// A source that has left off.
#[derive(Debug)]
pub struct SourceEnd {
    pub name: Arc<str>,
    /// It was told to.
    pub was_told: bool,
    /// Connections that stay open, if it was to leave off for now.
    pub parked: Option<Parked>,
}

impl SourceUnit {
    /// Wires the source `stats.name()` to the sinks that take from it.
    pub fn new(
        config: &SourceConfig,
        stats: Arc<SourceStats>,
        listeners: Listeners,
        wiring: &Wiring,
        sinks: &Sinks,
    ) -> anyhow::Result<SourceUnit> {
        for Place { key, .. } in config.places().into_iter().filter(|it| it.address.starts_with(SYSTEMD)) {
            let Some(listener) = listeners.get(key).filter(|it| it.is_open()) else { continue };
            let (source, address) = (stats.name(), listener.address());
            tracing::warn!(%source, address, "reachable from other machines, in plaintext and without authentication");
        }
        let inflow = Inflow::new(Arc::clone(&stats));
        let own = Arc::clone(&stats);
        let kind = match wiring.stage(config, &inflow, sinks)? {
            Stage::Lines(stage) => {
                Kind::Lines(Arc::new(LinesSource::new(listeners, config.connections_max(), own, stage)))
            }
            Stage::Otlp(stage) => {
                Kind::Otlp(Arc::new(OtlpSource::new(listeners, config.connections_max(), own, stage)))
            }
        };
        Ok(SourceUnit { config: config.clone(), stats, inflow, kind, stop: Stop::new(), parked: Parked::default() })
    }

    /// Its settings.
    pub fn config(&self) -> &SourceConfig {
        &self.config
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<SourceStats> {
        &self.stats
    }

    /// Type and addresses in a few words.
    pub fn label(&self) -> String {
        source::label(&self.config, self.listeners().iter().map(|(key, listener)| (*key, listener.address())))
    }

    /// What it listens on.
    pub fn listeners(&self) -> Arc<Listeners> {
        self.acceptor().listeners()
    }

    /// Other settings for connections that are open and those to come. Listeners, if there are
    /// any, take the place of those before.
    pub fn configure(&mut self, config: &SourceConfig, listeners: Option<Listeners>) {
        self.config = config.clone();
        self.acceptor().limit(config.connections_max());
        if let Some(listeners) = listeners {
            self.acceptor().listen_on(listeners);
        }
    }

    /// From now on what it receives goes to those of `sinks` that take from it. Ends a hold.
    pub fn rewire(&mut self, wiring: &Wiring, sinks: &Sinks) -> anyhow::Result<Option<Replaced>> {
        let inflow = Inflow::new(Arc::clone(&self.stats));
        let gone = match (wiring.stage(&self.config, &inflow, sinks)?, &self.kind) {
            (Stage::Lines(stage), Kind::Lines(source)) => source.live().set(stage),
            (Stage::Otlp(stage), Kind::Otlp(source)) => source.live().set(stage),
            // A source of another kind is another source.
            _ => None,
        };
        let inflow = std::mem::replace(&mut self.inflow, inflow);
        Ok(gone.map(|gone| Replaced { gone, inflow }))
    }

    /// Lets nothing in until it is wired again; what is not read waits in the sockets.
    pub fn hold(&self) -> Option<Replaced> {
        let gone = match &self.kind {
            Kind::Lines(source) => source.live().hold(),
            Kind::Otlp(source) => source.live().hold(),
        };
        gone.map(|gone| Replaced { gone, inflow: Arc::clone(&self.inflow) })
    }

    /// It is to go, once what it has received has been taken in.
    pub fn remove(self) -> Option<Replaced> {
        self.stop.drain();
        let gone = match &self.kind {
            Kind::Lines(source) => source.live().gone(),
            Kind::Otlp(source) => source.live().gone(),
        };
        gone.map(|gone| Replaced { gone, inflow: self.inflow })
    }

    /// Tells it to leave off for good.
    pub fn drain(&self) {
        self.stop.drain();
    }

    /// Tells it to stop between two reads, and to leave connections open.
    pub fn park(&self, until: Instant) {
        self.stop.park(until);
    }

    /// Takes connections back that were parked: they go on with the next run.
    pub fn unpark(&mut self, parked: Parked) {
        self.parked = parked;
    }

    /// The same for one.
    pub fn unpark_one(&mut self, connection: Connection) {
        self.parked.connections.push(connection);
    }

    /// Takes the parked connections away.
    pub fn take_parked(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.parked.connections)
    }

    /// True when there are parked connections.
    pub fn has_parked(&self) -> bool {
        !self.parked.connections.is_empty()
    }

    /// Goes on with a connection that another process had, from the next run on.
    pub async fn adopt(&mut self, stream: Stream, state: Unfinished<'_>) {
        if let Kind::Lines(source) = &self.kind {
            self.parked.connections.push(source.adopt(stream, state).await);
        }
    }

    /// Begins, or goes on after it was parked.
    pub fn run(&mut self) -> impl Future<Output = SourceEnd> + Send + use<> {
        self.stop = Stop::new();
        let (kind, stop, parked) = (self.kind.clone(), self.stop.clone(), std::mem::take(&mut self.parked));
        let name = Arc::clone(self.stats.name());
        async move {
            let parked = match kind {
                Kind::Lines(source) => source.run(parked, stop.clone()).await,
                Kind::Otlp(source) => {
                    source.run(stop.clone()).await;
                    Parked::default()
                }
            };
            SourceEnd { name, was_told: stop.is_told(), parked: stop.park_until().map(|_| parked) }
        }
    }

    fn acceptor(&self) -> &Acceptor {
        match &self.kind {
            Kind::Lines(source) => source.acceptor(),
            Kind::Otlp(source) => source.acceptor(),
        }
    }
}
