//! PEM files: read with errors that say what to do, and looked at for changes.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use rustls::CertificateError;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;

/// Largest PEM file. All authorities of a system are 220 KiB.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most certificates of one file.
const CERTIFICATES_MAX: usize = 4096;

/// What is wrong with one of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key below `tls` that names the file.
    pub key: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Mistake {
    pub(crate) fn new(key: &'static str, message: impl Into<String>, help: impl Into<String>) -> Mistake {
        Mistake { key, message: message.into(), help: help.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls.{}: {}; {}", self.key, self.message, self.help)
    }
}

impl std::error::Error for Mistake {}

/// All certificates of a file, in its order; at least one.
pub fn certificates(key: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, Mistake> {
    let pem = read(key, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).take(CERTIFICATES_MAX).collect();
    let found = found.map_err(|error| {
        Mistake::new(key, format!("{path} is not PEM: {error}"), "write it anew; it may have been cut off")
    })?;
    if found.is_empty() {
        let message = format!("there is no certificate in {path}");
        let help = "a PEM file is needed, with -----BEGIN CERTIFICATE-----; is it the right file?";
        return Err(Mistake::new(key, message, help));
    }
    for certificate in &found {
        ParsedCertificate::try_from(certificate).map_err(|error| {
            let help = "is it an X.509 certificate? `openssl x509 -in FILE -text` shows it";
            Mistake::new(key, format!("a certificate of {path} cannot be read: {error}"), help)
        })?;
    }
    Ok(found)
}

/// The key of a file.
pub fn private_key(key: &'static str, path: &str) -> Result<PrivateKeyDer<'static>, Mistake> {
    let pem = read(key, path)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        if memchr::memmem::find(&pem, b"ENCRYPTED").is_some() {
            let help = "write it without a password: openssl pkey -in FILE -out FILE";
            return Mistake::new(key, format!("the key in {path} is encrypted"), help);
        }
        let help =
            "a PEM file is needed, with -----BEGIN PRIVATE KEY-----, or with an EC or RSA one; is it the right file?";
        Mistake::new(key, format!("there is no key in {path}"), help)
    })
}

/// All of a file.
pub(crate) fn read(key: &'static str, path: &str) -> Result<Vec<u8>, Mistake> {
    let refused = |why: &str| {
        let help = "check the path, and that the user logboom runs as may read it";
        Mistake::new(key, format!("cannot read {path}: {why}"), help)
    };
    // A pipe or a device could block for ever.
    let metadata = std::fs::metadata(path).map_err(|error| refused(&error.to_string()))?;
    if !metadata.is_file() {
        return Err(refused("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| refused(&error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refused(&format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// True when users who are neither its owner nor of its group may read the file.
pub fn is_readable_by_others(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// What there is to say about the time in which a certificate is valid, if there is anything.
pub fn validity(certificate: &CertificateDer<'_>) -> Option<String> {
    let asked = |at: UnixTime| {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        // Times are looked at before the authority, and there is none: the answer is about the times, if it can be.
        let roots = rustls::RootCertStore::empty();
        let error = verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], at, &[]).err()?;
        match error {
            rustls::Error::InvalidCertificate(error) => Some(error),
            _ => None,
        }
    };
    match asked(UnixTime::now())? {
        CertificateError::ExpiredContext { not_after, .. } => Some(format!("it has expired at {}", time(not_after))),
        CertificateError::Expired => Some("it has expired".to_owned()),
        CertificateError::NotValidYetContext { not_before, .. } => {
            Some(format!("it is not valid before {}", time(not_before)))
        }
        CertificateError::NotValidYet => Some("it is not valid yet".to_owned()),
        _ => None,
    }
}

fn time(at: UnixTime) -> String {
    jiff::Timestamp::from_second(i64::try_from(at.as_secs()).unwrap_or(i64::MAX))
        .map_or_else(|_| format!("{:?} after 1970", Duration::from_secs(at.as_secs())), |it| it.to_string())
}

/// How files look from outside; it differs when one was written, renamed over, or reached by another link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    /// Of these files as they are now; links are followed. Blocks as long as the file system does.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Stamps {
        let stamp = |path: &str| {
            let metadata = std::fs::metadata(path).ok()?;
            Some(Stamp {
                device: metadata.dev(),
                inode: metadata.ino(),
                bytes: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                changed: (metadata.ctime(), metadata.ctime_nsec()),
            })
        };
        Stamps(paths.into_iter().map(stamp).collect())
    }
}
