//! The certificates of an upstream, read again when their files change.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::endpoint::Endpoint;
use super::upstream::endpoints;
use super::{OtlpConfig, TlsConfig};
use crate::tls::Renew;
use crate::tls::files::{self, Stamps};

/// Files that an upstream's TLS is made of. Each time they say something new, all endpoints are made anew; what is
/// in flight ends on the connection it is on.
pub struct Certificates {
    name: String,
    config: OtlpConfig,
    made: watch::Sender<Vec<Endpoint>>,
    read: Mutex<Read>,
}

#[derive(Clone, PartialEq)]
struct Read {
    stamps: Stamps,
    /// Of what they said, so that no key is kept beside the one in use.
    digest: u64,
}

impl Certificates {
    /// The files of `config`; `None` when it names none. To be called before they are read.
    pub(super) fn of(config: &OtlpConfig) -> Option<Arc<Certificates>> {
        let name = format!("upstream {}", config.endpoint);
        let read = Mutex::new(look(config.tls.as_ref()?)?);
        Some(Arc::new(Certificates { name, config: config.clone(), made: watch::Sender::default(), read }))
    }

    /// Never held while a file is read.
    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Endpoints made anew.
    pub(super) fn renewed(&self) -> watch::Receiver<Vec<Endpoint>> {
        self.made.subscribe()
    }
}

impl Renew for Certificates {
    fn name(&self) -> &str {
        &self.name
    }

    fn stamps_now(&self) -> Stamps {
        Stamps::of(self.config.tls.iter().flat_map(TlsConfig::files))
    }

    fn stamps_read(&self) -> Stamps {
        self.lock().stamps.clone()
    }

    fn renew(&self) -> anyhow::Result<bool> {
        let Some(now) = self.config.tls.as_ref().and_then(look) else { return Ok(false) };
        {
            let mut read = self.lock();
            // Also when they are broken: they are tried again when they change again.
            read.stamps = now.stamps;
            if now.digest == read.digest {
                return Ok(false);
            }
        }
        self.made.send_replace(endpoints(&self.config)?);
        self.lock().digest = now.digest;
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        self.config.tls.as_ref().map(TlsConfig::warnings).unwrap_or_default()
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("name", &self.name).finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        [&self.ca, &self.cert, &self.key].into_iter().filter_map(Option::as_deref)
    }

    /// What should be known of the certificate that is shown to the upstream, if there is one. Reads it.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let (Some(cert), Some(key)) = (&self.cert, &self.key) else { return Vec::new() };
        // What cannot be read is complained about where it is used.
        let chain = files::certificates("cert", cert).unwrap_or_default();
        files::warnings(chain.first(), cert, key, "the upstream")
    }
}

/// How the files look and what they say; `None` when there are none.
fn look(tls: &TlsConfig) -> Option<Read> {
    tls.files().next()?;
    let stamps = Stamps::of(tls.files());
    let mut digest = DefaultHasher::new();
    // What cannot be read is complained about where it is used.
    tls.files().for_each(|path| std::fs::read(path).ok().hash(&mut digest));
    Some(Read { stamps, digest: digest.finish() })
}
