//! Sends OTLP requests over gRPC: pre-rendered bytes, the next one after the answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status};

use super::CONNECT_MAX;
use super::args::Token;
use super::pace::{Pacer, Turn};
use super::pool::{Outgoing, Pool};
use super::report::Tally;

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// How long an answer may take. Envoy sets no limit; a generator has to end.
const ANSWER_MAX: Duration = Duration::from_secs(30);
/// How long a stream rests after a refusal, so that a dead collector does not use up the count in
/// a moment.
const REFUSED_REST: Duration = Duration::from_millis(10);

/// One HTTP/2 connection with a thread's runtime, as each Envoy worker has one.
pub(super) struct Connection {
    runtime: Runtime,
    channel: Channel,
    token: Option<AsciiMetadataValue>,
}

impl Connection {
    pub fn open(address: &str, tls: Option<ClientTlsConfig>, token: Option<&Token>) -> anyhow::Result<Connection> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .with_context(|| format!("'{address}' is not an address"))?
            .connect_timeout(CONNECT_MAX)
            .tcp_nodelay(true);
        let endpoint = match tls {
            Some(tls) => endpoint.tls_config(tls)?,
            None => endpoint,
        };
        let channel = runtime.block_on(endpoint.connect())?;
        Ok(Connection { runtime, channel, token: token.map(|it| it.0.clone()) })
    }
}

/// Sends until the pacer says it is over; what was sent and answered is in the tally. A refused
/// request is not sent again, as Envoy does not.
pub(super) fn send(connection: Connection, pool: Pool, pacer: Pacer, streams: u32, tally: &Arc<Tally>) {
    let Connection { runtime, channel, token } = connection;
    let source = Rc::new(RefCell::new((pool, pacer)));
    let tasks = LocalSet::new();
    for _ in 0..streams {
        tasks.spawn_local(stream(channel.clone(), token.clone(), source.clone(), tally.clone()));
    }
    runtime.block_on(tasks);
    tally.finish(source.borrow().0.ids());
}

async fn stream(
    channel: Channel,
    token: Option<AsciiMetadataValue>,
    source: Rc<RefCell<(Pool, Pacer)>>,
    tally: Arc<Tally>,
) {
    let mut client = tonic::client::Grpc::new(channel);
    loop {
        let next = {
            let (pool, pacer) = &mut *source.borrow_mut();
            match pacer.request() {
                Turn::Send(records) => pool.next_request(records).map(|request| (records, request)).ok_or(None),
                Turn::Wait(time) => Err(Some(time)),
                Turn::Over => Err(None),
            }
        };
        let (records, request) = match next {
            Ok(next) => next,
            Err(Some(time)) => {
                tokio::time::sleep(time).await;
                continue;
            }
            Err(None) => return,
        };
        let (records, bytes) = (u64::from(records), request.bytes_len() as u64);
        tally.sent(records, bytes);
        let asked = Instant::now();
        let answer = tokio::time::timeout(ANSWER_MAX, export(&mut client, token.as_ref(), request)).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        match answer {
            Ok(response) => {
                let rejected = response.partial_success.map_or(0, |partial| partial.rejected_log_records);
                tally.answered(Code::Ok, records, u64::try_from(rejected).unwrap_or(0), asked.elapsed());
            }
            Err(status) => {
                tally.answered(status.code(), records, records, asked.elapsed());
                tally.explain(status.code(), status.message());
                tokio::time::sleep(REFUSED_REST).await;
            }
        }
    }
}

async fn export(
    client: &mut tonic::client::Grpc<Channel>,
    token: Option<&AsciiMetadataValue>,
    request: Outgoing,
) -> Result<ExportLogsServiceResponse, Status> {
    client.ready().await.map_err(|error| Status::unavailable(format!("not connected: {error}")))?;
    let path = PathAndQuery::from_static(EXPORT);
    let mut request = tonic::Request::new(request);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", token.clone());
    }
    Ok(client.unary(request, path, Raw).await?.into_inner())
}

/// The part of the answer that counts.
#[derive(Clone, PartialEq, Message)]
struct ExportLogsServiceResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<ExportLogsPartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct ExportLogsPartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
}

/// Requests are encoded already; answers are small.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Outgoing;
    type Decode = ExportLogsServiceResponse;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, item: Outgoing, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.reserve(item.bytes_len());
        item.write(dst);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = ExportLogsServiceResponse;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let response = ExportLogsServiceResponse::decode(src);
        response
            .map(Some)
            .map_err(|error| Status::internal(format!("the answer is not an ExportLogsServiceResponse: {error}")))
    }
}
