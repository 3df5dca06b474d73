//! From a checked configuration to a server: sinks first, then sources, then what shows them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::reading::Reading;
use super::reload::{Retired, open_all};
use super::sinks::SinkUnit;
use super::sources::{SourceUnit, Wiring};
use super::{ADMIN, CONTROL, Server, TAKEOVER, doors, journal, owner_of_source};
use crate::admin::Access;
use crate::config::Checked;
use crate::control;
use crate::monitor::Monitor;
use crate::source::Place;
use crate::source::accept::Listeners;
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;
use crate::telemetry::{SourceStats, Telemetry, TelemetrySettings};
use crate::tls::{Renew, Watch};

impl Server {
    /// Binds and opens everything, or says what could not be and what to do about it. Listeners are
    /// taken from `sockets` where they are there already. To be called within a tokio runtime.
    pub fn open(checked: Checked, mut sockets: Sockets) -> anyhow::Result<Server> {
        let config = checked.config();
        let mut sinks = open_all(config.sinks.keys(), &checked)?;
        let lanes = journal::open(config, &mut sinks)?;
        let monitor = Monitor::new(config.admin.traffic);
        let wiring = Wiring::new(config, lanes, Some(Arc::clone(&monitor)));
        let sources = config.sources.iter().map(|(name, source)| {
            let listeners = source.places().into_iter().map(|Place { key, address }| {
                Ok((key, Arc::new(sockets.listen(&owner_of_source(name, key), address)?)))
            });
            let listeners: Listeners =
                listeners.collect::<anyhow::Result<_>>().with_context(|| format!("source {name}"))?;
            let door = doors::of_source(name, source, &listeners, None)?;
            let stats = SourceStats::new(name.as_str(), source.kind());
            Ok((name.clone(), SourceUnit::new(source, stats, listeners, door, &wiring, &sinks)?))
        });
        let sources = sources.collect::<anyhow::Result<_>>()?;
        let admin = open_admin(&config.admin.listen, &mut sockets)?;
        let access = Arc::new(Access::default());
        access.replace(&config.admin, doors::of_admin(&config.admin, admin.as_ref(), None)?);
        let takeover = open_takeover(&checked, &mut sockets)?;
        let control = Control::new(control::open(&config.control, CONTROL, &mut sockets)?);
        // Telemetry is about what there is, so it comes last, and once more after each reload.
        let nothing = TelemetrySettings {
            sources: Vec::new(),
            sinks: Vec::new(),
            budget: wiring.shares.clone(),
            memory_bound: Vec::new(),
            journal: None,
        };
        let telemetry = Telemetry::with_monitor(nothing, monitor);
        let server = Server {
            certificates: Watch::new(Arc::clone(&telemetry)),
            checked,
            sockets,
            telemetry,
            wiring,
            sources,
            sinks,
            admin,
            access,
            takeover,
            control,
            reading: Reading::default(),
            meeting: JoinSet::new(),
            catch_ups: None,
            running: JoinSet::new(),
            ending: JoinSet::new(),
            stop_admin: CancellationToken::new(),
        };
        server.publish();
        server.certificates.warn();
        Ok(server)
    }

    /// Opens the sinks and the journal again after all was drained, and goes to work.
    pub(super) fn reopen(&mut self) -> anyhow::Result<()> {
        let drained = self.telemetry.sinks();
        let config = self.checked.config();
        let mut sinks = open_all(config.sinks.keys(), &self.checked)?;
        let lanes = journal::open(config, &mut sinks)?;
        self.wiring = Wiring::new(config, lanes, self.wiring.monitor.take());
        self.sinks = sinks;
        self.publish();
        let mut retired = Retired::of(drained);
        self.rewire(&mut retired)?;
        self.retire(retired);
        self.begin();
        Ok(())
    }

    /// Shows what there is now, and watches its certificates.
    pub(super) fn publish(&self) {
        for source in self.sources.values() {
            source.stats().listens_on(source.listeners().values().map(|it| it.address()));
        }
        let listeners = self.sources.values().filter_map(SourceUnit::tls).chain(self.access.tls());
        let listeners = listeners.map(|tls| tls as Arc<dyn Renew>);
        let sinks = self.sinks.values().filter_map(SinkUnit::certificates);
        self.certificates.replace(listeners.chain(sinks).collect());
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
