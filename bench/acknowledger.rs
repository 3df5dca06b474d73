//! The physical yardstick for OTLP: the least that a gRPC server can do.
//!
//! Takes the bytes of each request as HTTP/2 frames hand them over, looks at none of them, and answers
//! OK with an empty `ExportLogsServiceResponse`. With FILE it appends what came to it first: what any
//! collector that keeps records in a file has to do. It uses the same HTTP/2 library, runtime and
//! allocator as logboom, so what logboom costs above it is what logboom does.
//!
//! With `--to ADDRESS` it hands each request on over one connection, and answers when that is answered: the least that a
//! relay can do. It takes frames as large as logboom does then, so that nothing is copied.
//!
//! Usage: `acknowledger [FILE | --to ADDRESS]`. Prints `ready 127.0.0.1:PORT`; when the last open connection has
//! ended, `done REQUESTS BYTES`, where bytes are those of messages without framing, and waits for the
//! next run.

// A program for people who measure: its output is for them, and what it cannot do ends it.
#![allow(clippy::print_stderr)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Room for several requests of 1000 records, so that no sender waits for a window. A collector that
/// bounds its memory has smaller ones: what that costs shows in the ratio.
const WINDOW_BYTES: u32 = 4 << 20;
/// gRPC frames a message by a flag and its length.
const PREFIX_BYTES: u64 = 5;
/// Largest frame of what is handed on.
const FRAME_BYTES: u32 = 512 << 10;

#[derive(Debug, Default)]
struct Run {
    connections: u64,
    requests: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Server {
    file: Option<Mutex<File>>,
    upstream: Option<client::conn::http2::SendRequest<Pieces>>,
    run: Mutex<Run>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut file, mut upstream) = (None, None);
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {}
        ["--to", address] => upstream = Some(connect(address).await?),
        [path] => file = Some(Mutex::new(OpenOptions::new().create(true).append(true).open(path)?)),
        _ => return Err(io::Error::other("usage: acknowledger [FILE | --to ADDRESS]")),
    }
    let server = Arc::new(Server { file, upstream, run: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("ready {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        lock(&server.run).connections += 1;
        tokio::spawn(connection(stream, Arc::clone(&server)));
    }
}

async fn connect(address: &str) -> io::Result<client::conn::http2::SendRequest<Pieces>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let handshake = client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// What is handed on, as it came.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let service = hyper::service::service_fn(|request| answer(request, Arc::clone(&server)));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    if server.upstream.is_some() {
        builder.max_frame_size(FRAME_BYTES);
    }
    let serving = builder
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_concurrent_streams(256)
        .serve_connection(TokioIo::new(stream), service);
    // Senders hang up when they are done; what is missing then is missing in the sums.
    let _hung_up = serving.await;
    let mut run = lock(&server.run);
    run.connections -= 1;
    if run.connections == 0 {
        let run = std::mem::take(&mut *run);
        eprintln!("done {} {}", run.requests, run.bytes - PREFIX_BYTES * run.requests);
    }
}

async fn answer(
    request: Request<Incoming>,
    server: Arc<Server>,
) -> hyper::Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>> {
    let (head, mut body) = request.into_parts();
    let (mut bytes, mut kept) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes += data.len() as u64;
            if !data.is_empty() && (server.file.is_some() || server.upstream.is_some()) {
                kept.push(data);
            }
        }
    }
    let stored = server.file.as_ref().map_or(Ok(()), |file| append(&mut lock(file), &kept));
    if let Some(mut upstream) = server.upstream.clone() {
        let mut answer = upstream.send_request(Request::from_parts(head, Pieces(kept.into()))).await?.into_body();
        while let Some(frame) = answer.frame().await {
            frame?;
        }
    }
    {
        let mut run = lock(&server.run);
        run.requests += 1;
        run.bytes += bytes;
    }
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static(if stored.is_ok() { "0" } else { "14" }));
    let message = Full::new(Bytes::from_static(&[0; PREFIX_BYTES as usize]));
    let mut response = Response::new(message.with_trailers(std::future::ready(Some(Ok(trailers)))));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// One system call for a request, whatever the number of its frames.
fn append(file: &mut File, parts: &[Bytes]) -> io::Result<()> {
    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let written = file.write_vectored(&slices)?;
    match parts.iter().map(Bytes::len).sum::<usize>() == written {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
