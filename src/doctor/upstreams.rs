//! Does each upstream answer? Its name, a connection, TLS, and a request without records.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Uri;
use tokio::time::timeout;

use crate::config::Checked;
use crate::sink::SinkKind;
use crate::sink::otlp::probe::{Answered, probe};
use crate::sink::otlp::{Endpoints, OtlpConfig, Protocol};

use super::{Finding, STEP_MAX};
use super::{certificate, date};

const CHECK: &str = "upstream";
/// A certificate that ends within that time should be renewed.
const EXPIRY_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Each endpoint of each sink, as a sink of its own.
pub fn all(checked: &Checked) -> Vec<(String, OtlpConfig)> {
    let mut all = Vec::new();
    for (name, sink) in &checked.config().sinks {
        let SinkKind::Otlp(otlp) = &sink.kind else { continue };
        for endpoint in otlp.endpoint.as_slice() {
            all.push((name.clone(), OtlpConfig { endpoint: Endpoints::One(endpoint.clone()), ..otlp.clone() }));
        }
    }
    all
}

/// Asks one endpoint, step by step: the first that fails is told.
pub async fn check(name: &str, otlp: &OtlpConfig) -> Vec<Finding> {
    let endpoint = otlp.endpoint.to_string();
    let subject = format!("sinks.{name} {endpoint}");
    let Ok(uri) = endpoint.parse::<Uri>() else {
        return vec![Finding::fail(
            CHECK,
            subject,
            "the endpoint is not a URL",
            "write it as http://otel-collector:4317",
        )];
    };
    let is_https = uri.scheme_str() == Some("https");
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    if let Err(finding) = reach(&subject, &host, port).await {
        return vec![*finding];
    }
    let mut found = Vec::new();
    if is_https {
        let server_name = otlp.tls.as_ref().and_then(|tls| tls.server_name.clone()).unwrap_or_else(|| host.clone());
        found.extend(expiry(&subject, certificate::end(&host, port, &server_name, STEP_MAX).await));
    }
    if !is_https && otlp.protocol == Protocol::Http {
        found.extend(clock(&subject, date::ahead(&uri, STEP_MAX).await));
    }
    found.push(match probe(otlp, STEP_MAX).await {
        Err(error) => {
            let help = "mend the setting, or the file it names";
            Finding::fail(CHECK, subject, format!("{error:#}"), help)
        }
        Ok(answers) => match answers.into_iter().next() {
            Some(Answered::Takes) => Finding::ok(CHECK, subject, "answers, and takes requests"),
            Some(Answered::Refuses(why)) => {
                let help = "it is there and speaks: check its path, permissions and `headers`; logboom goes on trying";
                Finding::fail(CHECK, subject, format!("answers, and refuses: {why}"), help)
            }
            Some(Answered::Silent(why)) => {
                Finding::fail(CHECK, subject, advice(&why, is_https).0, advice(&why, is_https).1)
            }
            None => Finding::fail(CHECK, subject, "there is no endpoint", "write one"),
        },
    });
    found
}

async fn reach(subject: &str, host: &str, port: u16) -> Result<(), Box<Finding>> {
    let fail = |message: String, help: &str| Err(Box::new(Finding::fail(CHECK, subject, message, help)));
    let addresses: Vec<_> = match timeout(STEP_MAX, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            let help = "check the name, and that DNS can be reached from here; in Kubernetes write service.namespace";
            return fail(format!("{host} cannot be resolved: {error}"), help);
        }
        Err(_elapsed) => {
            return fail(format!("no name server answered for {host} within {STEP_MAX:?}"), "check DNS from here");
        }
    };
    if addresses.is_empty() {
        return fail(format!("{host} has no address"), "check the name");
    }
    match timeout(STEP_MAX, tokio::net::TcpStream::connect(addresses.as_slice())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => {
            let help = "start it, check the port, or let a firewall or a MeshTrafficPermission allow it; without a journal records \
                        are shed meanwhile";
            fail(format!("no connection to {host}:{port}: {error}"), help)
        }
        Err(_elapsed) => {
            let help = "something drops packets on the way: a firewall, a network policy, a wrong address";
            fail(format!("no connection to {host}:{port} within {STEP_MAX:?}"), help)
        }
    }
}

/// What the words of TLS mean.
fn advice(why: &str, is_https: bool) -> (String, &'static str) {
    let message = format!("connected, and then: {why}");
    let has = |word: &str| why.contains(word);
    let help = if has("NotValidForName") || has("not valid for name") {
        "the certificate is for another name: write that as `tls.server_name`, or use it in `endpoint`"
    } else if has("UnknownIssuer") {
        "write the authority that signed its certificate as `tls.ca`"
    } else if has("Expired") || has("expired") {
        "its certificate has ended: renew it there"
    } else if has("CertificateRequired") || has("certificate required") || has("HandshakeFailure") {
        "it wants a certificate of ours: write `tls.cert` and `tls.key`"
    } else if is_https {
        "does it speak TLS on this port? for plaintext write http://"
    } else {
        "does it speak OTLP on this port (gRPC most often 4317, HTTP 4318)? for TLS write https://"
    };
    (message, help)
}

/// Beyond that the clocks of two machines are not the same any more.
const APART_MAX_SECONDS: u64 = 5;

fn clock(subject: &str, ahead: Option<i64>) -> Option<Finding> {
    let ahead = ahead?;
    (ahead.unsigned_abs() > APART_MAX_SECONDS).then(|| {
        let word = if ahead > 0 { "ahead of" } else { "behind" };
        let message = format!("the clock here is {}s {word} that of the upstream", ahead.unsigned_abs());
        Finding::warn(
            CHECK,
            subject,
            message,
            "set the clock of either (NTP, chrony): records carry the time of this one",
        )
    })
}

fn expiry(subject: &str, end: Option<i64>) -> Option<Finding> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs() as i64);
    let left = end?.saturating_sub(now);
    let days = left / 86_400;
    (left > 0 && left < EXPIRY_SOON.as_secs() as i64).then(|| {
        let message = format!("its certificate ends in {days} days");
        Finding::warn(CHECK, subject, message, "renew it there before")
    })
}
