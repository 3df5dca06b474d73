//! One look at an upstream, without a record: for `logboom doctor`.

use std::time::Duration;

use super::OtlpConfig;
use super::client::{Answer, export};
use super::upstream::Upstream;
use super::verdict::Verdict;
use crate::grpc::Segments;

/// What an endpoint says to a request without records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It takes requests.
    Takes,
    /// It answers, and would not take records now: why.
    Refuses(String),
    /// No connection, no TLS, or no answer: why.
    Silent(String),
}

/// Asks each endpoint in turn, as the sink would: with its TLS, its headers and its compression. At most `patience`
/// for the connection and the answer, each.
///
/// # Errors
/// When a file of `tls` cannot be read, or a setting is wrong; the text says which.
pub async fn probe(config: &OtlpConfig, patience: Duration) -> anyhow::Result<Vec<Answered>> {
    let mut upstream = Upstream::new(config)?;
    upstream.timeout = upstream.timeout.min(patience);
    let mut answers = Vec::new();
    for endpoint in upstream.endpoints.clone() {
        let answer = match export(&upstream, endpoint.connect_lazy(), Segments::default()).await {
            Answer::Accepted { .. } => Answered::Takes,
            Answer::Failed(failure) if matches!(failure.verdict, Verdict::Again { elsewhere: true, .. }) => {
                Answered::Silent(failure.text)
            }
            Answer::Failed(failure) => Answered::Refuses(format!("{}: {}", failure.reason.as_str(), failure.text)),
        };
        answers.push(answer);
    }
    Ok(answers)
}
