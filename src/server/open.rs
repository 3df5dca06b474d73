//! From a checked configuration to a server: sinks first, then sources, then what shows them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::reload::{Retired, open_all};
use super::sources::{SourceUnit, Wiring};
use super::{ADMIN, Server, TAKEOVER, journal, owner_of_source};
use crate::config::Checked;
use crate::source::Place;
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;
use crate::telemetry::{SourceStats, Telemetry, TelemetrySettings};

impl Server {
    /// Binds and opens everything, or says what could not be and what to do about it. Listeners are
    /// taken from `sockets` where they are there already. To be called within a tokio runtime.
    pub fn open(checked: Checked, mut sockets: Sockets) -> anyhow::Result<Server> {
        let config = checked.config();
        let mut sinks = open_all(config.sinks.keys(), &checked)?;
        let lanes = journal::open(config, &mut sinks)?;
        let wiring = Wiring::new(config, lanes);
        let sources = config.sources.iter().map(|(name, source)| {
            let listeners = source.places().into_iter().map(|Place { key, address }| {
                Ok((key, Arc::new(sockets.listen(&owner_of_source(name, key), address)?)))
            });
            let listeners = listeners.collect::<anyhow::Result<_>>().with_context(|| format!("source {name}"))?;
            let stats = SourceStats::new(name.as_str(), source.kind());
            Ok((name.clone(), SourceUnit::new(source, stats, listeners, &wiring, &sinks)?))
        });
        let sources = sources.collect::<anyhow::Result<_>>()?;
        let admin = open_admin(&config.admin.listen, &mut sockets)?;
        let takeover = open_takeover(&checked, &mut sockets)?;
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
            takeover,
            meeting: JoinSet::new(),
            catch_ups: None,
            running: JoinSet::new(),
            ending: JoinSet::new(),
            stop_admin: CancellationToken::new(),
        };
        server.publish();
        Ok(server)
    }

    /// Opens the sinks and the journal again after all was drained, and goes to work.
    pub(super) fn reopen(&mut self) -> anyhow::Result<()> {
        let drained = self.telemetry.sinks();
        let config = self.checked.config();
        let mut sinks = open_all(config.sinks.keys(), &self.checked)?;
        let lanes = journal::open(config, &mut sinks)?;
        self.wiring = Wiring::new(config, lanes);
        self.sinks = sinks;
        self.publish();
        let mut retired = Retired::of(drained);
        self.rewire(&mut retired)?;
        self.retire(retired);
        self.begin();
        Ok(())
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
        .listen(ADMIN, address)
        .map_err(|error| anyhow!("admin: {error:#}; or do without it: admin: {{listen: off}}, or --admin off"))?;
    Ok(Some(listener))
}

/// Where the next process may ask for what this one has.
fn open_takeover(checked: &Checked, sockets: &mut Sockets) -> anyhow::Result<Option<Listener>> {
    let Some(takeover) = &checked.config().takeover else { return Ok(None) };
    let listener = sockets.listen(TAKEOVER, &takeover.address()).context("takeover")?;
    // Who connects is looked at as well, see `handover::wire`.
    std::fs::set_permissions(&takeover.socket, Permissions::from_mode(0o600))
        .context("takeover: cannot restrict the socket to this user")?;
    Ok(Some(listener))
}
