//! A sink from opened to ended, whatever its type.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::{SinkConfig, SinkKind, file, null, otlp, stdout};
use crate::inbox::Inbox;
use crate::telemetry::{Health, Inflows, SinkMetric, SinkSample, SinkView};
use crate::template::Template;
use crate::tls::Renew;

/// A sink whose files, keys and addresses were found in order; it has not started yet.
#[derive(Debug)]
pub enum OpenSink {
    /// See [`mod@file`].
    File(Box<file::FileSink>, Option<Template>),
    /// See [`null`].
    Null,
    /// See [`otlp`].
    Otlp(otlp::Upstream, Arc<otlp::UpstreamStats>),
    /// See [`stdout`].
    Stdout(stdout::StdoutConfig, std::fs::File),
}

/// Opens a sink that eats `inbox`, or says what is wrong and what to do. To be called within a tokio
/// runtime.
pub fn open(config: &SinkConfig, inbox: &Arc<Inbox>) -> anyhow::Result<OpenSink> {
    Ok(match &config.kind {
        SinkKind::File(config) => {
            let template = Template::parse(&config.path).map_err(anyhow::Error::msg)?;
            let sink = file::FileSink::open(config, Arc::clone(inbox))?;
            OpenSink::File(Box::new(sink), Some(template).filter(|template| !template.is_fixed()))
        }
        SinkKind::Null(_) => OpenSink::Null,
        SinkKind::Otlp(config) => OpenSink::Otlp(otlp::Upstream::new(config)?, Arc::default()),
        SinkKind::Stdout(config) => OpenSink::Stdout(*config, stdout::stdout()?),
    })
}

impl OpenSink {
    /// The path template, for a sink that has one.
    #[must_use]
    pub fn template(&self) -> Option<Template> {
        match self {
            OpenSink::File(_, template) => template.clone(),
            _ => None,
        }
    }

    /// Its certificates, for a sink that reads some.
    #[must_use]
    pub fn certificates(&self) -> Option<Arc<dyn Renew>> {
        match self {
            OpenSink::Otlp(upstream, _) => upstream.certificates().map(|it| it as Arc<dyn Renew>),
            _ => None,
        }
    }

    /// How it looks from outside.
    #[must_use]
    pub fn view(&self, inbox: Arc<Inbox>, inflows: Arc<Inflows>) -> SinkView {
        match self {
            OpenSink::File(sink, _) => file_view(sink.handle().stats(), SinkView::new("file", inbox, inflows)),
            OpenSink::Null => SinkView::new("null", inbox, inflows),
            OpenSink::Stdout(..) => SinkView::new("stdout", inbox, inflows),
            OpenSink::Otlp(_, stats) => upstream_view(stats, SinkView::new("otlp", inbox, inflows)),
        }
    }

    /// Starts it; it runs until its inbox is closed and empty, or as [`Running::stop`] says.
    #[must_use]
    pub fn start(self, inbox: Arc<Inbox>, runtime: &Handle) -> Running {
        let (stop, stopped) = watch::channel(None);
        let name = Arc::clone(inbox.sink());
        let mut file = None;
        let ended = match self {
            OpenSink::File(sink, _) => {
                file = Some(sink.handle());
                let runtime = runtime.clone();
                thread(&name, move || sink.run(&runtime))
            }
            OpenSink::Null => task(runtime, null::run(inbox)),
            OpenSink::Otlp(upstream, stats) => task(runtime, async move {
                // What is left is counted in the ledger.
                let _ = otlp::run(inbox, upstream, stats, stopped).await;
            }),
            OpenSink::Stdout(config, out) => {
                let runtime = runtime.clone();
                thread(&name, move || stdout::run(inbox, config, out, runtime))
            }
        };
        Running { name, stop, file, ended: Some(ended) }
    }
}

/// A sink at work.
#[derive(Debug)]
pub struct Running {
    name: Arc<str>,
    stop: watch::Sender<Option<Instant>>,
    file: Option<file::FileHandle>,
    /// `None` once it has ended in order.
    ended: Option<oneshot::Receiver<()>>,
}

impl Running {
    /// The inbox is about to be closed; what waits is to be delivered by then, or left.
    pub fn stop(&self, until: Instant) {
        self.stop.send_replace(Some(until));
        if let Some(file) = &self.file {
            file.stop_by(until.into_std());
        }
    }

    /// Opens output files anew, where there are any.
    pub fn reopen(&self) {
        if let Some(file) = &self.file {
            file.reopen();
        }
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        if let Some(ended) = self.ended {
            let _ = ended.await;
        }
    }

    /// Waits until it has crashed, and tells its name. One that ends in order never crashes.
    pub async fn crashed(&mut self) -> String {
        if let Some(ended) = &mut self.ended {
            let crashed = ended.await.is_err();
            self.ended = None;
            if crashed {
                return self.name.to_string();
            }
        }
        std::future::pending().await
    }
}

fn task(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
    let (tell, ended) = oneshot::channel();
    runtime.spawn(async move {
        work.await;
        let _ = tell.send(());
    });
    ended
}

/// A thread of its own, which must not keep the process from ending: it is never joined.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> oneshot::Receiver<()> {
    let (tell, ended) = oneshot::channel();
    let spawned = std::thread::Builder::new().name(format!("sink {name}")).spawn(move || {
        work();
        let _ = tell.send(());
    });
    if let Err(error) = spawned {
        // The receiver sees the dropped sender, and the server stops as for a crash.
        tracing::error!(sink = name, %error, "cannot start the thread of the sink");
    }
    ended
}

fn file_view(stats: &Arc<file::FileStats>, view: SinkView) -> SinkView {
    let (samples, health) = (Arc::clone(stats), Arc::clone(stats));
    SinkView {
        samples: Box::new(move || {
            let sample = |metric, reason, count: &file::Count| SinkSample { metric, reason, count: count.get() };
            let it = &samples;
            vec![
                sample(SinkMetric::FileRotations, "size", &it.rotations_size),
                sample(SinkMetric::FileRotations, "time", &it.rotations_time),
                sample(SinkMetric::FileRotations, "reopen", &it.rotations_reopen),
                sample(SinkMetric::FileRotations, "error", &it.rotations_error),
                sample(SinkMetric::WriteErrors, "write", &it.write_errors),
                sample(SinkMetric::WriteErrors, "sync", &it.sync_errors),
                sample(SinkMetric::WriteErrors, "rotate", &it.rotate_errors),
                sample(SinkMetric::WriteErrors, "compress", &it.compress_errors),
                sample(SinkMetric::WriteErrors, "remove", &it.remove_errors),
            ]
        }),
        health: Box::new(move || match health.last_error() {
            Some(error) if !health.healthy() => Health::Failing { error },
            _ => Health::Healthy,
        }),
        ..view
    }
}

fn upstream_view(stats: &Arc<otlp::UpstreamStats>, view: SinkView) -> SinkView {
    let (samples, health) = (Arc::clone(stats), Arc::clone(stats));
    SinkView {
        samples: Box::new(move || {
            let reasons = otlp::Reason::ALL.iter();
            reasons
                .flat_map(|&reason| {
                    let sample = |metric, count| SinkSample { metric, reason: reason.as_str(), count };
                    [
                        sample(SinkMetric::Retries, samples.retries(reason)),
                        sample(SinkMetric::FailedRecords, samples.failed(reason)),
                    ]
                })
                .filter(|sample| sample.count > 0)
                .collect()
        }),
        health: Box::new(move || match health.last_error() {
            Some(error) if !health.is_healthy() => Health::Failing { error },
            _ => Health::Healthy,
        }),
        ..view
    }
}
