//! A running process hands its sockets to the next one, and nobody who sends notices.
//!
//! ```text
//! next process                          running process
//!   Hello            ────────────────▶
//!                    ◀────────────────  Offer: what it listens on
//!   binds the rest
//!   Take             ────────────────▶  stops reading, between two reads
//!                    ◀────────────────  Listeners, Connections with what they are in the middle of
//!                    ◀────────────────  Complete
//!   Taken            ────────────────▶
//!                                       delivers what it has, closes its files
//!                    ◀────────────────  Released
//!   opens its sinks
//!   Ready            ────────────────▶
//!                    ◀────────────────  Yours; ends
//!   reads on
//! ```
//!
//! Until `Yours` both have the sockets, and neither reads. If the next process fails at any step, the
//! running one opens its sinks again and reads on; if the running one dies, the next goes on.
//! Meanwhile what is sent waits in the kernel's buffers, and who connects waits in its backlog.

use std::net::SocketAddr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod predecessor;
pub mod wire;

use crate::source::lines::{Account, Connection, Unfinished};
use crate::source::listen::Listener;
use wire::{Channel, FDS_MAX, Frame};

/// Changes whenever a process of before would not understand.
const PROTOCOL: u32 = 1;
/// How long the other process may take for a step that costs nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the next process may take to bind what is not handed over.
const BIND_PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to open its sinks: nobody reads meanwhile.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);

/// Where the next process finds the running one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TakeoverConfig {
    /// Path of a unix socket that only processes of the same user can use.
    pub socket: PathBuf,
}

impl TakeoverConfig {
    /// The socket as an address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }
}

/// Everything that is said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    Hello {
        protocol: u32,
        version: String,
    },
    Refused {
        why: String,
    },
    Offer {
        version: String,
        process: u32,
        grace_ms: u64,
        listeners: Vec<Offered>,
        /// Versions of before do not say.
        #[serde(default)]
        journal: Option<String>,
    },
    Take {
        listeners: Vec<Offered>,
        sources: Vec<String>,
    },
    Listeners {
        listeners: Vec<HandedListener>,
    },
    Connection(HandedConnection),
    Complete {
        connections: usize,
    },
    Taken,
    Released,
    Ready,
    Yours,
}

/// A listener that can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Who listens: `source mesh`, `admin`, `takeover`.
    pub owner: String,
    /// Where, as it is configured.
    pub address: String,
}

/// A listener on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HandedListener {
    /// Who had it.
    owner: String,
    /// What is to be removed with it.
    path: Option<PathBuf>,
}

/// A connection on its way; its unfinished line goes beside.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct HandedConnection {
    source: String,
    peer: Option<SocketAddr>,
    is_skipping: bool,
    account: Account,
}

/// A connection that has arrived.
#[derive(Debug)]
pub struct Arrived {
    /// Name of its source.
    pub source: String,
    fd: OwnedFd,
    state: HandedConnection,
    unfinished: Vec<u8>,
}

impl Arrived {
    /// The socket, and what the connection is in the middle of.
    pub fn parts(&self) -> std::io::Result<(OwnedFd, Unfinished<'_>)> {
        let HandedConnection { peer, is_skipping, account, .. } = self.state;
        Ok((self.fd.try_clone()?, Unfinished { peer, bytes: &self.unfinished, is_skipping, account }))
    }
}

/// What is offered to the next process.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What is listened on.
    pub listeners: Vec<Offered>,
    /// How long delivering may take in the end.
    pub grace: Duration,
    /// The directory of the journal, if there is one.
    pub journal: Option<String>,
}

/// What the next process wants.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Listeners out of the offer.
    pub listeners: Vec<Offered>,
    /// Sources whose connections it goes on with, by name.
    pub sources: Vec<String>,
}

/// The next process, as the running one sees it.
#[derive(Debug)]
pub struct Successor {
    channel: Channel,
}

impl Successor {
    /// Hears who it is, and what it wants of the offer. Blocks, for a minute at most.
    pub fn meet(stream: std::os::unix::net::UnixStream, offer: &Offer) -> anyhow::Result<(Successor, Wanted)> {
        let mut channel = Channel::new(stream, PATIENCE)?;
        let Message::Hello { protocol, version } = said(&mut channel)? else { bail!("it does not say hello") };
        if protocol != PROTOCOL {
            let why = format!("version {version} speaks another protocol: restart instead of taking over");
            channel.send(&Message::Refused { why: why.clone() }, &[], &[])?;
            bail!(why);
        }
        let message = Message::Offer {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: std::process::id(),
            grace_ms: u64::try_from(offer.grace.as_millis()).unwrap_or(u64::MAX),
            listeners: offer.listeners.clone(),
            journal: offer.journal.clone(),
        };
        channel.send(&message, &[], &[])?;
        channel.be_patient(BIND_PATIENCE)?;
        let Message::Take { listeners, sources } = said(&mut channel)? else { bail!("it does not say what to take") };
        channel.be_patient(PATIENCE)?;
        Ok((Successor { channel }, Wanted { listeners, sources }))
    }

    /// Tells it that it gets nothing.
    pub fn refuse(&mut self, why: &str) {
        // It may be gone, then nobody is left to tell.
        let _ = self.channel.send(&Message::Refused { why: why.to_owned() }, &[], &[]);
    }

    /// Sends everything and waits until it has it.
    pub fn give(&mut self, listeners: &[(&str, &Listener)], connections: &[(&str, &Connection)]) -> anyhow::Result<()> {
        for some in listeners.chunks(FDS_MAX) {
            let handed = |(owner, listener): &(&str, &Listener)| HandedListener {
                owner: (*owner).to_owned(),
                path: listener.path().map(Path::to_owned),
            };
            let fds: Vec<BorrowedFd<'_>> = some.iter().map(|(_, listener)| listener.as_fd()).collect();
            self.channel.send(&Message::Listeners { listeners: some.iter().map(handed).collect() }, &[], &fds)?;
        }
        for (source, connection) in connections {
            let Unfinished { peer, bytes, is_skipping, account } = connection.state();
            let handed = HandedConnection { source: (*source).to_owned(), peer, is_skipping, account };
            self.channel.send(&Message::Connection(handed), bytes, &[connection.stream().as_fd()])?;
        }
        self.channel.send(&Message::Complete { connections: connections.len() }, &[], &[])?;
        ensure!(matches!(said(&mut self.channel)?, Message::Taken), "it does not say that it has everything");
        Ok(())
    }

    /// Tells it that the files are free, and waits until it has opened its own.
    pub fn release(&mut self) -> anyhow::Result<()> {
        self.channel.send(&Message::Released, &[], &[])?;
        self.channel.be_patient(OPEN_PATIENCE)?;
        ensure!(matches!(said(&mut self.channel)?, Message::Ready), "it does not say that it is ready");
        // It does not read without this: where it cannot be sent, the sockets are still ours.
        self.channel.send(&Message::Yours, &[], &[])
    }
}

/// The next message, without anything beside it.
fn said(channel: &mut Channel) -> anyhow::Result<Message> {
    let Frame { message, .. } = channel.receive::<Message>().context("the conversation has ended")?;
    if let Message::Refused { why } = message {
        bail!("refused: {why}");
    }
    Ok(message)
}
