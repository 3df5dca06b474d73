//! From a checked configuration to a running process and back: wire, start, drain in order.
//! The only place that knows both sources and sinks.

mod change;
mod drain;
mod handover;
mod journal;
mod open;
mod reload;
mod replay;
mod sinks;
mod sources;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::journal::CatchUps;
use crate::config::{Checked, ConfigErrors};
use crate::handover::{Successor, Wanted};
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;
use crate::source::stream::Stream;
use crate::telemetry::{Ledger, Telemetry};
use drain::stop_again;
use handover::{Failure, HandedOver};
pub use handover::{TakenOver, take_over};
pub use replay::Replay;
use sinks::SinkUnit;
use sources::{Sinks, SourceEnd, SourceUnit, Wiring};

/// Share of the grace period that sources may use up; the rest is for the sinks.
const SOURCES_SHARE: f32 = 0.5;

/// Who listens, where it is no source.
const ADMIN: &str = "admin";
const TAKEOVER: &str = "takeover";

/// Who listens at a place of a source. The first one of each kind has the name alone, as in versions
/// that knew no other, so that a process of such a version takes over and is taken over.
fn owner_of_source(name: &str, key: &str) -> String {
    match key {
        "listen" | "grpc" => format!("source {name}"),
        _ => format!("source {name} {key}"),
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Drain and end.
    Stop,
    /// Open the output files anew, and read the configuration again.
    Reload,
    /// Something has panicked: drain, and end with an error. What is left of a process that goes on
    /// without a part of it nobody can tell.
    Crash,
}

/// Reads the configuration again.
pub type Load = dyn Fn() -> Result<Checked, ConfigErrors> + Send;

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
    checked: Checked,
    sockets: Sockets,
    telemetry: Arc<Telemetry>,
    wiring: Wiring,
    sources: BTreeMap<String, SourceUnit>,
    sinks: Sinks,
    admin: Option<Listener>,
    takeover: Option<Listener>,
    /// A process that wants to take over.
    meeting: JoinSet<anyhow::Result<(Successor, Wanted)>>,
    /// They feed sinks from the journal; `None` before the start.
    catch_ups: Option<CatchUps>,
    /// Sources at work.
    running: JoinSet<SourceEnd>,
    /// What a reload has replaced, until it has ended.
    ending: JoinSet<()>,
    stop_admin: CancellationToken,
}

