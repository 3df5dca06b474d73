//! Sinks as the server holds them: opened, then at work.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::Context as _;

use crate::config::Checked;
use crate::inbox::{Inbox, InboxSettings};
use crate::intake::{Outlet, Target};
use crate::journal::lane::Lane;
use crate::select::{Condition, Selection};
use crate::sink::{self, OpenSink, SinkConfig};
use crate::telemetry::{SinkView, SourceStats};

/// A sink, what waits for it, and what it takes.
#[derive(Debug)]
pub struct OpenedSink {
    pub config: SinkConfig,
    pub sink: OpenSink,
    pub inbox: Arc<Inbox>,
    /// Its way along the journal, when there is one.
    pub lane: Option<Arc<Lane>>,
    selection: Option<Arc<Selection>>,
    filtered_records: Arc<AtomicU64>,
}

impl OpenedSink {
    /// Opens the sink `name`, with an inbox of its own.
    pub fn open(name: &str, config: &SinkConfig, checked: &Checked) -> anyhow::Result<OpenedSink> {
        let inbox = Inbox::new(InboxSettings {
            sink: name.into(),
            capacity_bytes: config.inbox_bytes(),
            wait_max: checked.wait_max(name),
            encoding: config.kind.encoding(),
        });
        let sink = sink::open(config, &inbox).with_context(|| format!("sink {name}"))?;
        let selection = selection(config).with_context(|| format!("sink {name}"))?;
        let filtered_records = Arc::default();
        Ok(OpenedSink { config: config.clone(), sink, inbox, lane: None, selection, filtered_records })
    }

    /// How an intake hands it records.
    pub fn outlet(&self) -> Outlet {
        let target = Target {
            inbox: Arc::clone(&self.inbox),
            filtered_records: Arc::clone(&self.filtered_records),
            lane: self.lane.clone(),
        };
        Outlet {
            target,
            encoding: self.config.kind.encoding(),
            template: self.sink.template(),
            selection: self.selection.clone(),
        }
    }

    /// How it looks from outside, fed by those of `sources` that it takes from.
    pub fn view(&self, sources: &[Arc<SourceStats>]) -> SinkView {
        let feeds = |stats: &&Arc<SourceStats>| self.config.takes_from(stats.name());
        let view = self.sink.view(Arc::clone(&self.inbox), sources.iter().filter(feeds).cloned().collect());
        SinkView { filtered_records: Arc::clone(&self.filtered_records), ..view }
    }
}

/// What a sink takes; `None` when all.
fn selection(sink: &SinkConfig) -> anyhow::Result<Option<Arc<Selection>>> {
    let condition = sink.when.as_deref().map(Condition::compile).transpose()?;
    Ok(Selection::new(condition, sink.sample).map(Arc::new))
}
