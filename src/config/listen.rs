//! Where a source listens, as text.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `host:port`, `unix:/absolute/path` or `systemd:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP listener. Port 0 takes a free one.
    Tcp {
        /// A name, an IPv4 address, or an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix stream socket at an absolute path.
    Unix(PathBuf),
    /// A socket that is passed to the process, by the name it has there.
    Systemd(String),
}

/// The kernel's `sun_path` holds 108 bytes, the last of them zero.
pub const UNIX_PATH_BYTES_MAX: usize = 107;

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        match (text.strip_prefix("unix:"), text.strip_prefix("systemd:")) {
            (Some(path), _) => unix(text, path),
            (_, Some(name)) => systemd(text, name),
            _ => tcp(text),
        }
    }
}

fn unix(text: &str, path: &str) -> Result<Listen, String> {
    if !Path::new(path).is_absolute() || path.ends_with('/') || path.contains('\0') {
        return Err(format!(
            "'{text}' is not a unix socket: write `unix:` and an absolute path, such as unix:/run/logboom/mesh.sock"
        ));
    }
    if path.len() > UNIX_PATH_BYTES_MAX {
        return Err(format!("'{text}' is too long: the path of a unix socket has at most {UNIX_PATH_BYTES_MAX} bytes"));
    }
    Ok(Listen::Unix(PathBuf::from(path)))
}

/// As systemd restricts `FileDescriptorName=` (systemd.socket(5)), and not empty.
fn systemd(text: &str, name: &str) -> Result<Listen, String> {
    if !(1..=255).contains(&name.len()) || !name.bytes().all(|it| it.is_ascii_graphic() && it != b':') {
        return Err(format!(
            "'{text}' is no inherited socket: write `systemd:` and its FileDescriptorName, such as systemd:mesh"
        ));
    }
    Ok(Listen::Systemd(name.to_owned()))
}

fn tcp(text: &str) -> Result<Listen, String> {
    let refused =
        || format!("'{text}' is not a host and port: write them as 127.0.0.1:5000, [::1]:5000 or localhost:5000");
    let (host, port) = text.rsplit_once(':').ok_or_else(refused)?;
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| digits).ok_or_else(refused)?;
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().map_err(|_| refused())?.to_string(),
        None if is_host_name(host) => host.to_ascii_lowercase(),
        None => return Err(refused()),
    };
    Ok(Listen::Tcp { host, port })
}

fn is_host_name(host: &str) -> bool {
    (1..=253).contains(&host.len())
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl Listen {
    /// True when only this machine can connect. Of an inherited socket nobody knows before it is
    /// there.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Listen::Unix(_) | Listen::Systemd(_) => true,
            Listen::Tcp { host, .. } => {
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
            }
        }
    }

    /// True when the two cannot both be bound. Names are not resolved, apart from `localhost`.
    #[must_use]
    pub fn collides(&self, other: &Listen) -> bool {
        match (self, other) {
            (Listen::Unix(a), Listen::Unix(b)) => a == b,
            (Listen::Systemd(a), Listen::Systemd(b)) => a == b,
            (Listen::Tcp { host: a, port: p }, Listen::Tcp { host: b, port: q }) => {
                p == q && *p != 0 && (same_host(a, b) || is_any(a) || is_any(b))
            }
            _ => false,
        }
    }
}

fn same_host(a: &str, b: &str) -> bool {
    let local = |host: &str| host == "localhost" || host == "127.0.0.1";
    a == b || (local(a) && local(b))
}

fn is_any(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Listen::Tcp { host, port } => write!(f, "{host}:{port}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
            Listen::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match text.parse::<Listen>() {
            Ok(listen) => format!("{listen} {}", if listen.is_local() { "local" } else { "open" }),
            Err(_) => "refused".to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn addresses() {
        check("127.0.0.1:5000", "127.0.0.1:5000 local");
        check("LOCALHOST:0", "localhost:0 local");
        check("[::1]:4317", "[::1]:4317 local");
        check("[::]:4317", "[::]:4317 open");
        check("0.0.0.0:5000", "0.0.0.0:5000 open");
        check("collector.mesh:5000", "collector.mesh:5000 open");
        check("unix:/run/logboom/mesh.sock", "unix:/run/logboom/mesh.sock local");
        check("systemd:mesh", "systemd:mesh local");
        for text in [
            "",
            ":",
            ":5000",
            "5000",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:99999",
            "127.0.0.1:+5",
            "::1:5000",
            "[::1]",
            "[x]:1",
            "a b:1",
            "http://x:1",
            "systemd:",
            "systemd:a:b",
            "systemd:a b",
            "unix:",
            "unix:relative",
            "unix:/dir/",
            "127.0.0.1:5000 ",
        ] {
            check(text, "refused");
        }
        check(&format!("unix:/{}", "x".repeat(107)), "refused");
    }

    #[test]
    fn collisions() {
        let check = |a: &str, b: &str, expected| {
            let (a, b): (Listen, Listen) = (a.parse().unwrap(), b.parse().unwrap());
            assert_eq!((a.collides(&b), b.collides(&a)), (expected, expected), "{a} {b}");
        };
        check("127.0.0.1:1", "127.0.0.1:1", true);
        check("localhost:1", "127.0.0.1:1", true);
        check("0.0.0.0:1", "10.0.0.1:1", true);
        check("127.0.0.1:0", "127.0.0.1:0", false);
        check("127.0.0.1:1", "127.0.0.1:2", false);
        check("127.0.0.1:1", "127.0.0.2:1", false);
        check("unix:/a", "unix:/a", true);
        check("systemd:a", "systemd:a", true);
        check("systemd:a", "systemd:b", false);
        check("unix:/a", "127.0.0.1:1", false);
    }
}
