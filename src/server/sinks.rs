//! A sink as the server holds it: opened, then at work.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::config::Checked;
use crate::inbox::{Inbox, InboxSettings};
use crate::intake::{Outlet, Target};
use crate::journal::lane::Lane;
use crate::journal::lanes::Lanes;
use crate::select::{Condition, Selection};
use crate::sink::{self, OpenSink, Running, SinkConfig};
use crate::telemetry::SinkView;
use crate::template::Template;
use crate::tls::Renew;

/// A sink, what waits for it, and what it takes.
#[derive(Debug)]
pub struct SinkUnit {
    config: SinkConfig,
    inbox: Arc<Inbox>,
    /// Its way along the journal, when there is one.
    lane: Option<Arc<Lane>>,
    view: Arc<SinkView>,
    template: Option<Template>,
    selection: Option<Arc<Selection>>,
    state: State,
    certificates: Option<Arc<dyn Renew>>,
}

#[derive(Debug)]
enum State {
    Open(OpenSink),
    Running(Running),
    /// Between the two, and never else.
    Moving,
}

impl SinkUnit {
    /// Opens the sink `name`, with an inbox of its own.
    pub fn open(name: &str, checked: &Checked) -> anyhow::Result<SinkUnit> {
        let config = checked.config().sinks.get(name).with_context(|| format!("there is no sink {name}"))?.clone();
        let inbox = Inbox::new(InboxSettings {
            sink: name.into(),
            capacity_bytes: config.inbox_bytes(),
            wait_max: checked.wait_max(name),
            encoding: config.kind.encoding(),
        });
        let sink = sink::open(&config, &inbox).with_context(|| format!("sink {name}"))?;
        let selection = selection(&config).with_context(|| format!("sink {name}"))?;
        Ok(SinkUnit {
            view: Arc::new(sink.view(Arc::clone(&inbox), Arc::default())),
            template: sink.template(),
            certificates: sink.certificates(),
            state: State::Open(sink),
            config,
            inbox,
            lane: None,
            selection,
        })
    }

    /// Its settings.
    pub fn config(&self) -> &SinkConfig {
        &self.config
    }

    /// Its certificates, where it has some.
    pub fn certificates(&self) -> Option<Arc<dyn Renew>> {
        self.certificates.clone()
    }

    /// Where its records wait.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// How it looks from outside.
    pub fn view(&self) -> &Arc<SinkView> {
        &self.view
    }

    /// Other settings that concern only what it takes: `from`, `when` and `sample`.
    pub fn rewire(&mut self, config: &SinkConfig) -> anyhow::Result<()> {
        if (&self.config.when, self.config.sample) != (&config.when, config.sample) {
            self.selection = selection(config)?;
        }
        self.config = config.clone();
        Ok(())
    }

    /// Goes on in the journal where it stopped.
    pub fn read_journal(&mut self, lanes: &Lanes) -> std::io::Result<()> {
        self.lane = Some(lanes.open_lane(&self.inbox, self.config.from.clone())?);
        Ok(())
    }

    /// Its way along the journal, when there is one.
    pub fn lane(&self) -> Option<&Arc<Lane>> {
        self.lane.as_ref()
    }

    /// How an intake hands it records.
    pub fn outlet(&self) -> Outlet {
        Outlet {
            target: Target {
                inbox: Arc::clone(&self.inbox),
                filtered_records: Arc::clone(&self.view.filtered_records),
                lane: self.lane.clone(),
            },
            encoding: self.config.kind.encoding(),
            template: self.template.clone(),
            selection: self.selection.clone(),
        }
    }

    /// Begins to eat its inbox.
    pub fn start(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Moving) {
            State::Open(sink) => State::Running(sink.start(Arc::clone(&self.inbox), &Handle::current())),
            state => state,
        };
    }

    /// Opens output files anew, where there are any.
    pub fn reopen(&self) {
        if let State::Running(running) = &self.state {
            running.reopen();
        }
    }

    /// What waits is to be delivered by then, or left; nothing more is taken.
    pub fn stop(&self, until: Instant) {
        if let State::Running(running) = &self.state {
            running.stop(until);
        }
        self.inbox.close();
    }

    /// Waits until it has ended, at most until then. What it has left is abandoned, or stays in the
    /// journal.
    pub async fn ended(self, until: Instant) {
        let State::Running(running) = self.state else { return };
        if tokio::time::timeout_at(until, running.ended()).await.is_err() {
            tracing::warn!(sink = %self.inbox.sink(), "a sink did not end in time");
        }
        Inbox::leave(&self.inbox);
    }

    /// Waits until it has crashed, and tells its name. One that ends in order never crashes.
    pub async fn crashed(&mut self) -> String {
        match &mut self.state {
            State::Running(running) => running.crashed().await,
            State::Open(_) | State::Moving => std::future::pending().await,
        }
    }
}

/// What a sink takes; `None` when all.
fn selection(sink: &SinkConfig) -> anyhow::Result<Option<Arc<Selection>>> {
    let condition = sink.when.as_deref().map(Condition::compile).transpose()?;
    Ok(Selection::new(condition, sink.sample).map(Arc::new))
}
