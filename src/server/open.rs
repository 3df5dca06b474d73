//! From a checked configuration to a server: sinks first, then sources, then what shows them.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;

use super::sinks::SinkUnit;
use super::sources::{SourceUnit, Wiring};
use super::{Server, journal};
use crate::config::Checked;
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;
use crate::telemetry::{SourceStats, Telemetry, TelemetrySettings};

impl Server {
    /// Binds and opens everything, or says what could not be and what to do about it. Listeners are
    /// taken from `sockets` where they are there already. To be called within a tokio runtime.
    pub fn open(checked: Checked, mut sockets: Sockets) -> anyhow::Result<Server> {
        let config = checked.config();
        let sinks = config.sinks.keys().map(|name| Ok((name.clone(), SinkUnit::open(name, &checked)?)));
        let mut sinks = sinks.collect::<anyhow::Result<_>>()?;
        let lanes = journal::open(config, &mut sinks)?;
        let wiring = Wiring::new(config, lanes);
        let sources = config.sources.iter().map(|(name, source)| {
            let listener = sockets.listen(source.address()).with_context(|| format!("source {name}"))?;
            let stats = SourceStats::new(name.as_str(), source.kind());
            Ok((name.clone(), SourceUnit::new(source, stats, listener, &wiring, &sinks)?))
        });
        let sources = sources.collect::<anyhow::Result<_>>()?;
        let admin = open_admin(&config.admin.listen, &mut sockets)?;
        // Telemetry is about what there is, so it comes last, and once more after each reload.
        let telemetry = Telemetry::new(TelemetrySettings {
            sources: Vec::new(),
            sinks: Vec::new(),
            budget: wiring.shares.clone(),
            memory_bound: Vec::new(),
            journal: None,
        });
        let server = Server {
            checked,
            sockets,
            telemetry,
            wiring,
            sources,
            sinks,
            admin,
            catch_ups: None,
            running: JoinSet::new(),
            ending: JoinSet::new(),
        };
        server.publish();
        Ok(server)
    }

    /// Shows what there is now.
    pub(super) fn publish(&self) {
        self.telemetry.replace(TelemetrySettings {
            sources: self.sources.values().map(|source| Arc::clone(source.stats())).collect(),
            sinks: self.sinks.values().map(|sink| Arc::clone(sink.view())).collect(),
            budget: self.wiring.shares.clone(),
            memory_bound: self.checked.memory_bound(),
            journal: self.wiring.lanes.as_ref().map(|lanes| lanes.journal().stats()),
        });
    }
}

fn open_admin(address: &str, sockets: &mut Sockets) -> anyhow::Result<Option<Listener>> {
    if address == "off" {
        return Ok(None);
    }
    let listener = sockets
        .listen(address)
        .map_err(|error| anyhow!("admin: {error:#}; or do without it: admin: {{listen: off}}, or --admin off"))?;
    Ok(Some(listener))
}
