//! What clients have to pass before anything they send counts: made of what is written, and held against what is
//! listened on.

use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};

use super::ADMIN;
use crate::admin::AdminConfig;
use crate::auth::Bearer;
use crate::config::exposure::{Exposure, Verdict, Written};
use crate::source::accept::Listeners;
use crate::source::door::DoorSettings;
use crate::source::listen::Listener;
use crate::source::sockets::SYSTEMD;
use crate::source::{Place, SourceConfig};
use crate::tls::{ListenerTls, ListenerTlsConfig};

/// What connections of a source have to pass. Certificates that are `open` already are shared, so that they are not
/// read twice; files are read otherwise.
pub fn of_source(
    name: &str,
    config: &SourceConfig,
    listeners: &Listeners,
    open: Option<Arc<ListenerTls>>,
) -> anyhow::Result<DoorSettings> {
    let context = || format!("source {name}");
    for Place { key, address } in config.places() {
        let Some(listener) = listeners.get(key) else { continue };
        judge(listener, address, config.exposure(), &format!("sources.{name}.{key}")).with_context(context)?;
    }
    Ok(DoorSettings {
        allow: config.allow().to_vec(),
        proxy_protocol: config.proxy_protocol(),
        bearer: config.auth().map(|auth| Arc::new(Bearer::new(auth))),
        tls: tls(&context(), config.tls(), config.protocols(), open).with_context(context)?,
    })
}

/// TLS of the admin listener.
pub fn of_admin(
    config: &AdminConfig,
    listener: Option<&Listener>,
    open: Option<Arc<ListenerTls>>,
) -> anyhow::Result<Option<Arc<ListenerTls>>> {
    let Some(listener) = listener else { return Ok(None) };
    judge(listener, &config.listen, config.exposure(), "admin.listen").context(ADMIN)?;
    tls(ADMIN, config.tls.as_ref(), &[b"http/1.1"], open).context(ADMIN)
}

fn tls(
    owner: &str,
    wanted: Option<&ListenerTlsConfig>,
    protocols: &'static [&'static [u8]],
    open: Option<Arc<ListenerTls>>,
) -> anyhow::Result<Option<Arc<ListenerTls>>> {
    let Some(wanted) = wanted else { return Ok(None) };
    // Handshakes that are under way count also for the settings that follow.
    let places = open.as_ref().map(|open| Arc::clone(open.places())).unwrap_or_default();
    if let Some(open) = open.filter(|open| open.settings() == wanted) {
        return Ok(Some(open));
    }
    Ok(Some(ListenerTls::open(owner, wanted, protocols, places)?))
}

/// What is written was judged when it was read; here it is known where a name or an inherited socket is bound.
fn judge(listener: &Listener, written: &str, exposure: Exposure, place: &str) -> anyhow::Result<()> {
    if exposure.tls && listener.is_unix() {
        bail!("{written} is a unix socket, which takes no TLS: remove `tls`");
    }
    if !listener.is_open() {
        return Ok(());
    }
    match exposure.judge(&listener.address()) {
        Verdict::Fine => {}
        Verdict::Warn(warning) if written.starts_with(SYSTEMD) => tracing::warn!("{place}: {warning}"),
        // Told with the configuration.
        Verdict::Warn(_) => {}
        // Nobody knows any more where it was written.
        Verdict::Refuse(message) => {
            return Err(anyhow!("{message}; {}; on the command line: --allow-plaintext", Written::File.help()));
        }
    }
    Ok(())
}
