//! From a checked configuration to a running process and back: wire, start, drain in order.
//! The only place that knows both sources and sinks.

mod drain;
mod journal;
mod open;
mod sinks;
mod sources;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::journal::CatchUps;
use crate::config::Config;
use crate::inbox::Inbox;
use crate::journal::Journal;
use crate::sink::Running;
use crate::telemetry::{Ledger, Telemetry};
use drain::{drain, stop_again};
use sinks::OpenedSink;
use sources::OpenSource;

/// Share of the grace period that sources may use up; the rest is for the sinks.
const SOURCES_SHARE: f32 = 0.5;

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
    /// And the tasks that feed sinks from it.
    journal: Option<(Journal, CatchUps)>,
    admin: Option<TcpListener>,
    labels: Labels,
}

/// What the ready line says.
#[derive(Debug)]
struct Labels {
    sources: Vec<String>,
    sinks: Vec<String>,
    admin: Option<String>,
}

impl Server {
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
        let Server { config, telemetry, sources, sinks, journal, admin, .. } = self;
        let grace = config.shutdown.grace.0;
        let stop_sources = CancellationToken::new();
        let stop_admin = CancellationToken::new();
        let inboxes: Vec<Arc<Inbox>> = sinks.iter().map(|opened| Arc::clone(&opened.inbox)).collect();
        let mut running: Vec<Running> =
            sinks.into_iter().map(|opened| opened.sink.start(opened.inbox, &Handle::current())).collect();
        let mut tasks = JoinSet::new();
        for source in sources {
            tasks.spawn(source.run(stop_sources.clone()));
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
        let (journal, catch_ups) = journal.unzip();
        tokio::select! {
            () = drain(tasks, &inboxes, &mut running, catch_ups, grace, drain_until) => {}
            () = stop_again(&mut requests) => tracing::warn!("stopping at once"),
        }
        inboxes.iter().for_each(Inbox::leave);
        if let Some(journal) = journal {
            journal.close().await;
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