/// Why serving ended.
#[derive(Debug)]
enum Outcome {
    Stopped,
    Crashed,
    HandedOver(HandedOver),
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
        let sources: Vec<String> = self.sources.values().map(SourceUnit::label).collect();
        let sinks: Vec<String> = self.sinks.values().map(|sink| sink.config().kind.label()).collect();
        let mut line =
            format!("logboom {} ready: {} -> {}", env!("CARGO_PKG_VERSION"), sources.join(", "), sinks.join(", "));
        if let Some(admin) = &self.admin {
            line += &format!("; admin {}", admin.address());
        }
        line
    }

    /// Runs until `requests` asks to stop or ends, then drains: sources first, so that what they
    /// have received reaches the inboxes, then the inboxes, all within the grace period. A second
    /// request to stop ends the drain at once. Without `load` a reload only opens files anew.
    pub async fn run(mut self, mut requests: Receiver<Request>, load: Option<Box<Load>>) -> Finish {
        self.begin();
        let crashed = loop {
            let outcome = self.serve(&mut requests, load.as_deref()).await;
            self.telemetry.set_stopping();
            let grace = self.checked.config().shutdown.grace;
            let drain_until = Instant::now() + grace.0;
            if matches!(outcome, Outcome::HandedOver(_)) {
                // Who asks waits for the next process.
                self.stop_admin.cancel();
            }
            tracing::info!(%grace, "stopping: no new connections, what was received is delivered");
            self.sources.values().for_each(SourceUnit::drain);
            if let Some(lanes) = &self.wiring.lanes {
                lanes.wait_no_longer();
            }
            tokio::select! {
                () = self.drain(drain_until) => {}
                () = stop_again(&mut requests) => tracing::warn!("stopping at once"),
            }
            if let Some(lanes) = self.wiring.lanes.take() {
                lanes.journal().clone().close().await;
            }
            let Outcome::HandedOver(handed_over) = outcome else { break matches!(outcome, Outcome::Crashed) };
            match self.let_go(handed_over).await {
                Ok(()) => break false,
                Err(Failure::GoesOn(error)) => {
                    tracing::error!(error = format!("{error:#}"), "the next process has failed, reading goes on here");
                }
                Err(Failure::Lost(error)) => {
                    tracing::error!(error = format!("{error:#}"), "nothing can be opened again");
                    break true;
                }
            }
        };
        self.stop_admin.cancel();
        let ledger = self.telemetry.ledger();
        // IMPORTANT: not before the ledger was read: what they have in hand would not be in it.
        self.running.detach_all();
        Finish { undelivered: ledger.undelivered() + ledger.in_intake(), ledger, crashed }
    }

    /// Everything is open: goes to work.
    fn begin(&mut self) {
        self.sinks.values_mut().for_each(SinkUnit::start);
        self.catch_ups = Some(CatchUps::start(self.checked.config(), &self.wiring, &self.sinks));
        for source in self.sources.values_mut() {
            self.running.spawn(source.run());
        }
        self.stop_admin = CancellationToken::new();
        if let Some(listener) = self.admin.as_ref().and_then(|it| it.try_clone().ok()?.into_tcp()) {
            // Not among the sources: it answers until the very end.
            tokio::spawn(crate::admin::serve(listener, Arc::clone(&self.telemetry), self.stop_admin.clone()));
        }
        self.telemetry.set_ready();
    }

    /// Does what is requested until it is to stop, or until a part has crashed.
    async fn serve(&mut self, requests: &mut Receiver<Request>, load: Option<&Load>) -> Outcome {
        loop {
            tokio::select! {
                request = requests.recv() => match request {
                    Some(Request::Stop) | None => return Outcome::Stopped,
                    Some(Request::Crash) => return Outcome::Crashed,
                    Some(Request::Reload) => {
                        // Those that came until now are one; one that comes from now on is another.
                        while let Ok(request) = requests.try_recv() {
                            match request {
                                Request::Stop => return Outcome::Stopped,
                                Request::Crash => return Outcome::Crashed,
                                Request::Reload => {}
                            }
                        }
                        if let Err(error) = self.reload_from(load).await {
                            tracing::error!(error = format!("{error:#}"), "a sink is lost, stopping");
                            return Outcome::Crashed;
                        }
                    }
                },
                Some(ended) = self.running.join_next() => match ended {
                    // It was removed.
                    Ok(end) if end.was_told => {}
                    ended => {
                        tracing::error!(error = ?ended.err(), "a source has ended, stopping");
                        return Outcome::Crashed;
                    }
                },
                Some(_) = self.ending.join_next() => {}
                Ok(stream) = accepted(self.takeover.as_ref()), if self.meeting.is_empty() => self.meet(stream),
                Some(met) = self.meeting.join_next() => if let Some(handed_over) = self.hand_over(met).await {
                    return Outcome::HandedOver(handed_over);
                },
                sink = crashed_sink(&mut self.sinks) => {
                    tracing::error!(sink, "a sink has crashed, stopping");
                    return Outcome::Crashed;
                }
            }
        }
    }
}

/// The next process that connects to the socket.
async fn accepted(takeover: Option<&Listener>) -> std::io::Result<Stream> {
    match takeover {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

async fn crashed_sink(sinks: &mut Sinks) -> String {
    let mut sinks: Vec<_> = sinks.values_mut().map(|sink| Box::pin(sink.crashed())).collect();
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
