//! What the user typed, and what it comes to.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use tonic::metadata::AsciiMetadataValue;

use super::format::{Format, FormatParser, NamedFormat};
use super::layout;
use crate::config::units::Period;
use crate::header;

/// Send realistic load: lines as kuma-dp writes them, OTLP requests as Envoy does.
#[derive(clap::Args, Debug, Clone)]
pub struct GenArgs {
    /// What the records look like: a name, or a format string of your own with the operators of
    /// Envoy and Kuma, such as '%START_TIME% %RESPONSE_CODE% %REQ(:PATH)%'
    #[arg(long, default_value = "kuma-http", value_parser = FormatParser)]
    pub format: Format,
    /// The body of an OTLP record
    #[arg(long, value_enum, default_value_t = BodyKind::String)]
    pub body: BodyKind,
    /// Records per second over all connections, such as 50k; or max
    #[arg(long, default_value = "1k", value_name = "N|max")]
    pub rate: Rate,
    /// Stop after so many records over all connections, such as 2M
    #[arg(long, value_name = "N")]
    pub count: Option<Quantity>,
    /// Stop after this time, such as 10s; without it and --count only Ctrl-C ends the run
    #[arg(long, value_name = "TIME")]
    pub duration: Option<Period>,
    /// Connections, each a data plane of its own (standard output is always one)
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub connections: u32,
    /// Records per OTLP request
    #[arg(long, default_value_t = 17, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub batch: u32,
    /// Where to: lines://HOST:PORT, lines+unix:///PATH, otlp://HOST:PORT, with TLS lines+tls://HOST:PORT or
    /// otlps://HOST:PORT, or - for standard output. Default: lines://127.0.0.1:5000, for --format otlp
    /// otlp://127.0.0.1:4317
    #[arg(long, value_name = "TARGET")]
    pub to: Option<Target>,
    /// PEM file of the authority that signed the certificate of a lines+tls:// or otlps:// target; default: those of the
    /// system
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Token for an otlp:// or otlps:// target, sent as `authorization: Bearer TOKEN`
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<Token>,
    /// OTLP requests in flight on each connection; each waits for its answer before the next
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub streams: u32,
    /// Number the records of each connection (c3-000000123456) in the request id, for formats
    /// without one in the destination service
    #[arg(long)]
    pub id: bool,
    /// Same seed, same records
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub seed: u64,
    /// Mix in what breaks collectors: blank lines, null, bare tcp, broken JSON, quotes, invalid
    /// UTF-8, forged fields, 70 kB user agents
    #[arg(long)]
    pub hostile: bool,
    /// Records per write to a lines target: 1 as kuma-dp does, 0 for as many as fit 64 KiB.
    /// Default: 1, with --rate max 0
    #[arg(long, value_name = "N")]
    pub per_write: Option<u32>,
    /// Print the report as JSON on standard output too
    #[arg(long)]
    pub json: bool,
}

/// A token, as a header carries it.
#[derive(Clone)]
pub struct Token(pub(super) AsciiMetadataValue);

impl FromStr for Token {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Token, &'static str> {
        let mut value = header::value(&format!("Bearer {text}")).ok_or("a token is printable ASCII")?;
        value.set_sensitive(true);
        Ok(Token(value))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// The body of an OTLP record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BodyKind {
    /// The default HTTP format as one string.
    String,
    /// A list of 20 keys and values.
    Kvlist,
}

/// A number of things, written `500`, `50k`, `2M` or `1G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(pub u64);

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, factor) = match text.as_bytes().last() {
            Some(b'k') => (&text[..text.len() - 1], 1_000),
            Some(b'M') => (&text[..text.len() - 1], 1_000_000),
            Some(b'G') => (&text[..text.len() - 1], 1_000_000_000),
            _ => (text, 1),
        };
        // `parse` alone would accept a sign.
        let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u64>().ok()).flatten();
        match number.and_then(|number| number.checked_mul(factor)) {
            Some(number) if number > 0 => Ok(Quantity(number)),
            _ => Err(format!(
                "'{text}' is not a number of records: write a whole number above 0, such as 500, 50k or 2M"
            )),
        }
    }
}

/// Records per second over all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as they are taken.
    Max,
    /// So many.
    PerSecond(u64),
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "max" => Ok(Rate::Max),
            _ => match text.parse::<Quantity>() {
                Ok(Quantity(number)) => Ok(Rate::PerSecond(number)),
                Err(_) => {
                    Err(format!("'{text}' is not a rate: write records per second, such as 500, 50k or 2M, or max"))
                }
            },
        }
    }
}

/// Where the records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A `lines` source over TCP: `host:port`.
    Lines(String),
    /// The same with TLS.
    LinesTls(String),
    /// A `lines` source on a unix socket.
    LinesUnix(PathBuf),
    /// An `otlp` source over gRPC: `host:port`.
    Otlp(String),
    /// The same with TLS.
    OtlpTls(String),
    /// Standard output.
    Stdout,
}

impl Target {
    /// True for one that takes OTLP.
    #[must_use]
    pub fn is_otlp(&self) -> bool {
        matches!(self, Target::Otlp(_) | Target::OtlpTls(_))
    }

