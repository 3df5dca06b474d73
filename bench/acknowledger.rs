//! The physical yardstick for OTLP: the least that a gRPC server can do.
//!
//! Takes the bytes of each request as HTTP/2 frames hand them over, looks at none of them, and answers
//! OK with an empty `ExportLogsServiceResponse`. With FILE it appends what came to it first: what any
//! collector that keeps records in a file has to do. It uses the same HTTP/2 library, runtime and
//! allocator as logboom, so what logboom costs above it is what logboom does.
//!
//! Usage: `acknowledger [FILE]`. Prints `ready 127.0.0.1:PORT`; when the last open connection has
//! ended, `done REQUESTS BYTES`, where bytes are those of messages without framing, and waits for the
//! next run.

// A program for people who measure: its output is for them, and what it cannot do ends it.
#![allow(clippy::print_stderr)]

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
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

#[derive(Debug, Default)]
struct Run {
    connections: u64,
    requests: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Server {
    file: Option<Mutex<File>>,
    run: Mutex<Run>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let append = |path| OpenOptions::new().create(true).append(true).open(path);
    let file = std::env::args_os().nth(1).map(append).transpose()?;
    let server = Arc::new(Server { file: file.map(Mutex::new), run: Mutex::default() });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("ready {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        lock(&server.run).connections += 1;
        tokio::spawn(connection(stream, Arc::clone(&server)));
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let service = hyper::service::service_fn(|request| answer(request, Arc::clone(&server)));
    let serving = http2::Builder::new(TokioExecutor::new())
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
    let mut body = request.into_body();
    let (mut bytes, mut kept) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes += data.len() as u64;
            if server.file.is_some() {
                kept.push(data);
            }
        }
    }
    let stored = server.file.as_ref().map_or(Ok(()), |file| append(&mut lock(file), &kept));
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
