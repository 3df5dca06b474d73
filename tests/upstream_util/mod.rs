//! An upstream that answers from a script, and a sink that talks to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt as _;
use logboom::batch::{Batch, Origin};
use logboom::config::units::WaitMax;
use logboom::grpc::RawCodec;
use logboom::inbox::{Inbox, InboxSettings, Put};
use logboom::sink::otlp::{Certificates, Upstream, UpstreamStats, run};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::{ServerTlsConfig, TcpIncoming};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Fails a test that waits for what never comes. No test passes or fails by how long it took.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("nothing happened for a minute")
}

/// What the upstream does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Ok,
    Partial(i64, &'static str),
    Status(Code),
    RetryInfo(Code, Duration),
    /// Never an answer.
    Hang,
    /// An answer once so many requests are here at once.
    Together(Arc<tokio::sync::Barrier>),
    /// The same after headers, not instead of them.
    InTrailers(Code, Option<Duration>),
    /// A gRPC status whose details are not base64.
    BrokenDetails(Code),
    /// An HTTP status from somebody who does not speak gRPC.
    Http(u16),
}

/// What the upstream has got.
#[derive(Debug, Default)]
pub struct Got {
    pub requests: Vec<Bytes>,
    pub headers: Vec<HeaderMap>,
    /// Of records in accepted requests.
    pub ids: Vec<u64>,
}

type Script = Arc<dyn Fn(usize, &ExportLogsServiceRequest) -> Reply + Send + Sync>;

/// An upstream on a port of its own, until it is dropped.
pub struct Mock {
    pub address: SocketAddr,
    got: watch::Receiver<()>,
    state: Arc<Mutex<Got>>,
    runtime: Option<Runtime>,
}

impl Mock {
    pub fn new(script: impl Fn(usize, &ExportLogsServiceRequest) -> Reply + Send + Sync + 'static) -> Mock {
        Mock::at("127.0.0.1:0", None, script)
    }

    pub fn at(
        address: &str,
        tls: Option<ServerTlsConfig>,
        script: impl Fn(usize, &ExportLogsServiceRequest) -> Reply + Send + Sync + 'static,
    ) -> Mock {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(Got::default()));
        let (changed, got) = watch::channel(());
        let service = Service { script: Arc::new(script), state: Arc::clone(&state), changed };
        // A runtime of its own, so that dropping it cuts every connection.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let mut server = tonic::transport::Server::builder();
            if let Some(tls) = tls {
                server = server.tls_config(tls).unwrap();
            }
            server.serve_with_incoming(service, TcpIncoming::from(listener).with_nodelay(Some(true))).await.unwrap();
        });
        Mock { address, got, state, runtime: Some(runtime) }
    }

    pub fn uri(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn got(&self) -> std::sync::MutexGuard<'_, Got> {
        self.state.lock().unwrap()
    }

    /// Waits until so many requests have come.
    pub async fn requests(&self, count: usize) {
        let mut got = self.got.clone();
        within(async {
            while self.got().requests.len() < count {
                got.changed().await.unwrap();
            }
        })
        .await;
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

#[derive(Clone)]
struct Service {
    script: Script,
    state: Arc<Mutex<Got>>,
    changed: watch::Sender<()>,
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl tower::Service<http::Request<Body>> for Service {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(RawCodec::<Bytes>::default())
                .max_decoding_message_size(64 << 20)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd);
            let mut response = grpc.unary(service, request).await;
            let in_trailers = response.headers_mut().remove("x-in-trailers").is_some();
            if let Some(raw) = response.headers_mut().remove("x-raw-http") {
                *response.status_mut() = raw.to_str().unwrap().parse().unwrap();
                response.headers_mut().remove("grpc-status");
                response.headers_mut().remove("grpc-message");
            }
            if response.headers_mut().remove("x-broken-details").is_some() {
                response.headers_mut().insert("grpc-status-details-bin", "!not base64!".parse().unwrap());
            }
            if in_trailers {
                let mut trailers = HeaderMap::new();
                for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
                    if let Some(value) = response.headers_mut().remove(name) {
                        trailers.insert(name, value);
                    }
                }
                let body = http_body_util::Empty::<Bytes>::new().with_trailers(async { Some(Ok(trailers)) });
                *response.body_mut() = Body::new(body);
            }
            Ok(response)
        })
    }
}

impl tower::Service<Request<Bytes>> for Service {
    type Response = Response<Bytes>;
    type Error = Status;
    type Future = Answer<Result<Response<Bytes>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (metadata, _, bytes) = request.into_parts();
        let decoded = ExportLogsServiceRequest::decode(bytes.clone()).unwrap();
        let mut got = self.state.lock().unwrap();
        let reply = (self.script)(got.requests.len(), &decoded);
        if matches!(reply, Reply::Ok | Reply::Partial(..) | Reply::Together(_)) {
            got.ids.extend(ids(&decoded));
        }
        got.requests.push(bytes);
        got.headers.push(metadata.into_headers());
        drop(got);
        self.changed.send_replace(());
        Box::pin(async move {
            let ok = || Ok(Response::new(Bytes::from(ExportLogsServiceResponse::default().encode_to_vec())));
            match reply {
                Reply::Ok => ok(),
                Reply::Partial(rejected_log_records, text) => {
                    let partial_success =
                        Some(ExportLogsPartialSuccess { rejected_log_records, error_message: text.to_owned() });
                    Ok(Response::new(ExportLogsServiceResponse { partial_success }.encode_to_vec().into()))
                }
                Reply::Status(code) => Err(Status::new(code, "scripted")),
                Reply::RetryInfo(code, delay) => {
                    Err(Status::with_error_details(code, "scripted", ErrorDetails::with_retry_info(Some(delay))))
                }
                Reply::InTrailers(code, delay) => {
                    let mut details = ErrorDetails::new();
                    if delay.is_some() {
                        details.set_retry_info(delay);
                    }
                    let mut status = Status::with_error_details(code, "scripted", details);
                    status.metadata_mut().insert("x-in-trailers", "1".parse().unwrap());
                    Err(status)
                }
                Reply::Hang => std::future::pending().await,
                Reply::Together(barrier) => {
                    barrier.wait().await;
                    ok()
                }
                Reply::BrokenDetails(code) => {
                    let mut status = Status::new(code, "scripted");
                    status.metadata_mut().insert("x-broken-details", "1".parse().unwrap());
                    Err(status)
                }
                Reply::Http(http) => {
                    let mut status = Status::new(Code::Unknown, "scripted");
                    status.metadata_mut().insert("x-raw-http", http.to_string().parse().unwrap());
                    Err(status)
                }
            }
        })
    }
}

