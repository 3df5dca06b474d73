//! Where proxies send, and where to listen for it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::config::listen::Listen;
use crate::config::problem::shown;

/// Where proxies send their logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host and a port.
    Host {
        /// A name or an address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A port of the node that the proxy runs on: what a MeshOpenTelemetryBackend without an address
    /// means on Kubernetes.
    Node {
        /// The port.
        port: u16,
    },
}

/// The port of OTLP over gRPC.
pub const OTLP_PORT: u16 = 4317;
/// How the node is written.
const NODE: &str = "HOST_IP";

/// What is wrong with an address: what, and what to do.
type Mistake = (String, String);

impl Target {
    /// The address of a TCP backend: kuma-dp dials it as it is written.
    pub fn tcp(text: &str) -> Result<Target, Mistake> {
        match Target::parse(text)? {
            (host, Some(port)) => Ok(Target::Host { host, port }),
            (_, None) => Err((
                format!("the address {} has no port, so no proxy can dial it", shown(text)),
                format!("write a port, such as `{text}:5000`"),
            )),
        }
    }

    /// The endpoint of an OpenTelemetry backend; without a port it is 4317.
    pub fn otlp(text: &str) -> Result<Target, Mistake> {
        let (host, port) = Target::parse(text)?;
        Ok(Target::Host { host, port: port.unwrap_or(OTLP_PORT) })
    }

    fn parse(text: &str) -> Result<(String, Option<u16>), Mistake> {
        if let Some((scheme, rest)) = text.split_once("://") {
            let message = format!("{} is a URL, and proxies dial a host and a port", shown(text));
            return Err((message, format!("write it without `{scheme}://`: `{}`", rest.trim_end_matches('/'))));
        }
        match text.parse() {
            Ok(Listen::Tcp { port: 0, .. }) => Err(("port 0 cannot be dialled".to_owned(), "write a port".to_owned())),
            Ok(Listen::Tcp { host, port }) => Ok((host, Some(port))),
            _ => match format!("{text}:{OTLP_PORT}").parse() {
                Ok(Listen::Tcp { host, .. }) => Ok((host, None)),
                _ => Err((format!("{} is not a host and port", shown(text)), "write it as 127.0.0.1:5000".to_owned())),
            },
        }
    }

    fn port(&self) -> u16 {
        match self {
            Target::Host { port, .. } | Target::Node { port } => *port,
        }
    }

    /// Where a process that runs beside the proxy listens for it. The second value is false when the
    /// address is not that of the proxy's own host, so that something must bring it here.
    pub fn listen(&self) -> (Listen, bool) {
        let port = self.port();
        let loopback = |host: &str| Listen::Tcp { host: host.to_owned(), port };
        let Target::Host { host, .. } = self else { return (loopback("127.0.0.1"), false) };
        let same = Listen::Tcp { host: host.clone(), port };
        match host.parse::<IpAddr>() {
            _ if same.is_local() => (same, true),
            // Dialled, a wildcard is the dialler's own host.
            Ok(IpAddr::V4(address)) if address.is_unspecified() => (loopback("127.0.0.1"), true),
            Ok(IpAddr::V6(address)) if address.is_unspecified() => (loopback("::1"), true),
            _ => (loopback("127.0.0.1"), false),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Host { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Target::Host { host, port } => write!(f, "{host}:{port}"),
            Target::Node { port } => write!(f, "{NODE}:{port}"),
        }
    }
}

/// What is known of where this process listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listener {
    /// What proxies send to an address arrives at another; written `ADDRESS=LISTEN`.
    For(Arrival),
    /// A listener that is there: what proxies send to its port on another host arrives here.
    Exists(Listen),
}

/// `ADDRESS=LISTEN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The address in the policies.
    pub(super) target: Target,
    /// Where it arrives.
    pub(super) listen: Listen,
}

impl Listener {
    /// Where what is sent to `target` arrives; `own` when that is the proxy's own host.
    pub(super) fn arrival(&self, target: &Target, own: bool) -> Option<&Listen> {
        match self {
            Listener::For(arrival) => (arrival.target == *target).then_some(&arrival.listen),
            Listener::Exists(listen) => {
                let same_port = matches!(listen, Listen::Tcp { port, .. } if *port == target.port());
                (same_port && !own).then_some(listen)
            }
        }
    }
}

impl FromStr for Listener {
    type Err = String;

    fn from_str(text: &str) -> Result<Listener, String> {
        let help = "write ADDRESS=LISTEN, such as logstash.mesh:5000=0.0.0.0:5000";
        let (target, listen) = text.split_once('=').ok_or(help)?;
        let target = match target.strip_prefix(NODE).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => Target::Node { port: port.parse().map_err(|_| help)? },
            None => Target::tcp(target).map_err(|(message, help)| format!("{message}: {help}"))?,
        };
        Ok(Listener::For(Arrival { target, listen: listen.parse()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        let check = |text: &str, expected: &str| {
            let got = match Target::tcp(text) {
                Ok(target) => format!("{target} {} {}", target.listen().0, target.listen().1),
                Err((message, _)) => message,
            };
            assert!(got.contains(expected), "{text}: {got}");
        };
        check("127.0.0.1:5000", "127.0.0.1:5000 127.0.0.1:5000 true");
        check("localhost:5000", "localhost:5000 localhost:5000 true");
        check("[::1]:5000", "[::1]:5000 [::1]:5000 true");
        check("0.0.0.0:5000", "0.0.0.0:5000 127.0.0.1:5000 true");
        check("[::]:5000", "[::]:5000 [::1]:5000 true");
        check("10.1.2.3:5000", "10.1.2.3:5000 127.0.0.1:5000 false");
        check("Logstash.mesh:5000", "logstash.mesh:5000 127.0.0.1:5000 false");
        check("logstash.mesh", "has no port");
        check("logstash:", "is not a host and port");
        check("tcp://logstash:5000", "is a URL");
        check("unix:/run/x", "is not a host and port");
        check("logstash:0", "port 0");
        check("", "is not a host and port");
        assert_eq!(Target::otlp("otel").unwrap().to_string(), "otel:4317");
    }

    #[test]
    fn arrivals() {
        let check = |text: &str, expected: &str| {
            let got = match text.parse::<Listener>() {
                Ok(Listener::For(it)) => format!("{} {}", it.target, it.listen),
                Ok(Listener::Exists(it)) => it.to_string(),
                Err(message) => message,
            };
            assert!(got.contains(expected), "{text}: {got}");
        };
        check("logstash:5000=0.0.0.0:5000", "logstash:5000 0.0.0.0:5000");
        check("logstash:5000=unix:/run/x.sock", "logstash:5000 unix:/run/x.sock");
        check("HOST_IP:4317=0.0.0.0:4317", "HOST_IP:4317 0.0.0.0:4317");
        check("HOST_IP:x=0.0.0.0:4317", "write ADDRESS=LISTEN");
        check("logstash:5000", "write ADDRESS=LISTEN");
        check("logstash=0.0.0.0:5000", "has no port");
        check("logstash:5000=x", "not a host and port");
    }
}