    /// True for one that is reached with TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self, Target::LinesTls(_) | Target::OtlpTls(_))
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let with_port = |address: &str| {
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
            port.is_some_and(|port| port.parse::<u16>().is_ok()).then(|| address.to_owned())
        };
        let target = match text.split_once("://") {
            None if text == "-" => Some(Target::Stdout),
            Some(("lines", address)) => with_port(address).map(Target::Lines),
            Some(("lines+tls", address)) => with_port(address).map(Target::LinesTls),
            Some(("otlp", address)) => with_port(address).map(Target::Otlp),
            Some(("otlps", address)) => with_port(address).map(Target::OtlpTls),
            Some(("lines+unix", path)) if path.starts_with('/') => Some(Target::LinesUnix(path.into())),
            _ => None,
        };
        target.ok_or_else(|| {
            format!(
                "'{text}' is not a target: write lines://127.0.0.1:5000, otlp://127.0.0.1:4317, lines+unix:///run/logboom/mesh.sock, with TLS lines+tls:// or otlps://, or -"
            )
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Lines(address) => write!(f, "lines://{address}"),
            Target::LinesTls(address) => write!(f, "lines+tls://{address}"),
            Target::LinesUnix(path) => write!(f, "lines+unix://{}", path.display()),
            Target::Otlp(address) => write!(f, "otlp://{address}"),
            Target::OtlpTls(address) => write!(f, "otlps://{address}"),
            Target::Stdout => f.write_str("-"),
        }
    }
}

/// The flags, checked against each other, defaults filled in.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub target: Target,
    pub connections: u32,
    /// Records per write, 0 for as many as fit 64 KiB.
    pub per_write: u32,
    pub per_second: Option<u64>,
    pub count: Option<u64>,
    pub duration: Option<Duration>,
    /// Fewest records worth a turn: a whole request for OTLP.
    pub batch: u32,
}

impl GenArgs {
    /// Where the records go.
    #[must_use]
    pub fn target(&self) -> Target {
        self.to.clone().unwrap_or_else(|| match self.format {
            Format::Named(NamedFormat::Otlp) => Target::Otlp("127.0.0.1:4317".to_owned()),
            _ => Target::Lines("127.0.0.1:5000".to_owned()),
        })
    }

    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let target = self.target();
        let otlp = target.is_otlp();
        match &self.format {
            Format::Named(NamedFormat::Otlp) if !otlp => {
                bail!("--format otlp cannot go to {target}: name an otlp:// target, or another format")
            }
            Format::Named(NamedFormat::Otlp | NamedFormat::Mixed) => {}
            _ if otlp => {
                bail!("lines cannot go to {target}: write --format otlp (or mixed), or name a lines:// target")
            }
            Format::Own(format) if self.id && layout::id_place(format).is_none() => bail!(
                "--id finds no place for the numbers: put %REQ(X-REQUEST-ID)% or %KUMA_DESTINATION_SERVICE% into the format"
            ),
            _ => {}
        }
        if target == Target::Stdout && self.json {
            bail!("--to - and --json would both write to standard output: the report is on standard error anyway");
        }
        if self.ca.is_some() && !target.is_tls() {
            bail!("--ca is for targets with TLS, and {target} is none: name a lines+tls:// or an otlps:// target");
        }
        if self.token.is_some() && !otlp {
            bail!("--token is for OTLP, lines have no place for it: name an otlp:// or an otlps:// target");
        }
        if self.duration.is_some_and(|period| period.0.is_zero()) {
            bail!("--duration 0s sends nothing: write a time above zero");
        }
        let per_second = match self.rate {
            Rate::Max => None,
            Rate::PerSecond(number) => Some(number),
        };
        Ok(Plan {
            connections: if target == Target::Stdout { 1 } else { self.connections },
            per_write: self.per_write.unwrap_or(u32::from(per_second.is_some())),
            per_second,
            count: self.count.map(|Quantity(number)| number),
            duration: self.duration.map(|period| period.0),
            batch: if otlp { self.batch } else { 1 },
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: FromStr<Err = String> + fmt::Debug>(text: &str, expected: &str) {
        let got = text.parse::<T>().map_or("refused".to_owned(), |it| format!("{it:?}"));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn numbers_and_rates() {
        check::<Quantity>("500", "Quantity(500)");
        check::<Quantity>("50k", "Quantity(50000)");
        check::<Quantity>("2M", "Quantity(2000000)");
        check::<Quantity>("0", "refused");
        check::<Quantity>("+5", "refused");
        check::<Quantity>("k", "refused");
        check::<Quantity>("é", "refused");
        check::<Quantity>("99999999999999G", "refused");
        check::<Rate>("max", "Max");
        check::<Rate>("50k", "PerSecond(50000)");
        check::<Rate>("fast", "refused");
    }

    #[test]
    fn targets() {
        check::<Target>("lines://127.0.0.1:5000", r#"Lines("127.0.0.1:5000")"#);
        check::<Target>("lines://[::1]:5000", r#"Lines("[::1]:5000")"#);
        check::<Target>("otlp://collector:4317", r#"Otlp("collector:4317")"#);
        check::<Target>("lines+tls://localhost:5000", r#"LinesTls("localhost:5000")"#);
        check::<Target>("otlps://collector:4317", r#"OtlpTls("collector:4317")"#);
        check::<Target>("lines+unix:///run/mesh.sock", r#"LinesUnix("/run/mesh.sock")"#);
        check::<Target>("-", "Stdout");
        check::<Target>("lines://127.0.0.1", "refused");
        check::<Target>("lines://:5000", "refused");
        check::<Target>("lines+unix://run/mesh.sock", "refused");
        check::<Target>("http://127.0.0.1:4318", "refused");
    }
}