/// Ids of the records in a request.
pub fn ids(request: &ExportLogsServiceRequest) -> Vec<u64> {
    let scopes = request.resource_logs.iter().flat_map(|it| &it.scope_logs);
    scopes.flat_map(|it| &it.log_records).map(|it| it.time_unix_nano).collect()
}

/// A batch with a record for every id.
pub fn batch(ids: impl IntoIterator<Item = u64>) -> Batch {
    padded_batch(ids, 0)
}

/// The same with `padding` more bytes in each record.
pub fn padded_batch(ids: impl IntoIterator<Item = u64>, padding: usize) -> Batch {
    let record = |time_unix_nano| LogRecord { time_unix_nano, event_name: "x".repeat(padding), ..LogRecord::default() };
    let log_records: Vec<_> = ids.into_iter().map(record).collect();
    let records = log_records.len() as u64;
    let scope = Some(InstrumentationScope { name: "scope".to_owned(), ..InstrumentationScope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records, schema_url: String::new() }];
    let resource = Some(Resource { dropped_attributes_count: 7, ..Resource::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, schema_url: String::new() }];
    Batch {
        payload: ExportLogsServiceRequest { resource_logs }.encode_to_vec().into(),
        records,
        routes: None,
        origin: Origin { source: "test".into(), peer: None, received_unix_nano: 1 },
    }
}

pub fn inbox(capacity_bytes: usize, wait_max: WaitMax) -> Arc<Inbox> {
    // Gap records are empty, to keep the encoder out of this.
    Inbox::new(InboxSettings { sink: "upstream".into(), capacity_bytes, wait_max, encoding: None })
}

/// A running sink.
pub struct Sink {
    pub inbox: Arc<Inbox>,
    pub stats: Arc<UpstreamStats>,
    pub certificates: Option<Arc<Certificates>>,
    stop: watch::Sender<Option<Instant>>,
    task: tokio::task::JoinHandle<u64>,
}

impl Sink {
    /// Settings as in a configuration, with pauses that do not slow the tests down.
    pub fn new(inbox: Arc<Inbox>, yaml: &str) -> Sink {
        let defaults = if yaml.contains("retry:") { "" } else { "retry: {initial: 1ms, max: 20ms}\n" };
        let config = serde_saphyr::from_str(&format!("{defaults}{yaml}")).unwrap();
        let stats = Arc::new(UpstreamStats::default());
        let (stop, stopped) = watch::channel(None);
        let upstream = Upstream::new(&config).unwrap();
        let certificates = upstream.certificates();
        let task = tokio::spawn(run(Arc::clone(&inbox), upstream, Arc::clone(&stats), stopped));
        Sink { inbox, stats, certificates, stop, task }
    }

    pub fn to(mock: &Mock) -> Sink {
        Sink::new(inbox(64 << 20, WaitMax::Forever), &format!("endpoint: {}", mock.uri()))
    }

    pub async fn put(&self, batch: Batch) {
        assert_eq!(within(self.inbox.put(batch, None)).await, Put::Accepted);
    }

    /// Waits until everything is delivered or failed for good, with no end in sight.
    pub async fn finish(self) -> Summary {
        self.inbox.close();
        within(self.end()).await
    }

    /// Ends it as logboom does: within the grace.
    pub async fn stop(self, grace: Duration) -> Summary {
        self.inbox.close();
        self.stop.send_replace(Some(Instant::now() + grace));
        within(self.end()).await
    }

    async fn end(self) -> Summary {
        let left = self.task.await.unwrap();
        let tally = self.inbox.tally();
        assert_eq!(tally.imbalance(), 0);
        assert_eq!(tally.in_flight, 0);
        assert_eq!(self.inbox.used_bytes(), 0);
        assert_eq!(tally.failed, self.stats.failed_total(), "every failure has a reason");
        Summary { delivered: tally.delivered, failed: tally.failed, left, stats: self.stats }
    }

    /// Waits until the sink has had to repeat itself so often.
    pub async fn retries(&self, count: u64) {
        use logboom::sink::otlp::Reason;
        within(async {
            while Reason::ALL.iter().map(|it| self.stats.retries(*it)).sum::<u64>() < count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

/// What became of everything.
pub struct Summary {
    pub delivered: u64,
    pub failed: u64,
    pub left: u64,
    pub stats: Arc<UpstreamStats>,
}
