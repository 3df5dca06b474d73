//! The certificate of a listener, and whose clients it lets in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

use super::ListenerTlsConfig;
use super::files::{self, Mistake, Stamps, Validity, certificates, private_key, validity};
use super::places::Places;
use super::renew::Renew;

/// The TLS of one listener; each handshake uses what the files said last. Holds a key: not to be printed.
pub struct ListenerTls {
    /// Who listens: `source mesh`, `admin`.
    name: String,
    settings: ListenerTlsConfig,
    protocols: &'static [&'static [u8]],
    current: RwLock<Arc<ServerConfig>>,
    places: Arc<Places>,
    read: Mutex<Read>,
}

/// What was read last.
struct Read {
    stamps: Stamps,
    material: Material,
}

#[derive(PartialEq)]
struct Material {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
}

impl ListenerTls {
    /// Reads the files. `protocols` is what ALPN offers, best first; none when empty. `places` are those that the
    /// listener had before, if it had any.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn open(
        name: &str,
        settings: &ListenerTlsConfig,
        protocols: &'static [&'static [u8]],
        places: Arc<Places>,
    ) -> Result<Arc<ListenerTls>, Mistake> {
        let stamps = Stamps::of(settings.files());
        let material = Material::read(settings)?;
        let config = material.config(settings, protocols)?;
        Ok(Arc::new(ListenerTls {
            name: name.to_owned(),
            settings: settings.clone(),
            protocols,
            current: RwLock::new(config),
            places,
            read: Mutex::new(Read { stamps, material }),
        }))
    }

    /// Whose settings these are.
    #[must_use]
    pub fn settings(&self) -> &ListenerTlsConfig {
        &self.settings
    }

    /// Where handshakes find a place.
    #[must_use]
    pub fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// Never held while a file is read: that may take as long as a file system likes.
    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next handshake is to use.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for ListenerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerTls").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Renew for ListenerTls {
    fn name(&self) -> &str {
        &self.name
    }

    fn stamps_now(&self) -> Stamps {
        Stamps::of(self.settings.files())
    }

    fn stamps_read(&self) -> Stamps {
        self.lock().stamps.clone()
    }

    fn renew(&self) -> anyhow::Result<bool> {
        // Before the files, and also when they are broken: they are tried again when they change again.
        let stamps = self.stamps_now();
        self.lock().stamps = stamps;
        let material = Material::read(&self.settings)?;
        if material == self.lock().material {
            return Ok(false);
        }
        let config = material.config(&self.settings, self.protocols)?;
        self.lock().material = material;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(true)
    }

    fn warnings(&self) -> Vec<String> {
        // Copies, so that nobody waits for the key file that is looked at.
        let (chain, authorities) = {
            let read = self.lock();
            (read.material.chain.clone(), read.material.authorities.clone())
        };
        warnings(&chain, &authorities, &self.settings)
    }
}

/// Looks at the files of a listener as a start would, and uses nothing of them: what should be known about them.
///
/// # Errors
/// What is wrong with each of them; or else, why they do not go together.
pub fn inspect(settings: &ListenerTlsConfig) -> Result<Vec<String>, Vec<Mistake>> {
    let material = Material::read_all(settings)?;
    material.config(settings, &[]).map_err(|mistake| vec![mistake])?;
    Ok(warnings(&material.chain, &material.authorities, settings))
}

impl Material {
    fn read(settings: &ListenerTlsConfig) -> Result<Material, Mistake> {
        Material::read_all(settings).map_err(|mut mistakes| mistakes.swap_remove(0))
    }

    /// Or what is wrong with each file; at least one thing is.
    fn read_all(settings: &ListenerTlsConfig) -> Result<Material, Vec<Mistake>> {
        let chain = certificates("cert", &settings.cert);
        let key = private_key("key", &settings.key);
        let authorities = settings.client_ca.as_deref().map_or(Ok(Vec::new()), |path| certificates("client_ca", path));
        match (chain, key, authorities) {
            (Ok(chain), Ok(key), Ok(authorities)) => Ok(Material { chain, key, authorities }),
            (chain, key, authorities) => {
                Err([chain.err(), key.err(), authorities.err()].into_iter().flatten().collect())
            }
        }
    }

    fn config(&self, settings: &ListenerTlsConfig, protocols: &[&'static [u8]]) -> Result<Arc<ServerConfig>, Mistake> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|error| Mistake::new("cert", error.to_string(), "this is a bug, please report it"))?;
        let builder = match &settings.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => builder.with_client_cert_verifier(self.verifier(path, provider)?),
        };
        let mut config = builder
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .map_err(|error| self.does_not_fit(settings, &error))?;
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn verifier(
        &self,
        path: &str,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, Mistake> {
        let refused = |error: &dyn std::fmt::Display| {
            let help = "it is to hold the certificates of authorities, not of clients";
            Mistake::new("client_ca", format!("{path} cannot be used: {error}"), help)
        };
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone()).map_err(|error| refused(&error))?;
        }
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| refused(&error))
    }

    fn does_not_fit(&self, settings: &ListenerTlsConfig, error: &rustls::Error) -> Mistake {
        let ListenerTlsConfig { cert, key, .. } = settings;
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Mistake::new(
                "key",
                format!("the key in {key} is not that of the first certificate in {cert}"),
                "write the key the certificate was made with; in the file the server's own certificate comes first",
            ),
            rustls::Error::General(_) => Mistake::new(
                "key",
                format!("the key in {key} is of a kind that cannot be used"),
                "RSA of 2048 to 8192 bits, ECDSA with P-256 or P-384, and Ed25519 can",
            ),
            error => Mistake::new("cert", format!("{cert} cannot be used: {error}"), "write another certificate"),
        }
    }
}

/// What should be known of a certificate, and of the authorities of clients.
fn warnings(
    chain: &[CertificateDer<'_>],
    authorities: &[CertificateDer<'_>],
    settings: &ListenerTlsConfig,
) -> Vec<String> {
    let ListenerTlsConfig { cert, key, client_ca } = settings;
    let mut warnings = files::warnings(chain.first(), cert, key, "clients");
    let Some(path) = client_ca else { return warnings };
    let (mut never, mut soon) = (Vec::new(), Vec::new());
    for authority in authorities {
        match validity(authority) {
            // One of several may be on its way out.
            Validity::Fine => return warnings,
            Validity::Soon(what) => soon.push(what),
            Validity::Never(what) => never.push(what),
        }
    }
    let when = if soon.is_empty() { "" } else { " then" };
    let all = [soon, never].concat().join(", ");
    warnings.push(format!("tls.client_ca: {path}: {all}; no client will be let in{when}"));
    warnings
}
