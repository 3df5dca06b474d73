//! The running process, as the next one sees it.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::wire::{self, Channel, Frame};
use super::{Arrived, Message, Offered, PATIENCE, PROTOCOL, Wanted, said};
use crate::source::listen::Listener;

/// A running process that is willing.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    /// What it listens on.
    pub listeners: Vec<Offered>,
    /// The directory of its journal, if it has one and says so.
    pub journal: Option<String>,
}

/// What it has handed over.
#[derive(Debug, Default)]
pub struct Received {
    /// Listeners, by who had them.
    pub listeners: Vec<(String, Listener)>,
    /// Connections.
    pub connections: Vec<Arrived>,
}

impl Predecessor {
    /// Asks the process at `path`; `None` when there is none.
    pub fn meet(path: &Path) -> anyhow::Result<Option<Predecessor>> {
        let stream = match UnixStream::connect(path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            stream => stream.with_context(|| format!("cannot connect to {}", path.display()))?,
        };
        let mut channel = Channel::new(stream, PATIENCE)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        channel.send(&Message::Hello { protocol: PROTOCOL, version }, &[], &[])?;
        let Message::Offer { version, process, grace_ms, listeners, journal } = said(&mut channel)? else {
            bail!("it offers nothing")
        };
        tracing::info!(process, version, "taking over from a running logboom");
        let grace = Duration::from_millis(grace_ms);
        // It stops reading within its grace, and then delivers within it.
        channel.be_patient(grace + PATIENCE)?;
        Ok(Some(Predecessor { channel, listeners, journal }))
    }

    /// Takes what is wanted. After an error the other process goes on as before. To be called within a
    /// tokio runtime.
    pub fn take(&mut self, wanted: Wanted) -> anyhow::Result<Received> {
        let Wanted { listeners, sources } = wanted;
        self.channel.send(&Message::Take { listeners, sources }, &[], &[])?;
        let mut received = Received::default();
        loop {
            let Frame { message, bytes, mut fds } = self.channel.receive::<Message>()?;
            match message {
                Message::Listeners { listeners } => {
                    for handed in listeners {
                        let fd = fds.pop_front().context("a listener is missing")?;
                        let listener = Listener::from_fd(fd, handed.path)?;
                        // It is the other's until that says otherwise.
                        listener.hand_over();
                        received.listeners.push((handed.owner, listener));
                    }
                }
                Message::Connection(state) => {
                    let fd = fds.pop_front().context("a connection is missing")?;
                    received.connections.push(Arrived { source: state.source.clone(), fd, state, unfinished: bytes });
                }
                Message::Complete { connections } => {
                    ensure!(connections == received.connections.len(), "connections are missing");
                    break;
                }
                Message::Refused { why } => bail!("refused: {why}"),
                _ => bail!("it says something unexpected"),
            }
        }
        self.channel.send(&Message::Taken, &[], &[])?;
        Ok(received)
    }

    /// Waits until the other process has delivered what it had, and has closed its files. An error
    /// is that it goes on itself.
    pub fn released(&mut self) -> anyhow::Result<()> {
        self.hear(|message| matches!(message, Message::Released))
    }

    /// Tells it that everything is open here. Then the sockets belong to this process; or an error
    /// says that the other one goes on.
    pub fn ready(&mut self) -> anyhow::Result<()> {
        // If it has died, this fails, and nobody else is there to go on.
        let _ = self.channel.send(&Message::Ready, &[], &[]);
        self.hear(|message| matches!(message, Message::Yours))
    }

    fn hear(&mut self, expected: impl Fn(&Message) -> bool) -> anyhow::Result<()> {
        match self.channel.receive::<Message>() {
            Ok(Frame { message: Message::Refused { why }, .. }) => bail!("refused: {why}"),
            Ok(Frame { message, .. }) => {
                ensure!(expected(&message), "it says something unexpected");
            }
            Err(error) if wire::is_end(&error) => {
                tracing::warn!("the process before this one has died, going on without it");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
