//! From a checked configuration to a running process and back: wire, start, drain in order.
//! The only place that knows both sources and sinks.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::config::{Checked, Config};
use crate::encode::Encoding;
use crate::inbox::{Inbox, InboxSettings};
use crate::intake::{Intake, Outlet};
use crate::memory;
use crate::redact::Redactor;
use crate::select::{Condition, Selection};
use crate::sink::{self, OpenSink, Running, SinkConfig};
use crate::source::lines::LinesSource;
use crate::source::listen::Listener;
use crate::source::otlp::OtlpSource;
use crate::source::{self, SourceConfig};
use crate::telemetry::{Ledger, SinkView, SourceKind, SourceStats, Telemetry, TelemetrySettings};

/// Share of the grace period that sources may use up; the rest is for the sinks.
const SOURCES_SHARE: f32 = 0.5;

/// Requests to stop within so long are one: who signals a process and its group signals twice.
const ONE_REQUEST: Duration = Duration::from_millis(500);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Drain and end.
    Stop,
    /// Open the output files anew.
    Reopen,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Finish {
    /// Every record, accounted for.
    pub ledger: Ledger,
    /// Records that no sink took in time.
    pub undelivered: u64,
    /// A part of the process panicked, and the rest was drained.
    pub crashed: bool,
}

/// A server with every listener bound and every sink opened: nothing can fail any more but what
/// can fail at any time.
#[derive(Debug)]
pub struct Server {
    config: Config,
    telemetry: Arc<Telemetry>,
    sources: Vec<OpenSource>,
    sinks: Vec<OpenedSink>,
    admin: Option<TcpListener>,
    labels: Labels,
}

/// A sink, what waits for it, and what it takes.
#[derive(Debug)]
struct OpenedSink {
    sink: OpenSink,
    inbox: Arc<Inbox>,
    selection: Option<Arc<Selection>>,
    filtered_records: Arc<AtomicU64>,
}

#[derive(Debug)]
enum OpenSource {
    Lines(LinesSource),
    Otlp(OtlpSource),
}

/// What the ready line says.
#[derive(Debug)]
struct Labels {
    sources: Vec<String>,
    sinks: Vec<String>,
    admin: Option<String>,
}

impl Server {
    /// Binds and opens everything, or says what could not be and what to do about it. To be
    /// called within a tokio runtime.
    pub fn open(checked: &Checked) -> anyhow::Result<Server> {
        let config = checked.config().clone();
        let shares = memory::shares(&config);
        let mut sinks = Vec::new();
        for (name, sink) in &config.sinks {
            let inbox = Inbox::new(InboxSettings {
                sink: name.as_str().into(),
                capacity_bytes: sink.inbox_bytes(),
                wait_max: checked.wait_max(name),
                encoding: sink.kind.encoding(),
            });
            let opened = sink::open(sink, &inbox).with_context(|| format!("sink {name}"))?;
            let selection = selection(sink).with_context(|| format!("sink {name}"))?;
            sinks.push(OpenedSink { sink: opened, inbox, selection, filtered_records: Arc::default() });
        }
        let redactor = Redactor::new(&config.redact).map(Arc::new);
        let unfinished = Budget::new(memory::unfinished_lines_bytes(&config));
        let mut labels = Labels { sources: Vec::new(), sinks: Vec::new(), admin: None };
        labels.sinks.extend(config.sinks.values().map(|sink| sink.kind.label()));
        let mut sources = Vec::new();
        let mut stats = Vec::new();
        for (name, source) in &config.sources {
            let (kind, address, as_received) = match source {
                SourceConfig::Lines(lines) => (SourceKind::Lines, &lines.listen, Encoding::Raw),
                SourceConfig::Otlp(otlp) => (SourceKind::Otlp, &otlp.grpc, Encoding::Otlp),
            };
            let listener = Listener::bind(address).with_context(|| format!("source {name}"))?;
            labels.sources.push(source::label(source, &listener.address()));
            let counters = SourceStats::new(name.as_str(), kind);
            stats.push(Arc::clone(&counters));
            let outlets = outlets(&config, name, &sinks);
            let reader = source.reader().with_context(|| format!("source {name}"))?;
            let intake = Arc::new(Intake::new(counters, as_received, reader, redactor.clone(), outlets));
            sources.push(match source {
                SourceConfig::Lines(lines) => OpenSource::Lines(LinesSource::new(
                    lines.clone(),
                    listener,
                    intake,
                    shares.lines.clone(),
                    unfinished.clone(),
                    config.shutdown.grace.0.mul_f32(SOURCES_SHARE * 0.9),
                )),
                SourceConfig::Otlp(otlp) => OpenSource::Otlp(OtlpSource::new(otlp, listener, intake, shares.clone())),
            });
        }
        let admin = open_admin(&config)?;
        labels.admin = admin.as_ref().and_then(|it| it.local_addr().ok()).map(|it| it.to_string());
        let views = config.sinks.values().zip(&sinks).map(|(sink, opened)| {
            let feeds = |stats: &&Arc<SourceStats>| sink.takes_from(stats.name());
            let view = opened.sink.view(Arc::clone(&opened.inbox), stats.iter().filter(feeds).cloned().collect());
            SinkView { filtered_records: Arc::clone(&opened.filtered_records), ..view }
        });
        let telemetry = Telemetry::new(TelemetrySettings {
            sinks: views.collect(),
            sources: stats,
            budget: shares,
            memory_bound: checked.memory_bound(),
        });
        Ok(Server { config, telemetry, sources, sinks, admin, labels })
    }

