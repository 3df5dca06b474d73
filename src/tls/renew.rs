//! Files that are read again when they change.
//!
//! Looked at every second, and not watched: that also sees a mounted secret whose directory is exchanged by a
//! symbolic link, works on every file system, and costs a few calls of `stat`. Files are read once they have
//! been the same for two looks: who writes a certificate and then its key is not caught in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::files::Stamps;
use crate::beside::Beside;
use crate::telemetry::{Quiet, Telemetry};

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);
/// How long reading may take before it counts as hung. What hangs goes on beside everything else, and is used when it is over.
const PATIENCE: Duration = Duration::from_secs(5);

/// Something that is made of files. What looks at them may block as long as the file system does.
pub trait Renew: std::fmt::Debug + Send + Sync {
    /// Whose files they are: `source mesh`.
    fn name(&self) -> &str;

    /// How they look now. May block.
    fn stamps_now(&self) -> Stamps;

    /// How they looked when they were read last, whether or not they could be used. Never blocks, also not for what does.
    fn stamps_read(&self) -> Stamps;

    /// Reads them. False when they say what they said before; after an error what was there before is used on. May block; for
    /// one caller at a time.
    fn renew(&self) -> anyhow::Result<bool>;

    /// What should be known of what is used. May block.
    fn warnings(&self) -> Vec<String>;
}

/// What came of reading everything again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Whose files cannot be used, and why; what was there before is used on.
    pub refused: Vec<String>,
    /// What should be known of what is used.
    pub warnings: Vec<String>,
}

/// All files of a process that are read again.
#[derive(Debug)]
pub struct Watch {
    telemetry: Arc<Telemetry>,
    watched: Mutex<Vec<Watched>>,
    beside: Beside,
    patience: Duration,
    hung: Quiet,
}

#[derive(Debug)]
struct Watched {
    what: Arc<dyn Renew>,
    seen: Stamps,
}

impl Watch {
    /// Watches nothing yet.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>) -> Arc<Watch> {
        Arc::new(Watch::with_patience(telemetry, PATIENCE))
    }

    fn with_patience(telemetry: Arc<Telemetry>, patience: Duration) -> Watch {
        Watch { telemetry, watched: Mutex::default(), beside: Beside::default(), patience, hung: Quiet::new() }
    }

    /// From now on watches these, and nothing else.
    pub fn replace(&self, what: Vec<Arc<dyn Renew>>) {
        let watched = what.into_iter().map(|what| Watched { seen: what.stamps_read(), what }).collect();
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    /// Looks again and again, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.is_idle() {
                continue;
            }
            let watch = Arc::clone(&self);
            let looked = self.beside.run(self.patience, move || watch.look()).await;
            if let (None, Some(suppressed)) = (looked, self.hung.allow()) {
                tracing::error!(suppressed, "{}", self.late());
            }
        }
    }

    /// Reads everything now, changed or not. What takes too long counts as refused.
    pub async fn renew(self: &Arc<Self>) -> Renewed {
        if self.is_idle() {
            return Renewed::default();
        }
        let watch = Arc::clone(self);
        if let Some(renewed) = self.beside.run(self.patience, move || watch.renew_all()).await {
            return renewed;
        }
        let late = self.late();
        self.telemetry.count_tls_reload(false);
        tracing::error!("{late}");
        Renewed { refused: vec![late], ..Renewed::default() }
    }

    /// Logs what should be known of what is used. Blocks.
    pub fn warn(&self) {
        self.all().iter().for_each(|what| drop(warned(&**what)));
    }

    fn renew_all(&self) -> Renewed {
        let mut renewed = Renewed::default();
        for what in self.all() {
            renewed.refused.extend(self.renew_one(&*what).err());
            renewed.warnings.extend(warned(&*what));
        }
        renewed
    }

    /// Reads what has changed and has come to rest.
    fn look(&self) {
        for what in self.all() {
            let now = what.stamps_now();
            let is_read = now == what.stamps_read();
            let has_rested = {
                let mut watched = self.lock();
                let Some(watched) = watched.iter_mut().find(|it| Arc::ptr_eq(&it.what, &what)) else { continue };
                std::mem::replace(&mut watched.seen, now.clone()) == now
            };
            if has_rested && !is_read && self.renew_one(&*what) == Ok(true) {
                drop(warned(&*what));
            }
        }
    }

    /// True when there was something new. An error is for people, and has been logged.
    fn renew_one(&self, what: &dyn Renew) -> Result<bool, String> {
        let renewed = what.renew();
        match &renewed {
            Ok(false) => {}
            Ok(true) => {
                self.telemetry.count_tls_reload(true);
                tracing::info!("{}: certificates were read again, new connections use them", what.name());
            }
            Err(error) => {
                self.telemetry.count_tls_reload(false);
                let why = format!("{}: new certificates cannot be used, those of before stay: {error:#}", what.name());
                tracing::error!("{why}");
                return Err(why);
            }
        }
        Ok(matches!(renewed, Ok(true)))
    }

    /// What is to be known when they cannot be read in time.
    fn late(&self) -> String {
        let names: Vec<String> = self.all().iter().map(|what| what.name().to_owned()).collect();
        format!(
            "certificates cannot be read, those of before stay: a file of {} has not answered for {}s; is its file system there?",
            names.join(", "),
            self.patience.as_secs()
        )
    }

    /// What is watched. Files are looked at without the lock: who changes what is watched must not wait for them.
    fn all(&self) -> Vec<Arc<dyn Renew>> {
        self.lock().iter().map(|it| Arc::clone(&it.what)).collect()
    }

    fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What should be known of what is used, which has been logged.
