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
use crate::telemetry::Telemetry;

/// Between two looks.
const PERIOD: Duration = Duration::from_secs(1);

/// Something that is made of files. All of it may block as long as the file system does.
pub trait Renew: std::fmt::Debug + Send + Sync {
    /// Whose files they are: `source mesh`.
    fn name(&self) -> &str;

    /// How they look now.
    fn stamps_now(&self) -> Stamps;

    /// How they looked when they were read last, whether or not they could be used.
    fn stamps_read(&self) -> Stamps;

    /// Reads them. False when they say what they said before; after an error what was there before is used on.
    fn renew(&self) -> anyhow::Result<bool>;
}

/// All files of a process that are read again.
#[derive(Debug)]
pub struct Watch {
    telemetry: Arc<Telemetry>,
    watched: Mutex<Vec<Watched>>,
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
        Arc::new(Watch { telemetry, watched: Mutex::default() })
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
            // One look at a time: a file system that hangs holds one thread.
            let _crashed = tokio::task::spawn_blocking(move || watch.look()).await;
        }
    }

    /// Reads everything now, changed or not.
    pub async fn renew(self: &Arc<Self>) {
        let watch = Arc::clone(self);
        let _crashed = tokio::task::spawn_blocking(move || {
            let all: Vec<_> = watch.lock().iter().map(|it| Arc::clone(&it.what)).collect();
            all.iter().for_each(|what| watch.renew_one(&**what));
        })
        .await;
    }

    /// Reads what has changed and has come to rest.
    fn look(&self) {
        let mut due = Vec::new();
        for watched in self.lock().iter_mut() {
            let now = watched.what.stamps_now();
            if now == watched.seen && now != watched.what.stamps_read() {
                due.push(Arc::clone(&watched.what));
            }
            watched.seen = now;
        }
        due.iter().for_each(|what| self.renew_one(&**what));
    }

    fn renew_one(&self, what: &dyn Renew) {
        match what.renew() {
            Ok(false) => {}
            Ok(true) => {
                self.telemetry.count_tls_reload(true);
                tracing::info!("{}: certificates were read again, new connections use them", what.name());
            }
            Err(error) => {
                self.telemetry.count_tls_reload(false);
                tracing::error!("{}: new certificates cannot be used, those of before stay: {error:#}", what.name());
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