    /// What there is to see of it.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// One line: what is listened on, and where it goes.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let Labels { sources, sinks, admin } = &self.labels;
        let mut line =
            format!("logboom {} ready: {} -> {}", env!("CARGO_PKG_VERSION"), sources.join(", "), sinks.join(", "));
        if let Some(admin) = admin {
            line += &format!("; admin {admin}");
        }
        line
    }

    /// Runs until `requests` asks to stop or ends, then drains: sources first, so that what they
    /// have received reaches the inboxes, then the inboxes, all within the grace period. A second
    /// request to stop ends the drain at once.
    pub async fn run(self, mut requests: tokio::sync::mpsc::Receiver<Request>) -> Finish {
        let Server { config, telemetry, sources, sinks, admin, .. } = self;
        let grace = config.shutdown.grace.0;
        let stop_sources = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let inboxes: Vec<Arc<Inbox>> = sinks.iter().map(|opened| Arc::clone(&opened.inbox)).collect();
        let mut running: Vec<Running> =
            sinks.into_iter().map(|opened| opened.sink.start(opened.inbox, &Handle::current())).collect();
        let mut tasks = JoinSet::new();
        for source in sources {
            let stop = stop_sources.clone();
            match source {
                OpenSource::Lines(source) => tasks.spawn(source.run(stop)),
                OpenSource::Otlp(source) => tasks.spawn(source.run(stop)),
            };
        }
        if let Some(listener) = admin {
            // Not among the sources: it answers until the very end.
            tokio::spawn(crate::admin::serve(listener, Arc::clone(&telemetry), stop_admin.clone()));
        }
        telemetry.set_ready();

        let crashed = serve(&mut requests, &mut tasks, &mut running).await;
        telemetry.set_stopping();
        let drain_until = Instant::now() + grace;
        tracing::info!(grace = %config.shutdown.grace, "stopping: no new connections, what was received is delivered");
        stop_sources.cancel();
        tokio::select! {
            () = drain(tasks, &inboxes, &mut running, grace, drain_until) => {}
            () = stop_again(&mut requests) => tracing::warn!("stopping at once"),
        }
        stop_admin.cancel();
        let ledger = telemetry.ledger();
        Finish { undelivered: ledger.undelivered() + ledger.in_intake(), ledger, crashed }
    }
}

/// Does what is requested until it is to stop, or until a part has crashed (then true).
async fn serve(
    requests: &mut tokio::sync::mpsc::Receiver<Request>,
    tasks: &mut JoinSet<()>,
    running: &mut [Running],
) -> bool {
    loop {
        tokio::select! {
            request = requests.recv() => match request {
                Some(Request::Stop) | None => return false,
                Some(Request::Reopen) => {
                    tracing::info!("reopening output files");
                    running.iter().for_each(Running::reopen);
                }
            },
            Some(ended) = tasks.join_next() => {
                tracing::error!(error = ?ended.err(), "a source has ended, stopping");
                return true;
            }
            sink = crashed_sink(running) => {
                tracing::error!(sink, "a sink has crashed, stopping");
                return true;
            }
        }
    }
}

async fn crashed_sink(running: &mut [Running]) -> String {
    let mut sinks: Vec<_> = running.iter_mut().map(|sink| Box::pin(sink.crashed())).collect();
    if sinks.is_empty() {
        return std::future::pending().await;
    }
    std::future::poll_fn(|context| {
        for sink in &mut sinks {
            if let std::task::Poll::Ready(name) = sink.as_mut().poll(context) {
                return std::task::Poll::Ready(name);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

async fn drain(
    mut tasks: JoinSet<()>,
    inboxes: &[Arc<Inbox>],
    running: &mut Vec<Running>,
    grace: Duration,
    drain_until: Instant,
) {
    let sources_ended = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(grace.mul_f32(SOURCES_SHARE), sources_ended).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    for sink in running.iter() {
        sink.stop(drain_until);
    }
    for inbox in inboxes {
        inbox.close();
    }
    for sink in running.drain(..) {
        let left = drain_until.saturating_duration_since(Instant::now());
        if tokio::time::timeout(left, sink.ended()).await.is_err() {
            tracing::warn!("a sink did not end in time");
        }
    }
}

async fn stop_again(requests: &mut tokio::sync::mpsc::Receiver<Request>) {
    let first = Instant::now();
    loop {
        match requests.recv().await {
            Some(Request::Stop) if first.elapsed() > ONE_REQUEST => return,
            Some(Request::Stop | Request::Reopen) => {}
            None => return std::future::pending().await,
        }
    }
}

fn outlets(config: &Config, source: &str, sinks: &[OpenedSink]) -> Vec<Outlet> {
    let takes = config.sinks.values().zip(sinks).filter(|(sink, _)| sink.takes_from(source));
    takes
        .map(|(sink, opened)| Outlet {
            inbox: Arc::clone(&opened.inbox),
            encoding: sink.kind.encoding(),
            template: opened.sink.template(),
            selection: opened.selection.clone(),
            filtered_records: Arc::clone(&opened.filtered_records),
        })
        .collect()
}

/// What a sink takes; `None` when all.
fn selection(sink: &SinkConfig) -> anyhow::Result<Option<Arc<Selection>>> {
    let condition = sink.when.as_deref().map(Condition::compile).transpose()?;
    Ok(Selection::new(condition, sink.sample).map(Arc::new))
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
