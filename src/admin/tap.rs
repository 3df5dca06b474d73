//! `/api/tap`: records as they pass, line by line, until somebody has had enough.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::conversation::Conversation;
use super::live::Shared;
use super::refusal::{Parameters, Refused, refused};
use crate::encode::Encoding;
use crate::monitor::tap::{RATE_DEFAULT, RATE_MAX, SUBSCRIBERS_MAX};
use crate::monitor::{Subscription, Wish};
use crate::select::Condition;
use crate::telemetry::Telemetry;

/// How long a reader may leave off reading.
const READER_PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to read the end when the process stops; then it is hung up on.
const FAREWELL: Duration = Duration::from_millis(200);
/// How often it is told that records were skipped.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Ticks of these without a record after which something is sent all the same: only so it shows that
/// a reader has gone.
const SILENT_TICKS_MAX: u32 = 10;

/// What is asked for.
#[derive(Debug, Deserialize)]
pub struct Asked {
    r#where: Option<String>,
    source: Option<String>,
    sink: Option<String>,
    rate: Option<u32>,
    format: Option<String>,
    #[serde(default)]
    colour: bool,
}

impl Asked {
    fn wish(self, telemetry: &Telemetry) -> Result<Wish, Refused> {
        let bad = |error: String, help: &str| Refused { status: StatusCode::BAD_REQUEST, error, help: help.to_owned() };
        let condition = self.r#where.filter(|it| !it.trim().is_empty());
        let condition = condition.map(|text| Condition::compile(&text)).transpose();
        let condition = condition.map_err(|error| bad(format!("where: {error}"), &error.help))?;
        let rate = self.rate.unwrap_or(RATE_DEFAULT);
        if !(1..=RATE_MAX).contains(&rate) {
            return Err(bad(format!("rate: {rate} is out of range"), &format!("1 to {RATE_MAX} records a second")));
        }
        let encoding = match self.format.as_deref() {
            None | Some("json") => Encoding::Json,
            Some("pretty") => Encoding::Pretty { colour: self.colour },
            Some(_) => return Err(bad("format: unknown".to_owned(), "json or pretty")),
        };
        let sources: Vec<String> = telemetry.sources().iter().map(|it| it.name().to_string()).collect();
        let sinks: Vec<String> = telemetry.sinks().iter().map(|it| it.name().to_string()).collect();
        for (what, wanted, known) in [("source", &self.source, sources), ("sink", &self.sink, sinks)] {
            if let Some(name) = wanted.as_ref().filter(|name| !known.contains(name)) {
                let help = format!("there are: {}", known.join(", "));
                let error = format!("there is no {what} `{name}`");
                return Err(Refused { status: StatusCode::NOT_FOUND, error, help });
            }
        }
        Ok(Wish { condition, source: self.source, sink: self.sink, rate, encoding })
    }
}

pub async fn tap(
    State(shared): State<Shared>,
    Extension(conversation): Extension<Conversation>,
    headers: HeaderMap,
    Parameters(asked): Parameters<Asked>,
) -> Response {
    if !conversation.may_see_records() {
        return refused(
            StatusCode::FORBIDDEN,
            "records are shown to this machine, and to who has a token",
            "set admin.auth and send a token, use `logboom tap` there, or forward the port: `kubectl port-forward`, `ssh -L`",
        );
    }
    let wish = match asked.wish(&shared.telemetry) {
        Ok(wish) => wish,
        Err(why) => return why.into_response(),
    };
    let Some(subscription) = shared.telemetry.monitor().tap().subscribe(wish) else {
        let error = format!("{SUBSCRIBERS_MAX} watch already");
        return refused(StatusCode::SERVICE_UNAVAILABLE, error, "end one of them");
    };
    conversation.become_long();
    let events = headers.get(ACCEPT).is_some_and(|it| it.as_bytes().starts_with(b"text/event-stream"));
    let (lines, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let end = pump(&subscription, &conversation, &lines, events).await;
        // The answer ends with this, in order where it is read.
        drop(lines);
        if end == End::Shutdown {
            tokio::time::sleep(FAREWELL).await;
        }
        conversation.hang_up();
    });
    let kind = if events { "text/event-stream" } else { "application/x-ndjson" };
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store")];
    (headers.map(|(name, value)| (name, HeaderValue::from_static(value))), Body::new(Lines { receiver }))
        .into_response()
}

#[derive(PartialEq)]
enum End {
    Gone,
    Stuck,
    Shutdown,
}

/// Moves records to the connection until one of both ends.
async fn pump(
    subscription: &Subscription,
    conversation: &Conversation,
    lines: &mpsc::Sender<Bytes>,
    events: bool,
) -> End {
    let mut tick = tokio::time::interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut skipped, mut silent) = (0, 0);
    loop {
        let out = tokio::select! {
            biased;
            () = conversation.shutdown() => return End::Shutdown,
            () = lines.closed() => return End::Gone,
            _ = tick.tick() => {
                silent += 1;
                match std::mem::take(&mut skipped) {
                    0 if silent < SILENT_TICKS_MAX => continue,
                    0 => Bytes::from_static(if events { b":\n\n" } else { b"\n" }),
                    count => told(count, events),
                }
            }
            (chunk, more) = subscription.next() => {
                skipped += more;
                if chunk.is_empty() {
                    continue;
                }
                if events { as_events(&chunk) } else { chunk }
            }
        };
        silent = 0;
        let sent = tokio::select! {
            sent = tokio::time::timeout(READER_PATIENCE, lines.send(out)) => sent,
            () = conversation.shutdown() => return End::Shutdown,
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End::Gone,
            Err(_) => return End::Stuck,
        }
    }
}

fn told(skipped: u64, events: bool) -> Bytes {
    let line = format!("{{\"skipped\":{skipped}}}\n");
    if events { format!("event: skipped\ndata: {line}\n").into() } else { line.into() }
}

fn as_events(lines: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(lines.len() + lines.len() / 4);
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        out.extend_from_slice(b"event: record\ndata: ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n\n");
    }
    out.into()
}

/// A body that comes from a channel.
pub struct Lines {
    pub receiver: mpsc::Receiver<Bytes>,
}

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.receiver.poll_recv(context).map(|bytes| bytes.map(|it| Ok(Frame::data(it))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events() {
        assert_eq!(as_events(b"{}\n{\"a\":1}\n"), "event: record\ndata: {}\n\nevent: record\ndata: {\"a\":1}\n\n");
        assert_eq!(told(3, true), "event: skipped\ndata: {\"skipped\":3}\n\n");
        assert_eq!(told(3, false), "{\"skipped\":3}\n");
    }
}
