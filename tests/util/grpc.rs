//! A gRPC client that sends whatever bytes it is told to.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use logboom::grpc::RawCodec;
use logboom::source::logs_service::EXPORT;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service as _;

/// One HTTP/2 connection at a time.
pub struct Client {
    runtime: Runtime,
    channel: Channel,
}

/// What was answered: `Ok` with how many records were rejected, or the status.
pub type Answer = Result<i64, Status>;

impl Client {
    /// Connects to `host:port`.
    pub fn connect(address: &str) -> Client {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = runtime.block_on(within(endpoint.connect())).unwrap();
        Client { runtime, channel }
    }

    /// Exports a request.
    pub fn export(&self, request: impl Into<Bytes>) -> Answer {
        self.runtime.block_on(within(export(self.channel.clone(), request.into(), None)))
    }

    /// The same, compressed.
    pub fn export_compressed(&self, request: impl Into<Bytes>, encoding: CompressionEncoding) -> Answer {
        self.runtime.block_on(within(export(self.channel.clone(), request.into(), Some(encoding))))
    }

    /// Begins an export and goes on; aborting the task hangs up.
    pub fn begin(&self, request: impl Into<Bytes>) -> tokio::task::JoinHandle<Answer> {
        self.runtime.spawn(export(self.channel.clone(), request.into(), None))
    }

    /// Waits for what was begun.
    pub fn wait(&self, call: tokio::task::JoinHandle<Answer>) -> Answer {
        self.runtime.block_on(within(call)).unwrap()
    }

    /// Begins an export of which only these bytes are ever sent.
    pub fn stall(&self, beginning: impl Into<Bytes>) -> tokio::task::JoinHandle<()> {
        self.stall_at(EXPORT, beginning)
    }

    /// The same for another method.
    pub fn stall_at(&self, path: &str, beginning: impl Into<Bytes>) -> tokio::task::JoinHandle<()> {
        let request = http::Request::post(path).header("content-type", "application/grpc");
        let request = request.body(Body::new(Stalled(Some(beginning.into())))).unwrap();
        let mut channel = self.channel.clone();
        self.runtime.spawn(async move {
            std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
            let _ = channel.call(request).await;
        })
    }

    /// Sends a request made by hand. The HTTP status and the gRPC code, where there is one.
    pub fn raw(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, Option<Code>) {
        let mut request = http::Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::new(Full::new(body.into()))).unwrap();
        let mut channel = self.channel.clone();
        self.runtime.block_on(within(async move {
            std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
            let response = channel.call(request).await.unwrap();
            let (head, body) = response.into_parts();
            let trailers = body.collect().await.unwrap().trailers().cloned().unwrap_or_default();
            let code = head.headers.get("grpc-status").or(trailers.get("grpc-status")).cloned();
            (head.status.as_u16(), code.map(|it| Code::from_bytes(it.as_bytes())))
        }))
    }

    /// An `Export` call made by hand.
    pub fn raw_export(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, Option<Code>) {
        let headers: Vec<_> =
            [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(headers).copied().collect();
        self.raw(EXPORT, &headers, body)
    }
}

/// A gRPC message: flag, length, content.
pub fn framed(flag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(content);
    bytes
}

/// The code, and whether the client is told when to try again.
pub fn verdict(answer: &Answer) -> (Code, bool) {
    match answer {
        Ok(_) => (Code::Ok, false),
        Err(status) => (status.code(), status.get_details_retry_info().is_some()),
    }
}

async fn export(channel: Channel, request: Bytes, encoding: Option<CompressionEncoding>) -> Answer {
    let mut client = tonic::client::Grpc::new(channel);
    if let Some(encoding) = encoding {
        client = client.send_compressed(encoding);
    }
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = http::uri::PathAndQuery::from_static(EXPORT);
    let answer: Bytes =
        client.unary(tonic::Request::new(request), path, RawCodec::<Bytes>::default()).await?.into_inner();
    let response = ExportLogsServiceResponse::decode(answer).unwrap();
    Ok(response.partial_success.map_or(0, |it| it.rejected_log_records))
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.unwrap_or_else(|_| panic!("no answer for a minute"))
}

/// A body that goes silent before its end.
struct Stalled(Option<Bytes>);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(bytes) => Poll::Ready(Some(Ok(http_body::Frame::data(bytes)))),
            None => Poll::Pending,
        }
    }
}
