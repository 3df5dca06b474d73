//! Asks a running process by its control socket.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::{Buf as _, Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Bytes of an answer that is read as a whole.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of one line of an answer that never ends.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A process that can be asked.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
}

/// Nobody answers.
#[derive(Debug)]
pub struct Unreachable {
    tried: Vec<(PathBuf, std::io::Error)>,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot connect to a running logboom")?;
        for (path, error) in &self.tried {
            write!(f, "\n  {}: {error}", path.display())?;
        }
        f.write_str("\n  is it running, as this user? name its socket with --socket PATH, or its configuration with --config FILE")
    }
}

impl std::error::Error for Unreachable {}

/// An answer whose lines are read as they come.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Client {
    /// The first of `places` where somebody listens.
    ///
    /// # Errors
    /// When nobody does anywhere.
    pub async fn connect(places: &[PathBuf]) -> Result<Client, Unreachable> {
        let mut tried = Vec::new();
        for path in places {
            match UnixStream::connect(path).await {
                Ok(_) => return Ok(Client { path: path.clone() }),
                Err(error) => tried.push((path.clone(), error)),
            }
        }
        Err(Unreachable { tried })
    }

    /// Where it listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks, and reads the answer as JSON. What was refused is an error.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let (status, body) = self.ask(Method::GET, path).await?;
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        serde_json::from_slice(&body).with_context(|| format!("cannot read the answer to {path}"))
    }

    /// Asks, and reads the whole answer.
    pub async fn ask(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let (status, body) = self.send(method, path).await?;
        let body = http_body_util::Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer to {path} is not whole: {error}"))?;
        Ok((status, body.to_bytes()))
    }

    /// Asks for an answer that comes line by line. What was refused is an error.
    pub async fn lines(&self, method: Method, path: &str) -> anyhow::Result<Lines> {
        let (status, body) = self.send(method, path).await?;
        if !status.is_success() {
            return Err(refusal(status, &body.collect().await?.to_bytes()));
        }
        Ok(Lines { body, buffer: BytesMut::new() })
    }

    async fn send(&self, method: Method, path: &str) -> anyhow::Result<(StatusCode, Incoming)> {
        let place = self.path.display();
        let stream = UnixStream::connect(&self.path).await.with_context(|| format!("cannot connect to {place}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // What goes wrong is told where the answer is read.
            let _ = connection.await;
        });
        let request = Request::builder().method(method).uri(path).body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await.with_context(|| format!("{place} does not answer"))?;
        let (head, body) = response.into_parts();
        Ok((head.status, body))
    }
}

/// What the process says against it.
fn refusal(status: StatusCode, body: &[u8]) -> anyhow::Error {
    let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    match (said["error"].as_str(), said["help"].as_str()) {
        (Some(error), Some(help)) => anyhow::anyhow!("{error}\n  {help}"),
        (Some(error), None) => anyhow::anyhow!("{error}"),
        _ => anyhow::anyhow!("{status}: {}", String::from_utf8_lossy(body).trim().escape_debug()),
    }
}

impl Lines {
    /// The next line without its end, which the last one may lack; `None` at the end of the answer.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(1);
                return Ok(Some(line));
            }
            anyhow::ensure!(self.buffer.len() <= LINE_BYTES_MAX, "a line of the answer is too long");
            let Some(frame) = self.body.frame().await else {
                let rest = self.buffer.split().freeze();
                return Ok((!rest.is_empty()).then_some(rest));
            };
            if let Ok(data) = frame.context("the answer has broken off")?.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}
