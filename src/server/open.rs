//! From a checked configuration to a server: sinks first, then sources, then what shows them.

use tokio::net::TcpListener;

use super::journal::{self, CatchUps};
use super::sinks::OpenedSink;
use super::sources::{Common, OpenSource};
use super::{Labels, Server};
use crate::config::{Checked, Config};
use crate::source::listen::Listener;
use crate::telemetry::{Telemetry, TelemetrySettings};

impl Server {
    /// Binds and opens everything, or says what could not be and what to do about it. To be
    /// called within a tokio runtime.
    pub fn open(checked: &Checked) -> anyhow::Result<Server> {
        let config = checked.config().clone();
        let sinks = config.sinks.iter().map(|(name, sink)| OpenedSink::open(name, sink, checked));
        let mut sinks = sinks.collect::<anyhow::Result<Vec<_>>>()?;
        let lanes = journal::open(&config, &mut sinks)?;
        let common = Common::new(&config, &sinks, lanes);
        let sources = config.sources.iter().map(|(name, source)| OpenSource::open(name, source, &common));
        let sources = sources.collect::<anyhow::Result<Vec<_>>>()?;
        let admin = open_admin(&config)?;
        let labels = Labels {
            sources: sources.iter().map(|source| source.label.clone()).collect(),
            sinks: config.sinks.values().map(|sink| sink.kind.label()).collect(),
            admin: admin.as_ref().and_then(|it| it.local_addr().ok()).map(|it| it.to_string()),
        };
        let stats: Vec<_> = sources.iter().map(|source| source.stats.clone()).collect();
        let catch_ups = common.lanes.as_ref().map(|lanes| CatchUps::start(lanes, &sinks, &common));
        let telemetry = Telemetry::new(TelemetrySettings {
            sinks: sinks.iter().map(|sink| sink.view(&stats)).collect(),
            sources: stats,
            budget: common.shares,
            memory_bound: checked.memory_bound(),
            journal: common.lanes.as_ref().map(|lanes| lanes.journal().stats()),
        });
        let journal = common.lanes.map(|lanes| lanes.journal().clone()).zip(catch_ups);
        Ok(Server { config, telemetry, sources, sinks, journal, admin, labels })
    }
}

fn open_admin(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    if config.admin.listen == "off" {
        return Ok(None);
    }
    match Listener::bind_tcp(&config.admin.listen) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) => {
            Err(anyhow::anyhow!("admin: {error:#}; or do without it: admin: {{listen: off}}, or --admin off"))
        }
    }
}
