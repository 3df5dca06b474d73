//! The journal as the server holds it: opened before anything is bound, closed after everything
//! has ended.

mod trouble;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::sources::{Sinks, Wiring};
use crate::config::Config;
use crate::decode::reader::{FormatSetting, Origin, Reader};
use crate::encode::Encoding;
use crate::intake::{Intake, Outlet};
use crate::journal::catch_up::{CatchUp, MakeIntake};
use crate::journal::lanes::Lanes;
use crate::journal::{Journal, JournalSettings, Kind, RealDisk};
use crate::telemetry::{Inflow, SourceKind, SourceStats};

/// Opens the journal, if one is configured, and puts each sink where it stopped.
pub fn open(config: &Config, sinks: &mut Sinks) -> anyhow::Result<Option<Arc<Lanes>>> {
    let Some(settings) = &config.journal else { return Ok(None) };
    let dir = settings.dir.display();
    let place = || format!("journal {dir}");
    let names = sinks.keys().map(|name| name.as_str().into()).collect();
    let disk = RealDisk::open(&settings.dir).map_err(|error| trouble::of_directory(&settings.dir, &error))?;
    let opened = JournalSettings::new(settings, names);
    let (journal, recovered) =
        Journal::open(&opened, Arc::new(disk)).map_err(|error| trouble::of_opening(&settings.dir, &error))?;
    for warning in &recovered.warnings {
        tracing::warn!(%dir, "journal: {warning}");
    }
    if recovered.bytes > opened.max_bytes {
        tracing::warn!(
            %dir,
            "journal: `max` is {}, and {:.1}MiB are there from before: until the sinks have taken enough of that, lines wait and OTLP \
             requests are refused; give it a larger `max`, or wait for the sinks",
            settings.max,
            recovered.bytes as f64 / f64::from(1 << 20)
        );
    }
    let lanes = Lanes::new(journal, settings);
    for (name, sink) in sinks {
        sink.read_journal(&lanes).with_context(place)?;
        let records = sink.inbox().tally().recovered;
        if records > 0 {
            tracing::info!(%dir, sink = name, records, "journal: records from before wait for this sink");
        }
    }
    Ok(Some(lanes))
}

/// One task per sink that feeds it while it is behind.
#[derive(Debug)]
pub struct CatchUps {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl CatchUps {
    /// Starts them, if there is a journal.
    pub fn start(config: &Config, wiring: &Wiring, sinks: &Sinks) -> CatchUps {
        let turn = Arc::default();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for sink in sinks.values() {
            let (Some(lanes), Some(lane)) = (&wiring.lanes, sink.lane()) else { continue };
            let make_intake = make_intake(config, wiring, sink.outlet());
            let catch_up = CatchUp::new(Arc::clone(lanes), Arc::clone(lane), Arc::clone(&turn), make_intake);
            tasks.spawn(catch_up.run(stop.clone()));
        }
        CatchUps { tasks, stop }
    }

    /// What has not been offered stays in the journal.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Reads what a source received as that source does. One that is no longer configured is read by
/// the defaults of its type.
pub fn make_intake(config: &Config, wiring: &Wiring, outlet: Outlet) -> MakeIntake {
    let sources = config.sources.clone();
    let (redactor, monitor) = (wiring.redactor.clone(), wiring.monitor.clone());
    Box::new(move |name, kind| {
        let (as_received, kind, origin) = match kind {
            Kind::Lines => (Encoding::Raw, SourceKind::Lines, Origin::Lines),
            Kind::Otlp => (Encoding::Otlp, SourceKind::Otlp, Origin::Otlp),
        };
        let reader = match sources.get(name).filter(|source| source.kind() == kind) {
            Some(source) => source.reader(),
            None => Reader::compile(&FormatSetting::default(), origin),
        };
        // Its own counters: the source has counted these records when they came.
        let inflow = Inflow::new(SourceStats::new(name, kind));
        let intake = Intake::new(inflow, as_received, reader?, redactor.clone(), vec![outlet.clone()]);
        Ok(Arc::new(intake.with_monitor(monitor.clone())))
    })
}