fn warned(what: &dyn Renew) -> Vec<String> {
    let warnings: Vec<String> = what.warnings().into_iter().map(|it| format!("{}: {it}", what.name())).collect();
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    warnings
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::budget::Shares;
    use crate::telemetry::TelemetrySettings;

    /// Files on a file system that hangs until it is let go.
    #[derive(Debug)]
    struct Hanging {
        until: Mutex<Receiver<()>>,
        reading: AtomicUsize,
    }

    impl Hanging {
        fn new() -> (Arc<Hanging>, Sender<()>) {
            let (let_go, until) = channel();
            (Arc::new(Hanging { until: Mutex::new(until), reading: AtomicUsize::new(0) }), let_go)
        }

        fn hang(&self) {
            self.reading.fetch_add(1, Ordering::SeqCst);
            let _ = self.until.lock().unwrap().recv();
        }
    }

    impl Renew for Hanging {
        fn name(&self) -> &str {
            "source mesh"
        }

        fn stamps_now(&self) -> Stamps {
            self.hang();
            Stamps::default()
        }

        fn stamps_read(&self) -> Stamps {
            Stamps::default()
        }

        fn renew(&self) -> anyhow::Result<bool> {
            self.hang();
            Ok(true)
        }

        fn warnings(&self) -> Vec<String> {
            Vec::new()
        }
    }

    fn watch(hanging: &Arc<Hanging>) -> Arc<Watch> {
        let nothing = TelemetrySettings {
            sources: Vec::new(),
            sinks: Vec::new(),
            budget: Shares::new(0, 0, None),
            memory_bound: Vec::new(),
            journal: None,
        };
        let watch = Arc::new(Watch::with_patience(Telemetry::new(nothing), Duration::from_millis(50)));
        watch.replace(vec![Arc::clone(hanging) as Arc<dyn Renew>]);
        watch
    }

    /// Guarantee: files that hang are told, hold one thread, and keep nobody from watching others.
    #[tokio::test]
    async fn a_hung_file_system_is_told() {
        let (hanging, let_go) = Hanging::new();
        let watch = watch(&hanging);
        for _ in 0..3 {
            let Renewed { refused, .. } = watch.renew().await;
            assert!(refused.len() == 1 && refused[0].contains("a file of source mesh has not answered"), "{refused:?}");
        }
        assert_eq!(hanging.reading.load(Ordering::SeqCst), 1);
        watch.replace(vec![Arc::clone(&hanging) as Arc<dyn Renew>]);
        drop(let_go);
        while watch.renew().await != Renewed::default() {}
    }

    /// Guarantee: the same while they are looked at for changes.
    #[tokio::test]
    async fn a_hung_look_is_waited_for_by_nobody() {
        let (hanging, let_go) = Hanging::new();
        let watch = watch(&hanging);
        let stop = CancellationToken::new();
        let looking = tokio::spawn(Arc::clone(&watch).run(stop.clone()));
        while hanging.reading.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        watch.replace(vec![Arc::clone(&hanging) as Arc<dyn Renew>]);
        assert_eq!(watch.renew().await.refused.len(), 1);
        stop.cancel();
        looking.await.unwrap();
        drop(let_go);
    }
}
