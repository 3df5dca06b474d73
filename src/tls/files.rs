//! PEM files: read with errors that say what to do, and looked at for changes.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

/// Reads a file and forgets it: a file system that hangs hangs here, and not where the file is used.
pub fn touch(path: &str) {
    let read = |file: std::fs::File| std::io::copy(&mut file.take(FILE_BYTES_MAX), &mut std::io::sink());
    // What is wrong with it is said where it is used.
    let _ = std::fs::File::open(path).and_then(read);
}

/// What should be known of a certificate that is shown to `others`, and of its key: these are the files it is in.
pub fn warnings(certificate: Option<&CertificateDer<'_>>, cert: &str, key: &str, others: &str) -> Vec<String> {
    let help = "write a new one, it is read at once";
    let mut warnings = Vec::new();
    match certificate.map(validity) {
        None | Some(Validity::Fine) => {}
        Some(Validity::Soon(what)) => {
            warnings.push(format!("tls.cert: {cert}: {what}, and {others} will refuse it then: {help}"));
        }
        Some(Validity::Never(what)) => {
            warnings.push(format!("tls.cert: {cert}: {what}; {others} will refuse it: {help}"));
        }
    }
    if is_readable_by_others(key) {
        warnings.push(format!("tls.key: {key} can be read by every user of this machine: chmod o-r {key}"));
    }
    warnings
}

/// True when users who are neither its owner nor of its group may read the file.
fn is_readable_by_others(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o004 != 0)
}

/// Whether a certificate is valid, and what there is to say about it if it is not, or not for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validity {
    /// For long enough.
    Fine,
    /// It is, and will expire within [`SOON_SECONDS`], with less than a third of its time left: who has certificates for hours
    /// gets new ones in time.
    Soon(String),
    /// Not now.
    Never(String),
}

/// How long before its end a certificate is worth a warning.
pub const SOON_SECONDS: i64 = 30 * DAY_SECONDS;
const DAY_SECONDS: i64 = 86_400;

/// How a certificate stands now. What cannot be read of it is fine: it was refused when it was used, or is the other side's trouble.
pub fn validity(certificate: &CertificateDer<'_>) -> Validity {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Validity::Fine };
    let (begin, end) = (parsed.validity().not_before.timestamp(), parsed.validity().not_after.timestamp());
    validity_at(now, begin, end)
}

fn validity_at(now: i64, begin: i64, end: i64) -> Validity {
    let left = end - now;
    if left < 0 {
        return Validity::Never(format!("it has expired at {}", time(end)));
    }
    if now < begin {
        return Validity::Never(format!("it is not valid before {}", time(begin)));
    }
    if left >= SOON_SECONDS || left >= (end - begin) / 3 {
        return Validity::Fine;
    }
    let what = match left / DAY_SECONDS {
        0 => format!("it expires within a day, at {}", time(end)),
        1 => format!("it expires in 1 day, at {}", time(end)),
        days => format!("it expires in {days} days, at {}", time(end)),
    };
    Validity::Soon(what)
}

fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| format!("{at}s after 1970"), |it| it.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_certificate_lasts() {
        const BEGIN: i64 = 1_700_000_000;
        let check = |lives: i64, left: i64, expected: &str| {
            let end = BEGIN + lives * DAY_SECONDS;
            let got = match validity_at(end - left, BEGIN, end) {
                Validity::Fine => "fine".to_owned(),
                Validity::Soon(what) => format!("soon: {what}"),
                Validity::Never(what) => format!("never: {what}"),
            };
            assert!(got.starts_with(expected), "{lives} {left}: {got}");
        };
        check(365, 31 * DAY_SECONDS, "fine");
        check(365, 30 * DAY_SECONDS, "fine");
        check(365, 30 * DAY_SECONDS - 1, "soon: it expires in 29 days, at 2024-11-");
        check(365, DAY_SECONDS, "soon: it expires in 1 day, at ");
        check(365, 5, "soon: it expires within a day, at ");
        check(365, 0, "soon: it expires within a day");
        check(365, -1, "never: it has expired at 2024-11-");
        check(365, 366 * DAY_SECONDS, "never: it is not valid before 2023-11-14T22:13:20Z");
        // It is made anew all the time.
        check(1, DAY_SECONDS / 2, "fine");
        check(1, DAY_SECONDS / 4, "soon");
        check(60, 21 * DAY_SECONDS, "fine");
        check(60, 19 * DAY_SECONDS, "soon");
    }
}
