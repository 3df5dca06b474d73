//! Sources as the server holds them: bound, then at work.

use std::sync::Arc;

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;

use super::SOURCES_SHARE;
use super::sinks::OpenedSink;
use crate::budget::{Budget, Shares};
use crate::config::Config;
use crate::encode::Encoding;
use crate::intake::Intake;
use crate::journal::lanes::Lanes;
use crate::memory;
use crate::redact::Redactor;
use crate::source::lines::LinesSource;
use crate::source::listen::Listener;
use crate::source::otlp::OtlpSource;
use crate::source::{self, SourceConfig};
use crate::telemetry::{SourceKind, SourceStats};

/// What all sources share.
pub struct Common<'a> {
    pub config: &'a Config,
    pub sinks: &'a [OpenedSink],
    pub lanes: Option<Arc<Lanes>>,
    pub shares: Shares,
    pub redactor: Option<Arc<Redactor>>,
    unfinished: Budget,
}

impl<'a> Common<'a> {
    pub fn new(config: &'a Config, sinks: &'a [OpenedSink], lanes: Option<Arc<Lanes>>) -> Common<'a> {
        Common {
            config,
            sinks,
            lanes,
            shares: memory::shares(config),
            unfinished: Budget::new(memory::unfinished_lines_bytes(config)),
            redactor: Redactor::new(&config.redact).map(Arc::new),
        }
    }
}

/// A source that is bound.
#[derive(Debug)]
pub struct OpenSource {
    pub stats: Arc<SourceStats>,
    /// Type and address in a few words.
    pub label: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Lines(LinesSource),
    Otlp(OtlpSource),
}

impl OpenSource {
    /// Binds the source `name`, and wires it to the sinks that take from it.
    pub fn open(name: &str, source: &SourceConfig, common: &Common<'_>) -> anyhow::Result<OpenSource> {
        let (kind, address, as_received) = match source {
            SourceConfig::Lines(lines) => (SourceKind::Lines, &lines.listen, Encoding::Raw),
            SourceConfig::Otlp(otlp) => (SourceKind::Otlp, &otlp.grpc, Encoding::Otlp),
        };
        let listener = Listener::bind(address).with_context(|| format!("source {name}"))?;
        let label = source::label(source, &listener.address());
        let stats = SourceStats::new(name, kind);
        let outlets = common.sinks.iter().filter(|sink| sink.config.takes_from(name)).map(OpenedSink::outlet).collect();
        let reader = source.reader().with_context(|| format!("source {name}"))?;
        let redactor = common.redactor.clone();
        let intake = Intake::new(Arc::clone(&stats), as_received, reader, redactor, outlets);
        let intake = Arc::new(intake.with_journal(common.lanes.clone()));
        let kind = match source {
            SourceConfig::Lines(lines) => Kind::Lines(LinesSource::new(
                lines.clone(),
                listener,
                intake,
                common.shares.lines.clone(),
                common.unfinished.clone(),
                common.config.shutdown.grace.0.mul_f32(SOURCES_SHARE * 0.9),
            )),
            SourceConfig::Otlp(otlp) => Kind::Otlp(OtlpSource::new(otlp, listener, intake, common.shares.clone())),
        };
        Ok(OpenSource { stats, label, kind })
    }

    /// Takes records until `stop`, then what has arrived.
    pub async fn run(self, stop: CancellationToken) {
        match self.kind {
            Kind::Lines(source) => source.run(stop).await,
            Kind::Otlp(source) => source.run(stop).await,
        }
    }
}
