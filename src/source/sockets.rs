//! Where listeners come from: sockets that were passed to the process, by systemd or by the process
//! before it, else new ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use rustix::io::{Errno, FdFlags};

use super::listen::{Listener, resolve};

/// How an address begins that is the name of an inherited socket.
pub const SYSTEMD: &str = "systemd:";

/// Sockets that are there before anything is bound.
#[derive(Debug, Default)]
pub struct Sockets {
    inherited: Vec<(String, OwnedFd)>,
    /// By who is going to listen.
    given: BTreeMap<String, Listener>,
}

impl Sockets {
    /// Those that systemd passed: `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`. To be called once,
    /// before the process opens anything: the descriptors are taken by their numbers.
    pub fn inherited() -> anyhow::Result<Sockets> {
        let passed = sd_listen_fds::get().context(
            "the sockets passed to this process cannot be told: LISTEN_PID or LISTEN_FDS is no number; unset both",
        )?;
        let mut inherited = Vec::with_capacity(passed.len());
        let mut missing = 0;
        for (name, fd) in passed {
            let (name, fd) = (name.unwrap_or_else(|| "unknown".to_owned()), fd.into_std());
            match rustix::io::fcntl_setfd(&fd, FdFlags::CLOEXEC) {
                Err(Errno::BADF) => {
                    missing += 1;
                    // Nobody's: closing it could close what is opened later.
                    std::mem::forget(fd);
                }
                set => {
                    set.context("cannot take over an inherited socket")?;
                    inherited.push((name, fd));
                }
            }
        }
        if missing > 0 {
            bail!("LISTEN_FDS counts {missing} sockets that were not passed; unset LISTEN_PID and LISTEN_FDS");
        }
        Ok(Sockets { inherited, given: BTreeMap::new() })
    }

    /// `owner` is going to get this listener, wherever it asks for one.
    pub fn give(&mut self, owner: String, listener: Listener) {
        self.given.insert(owner, listener);
    }

    /// A listener for `owner` on `host:port`, `unix:/path` or `systemd:NAME`. The error says what to
    /// do.
    pub fn listen(&mut self, owner: &str, address: &str) -> anyhow::Result<Listener> {
        if let Some(given) = self.given.remove(owner) {
            return Ok(given);
        }
        if let Some(name) = address.strip_prefix(SYSTEMD) {
            return self.named(name);
        }
        match self.bound_to(address) {
            Some(fd) => Listener::from_fd(fd.try_clone()?, None),
            None => Listener::bind(address),
        }
    }

    fn named(&self, name: &str) -> anyhow::Result<Listener> {
        let mut same = self.inherited.iter().filter(|(it, _)| it == name);
        match (same.next(), same.next()) {
            (Some((_, fd)), None) => {
                let listener = Listener::from_fd(fd.try_clone()?, None);
                listener.with_context(|| format!("cannot listen on the inherited socket {name}"))
            }
            (Some(_), Some(_)) => {
                bail!(
                    "{name} is the name of several inherited sockets: a source listens on one; give each a socket unit"
                )
            }
            (None, _) if self.inherited.is_empty() => bail!(
                "there is no inherited socket {name}, none was passed: start logboom by a systemd socket unit with FileDescriptorName={name}, or write host:port"
            ),
            (None, _) => {
                let names: Vec<&str> = self.inherited.iter().map(|(name, _)| name.as_str()).collect();
                bail!("there is no inherited socket {name}: passed were {}", names.join(", "))
            }
        }
    }

    /// An inherited socket that is bound to this address already.
    fn bound_to(&self, address: &str) -> Option<&OwnedFd> {
        if self.inherited.is_empty() {
            return None;
        }
        let wanted = match address.strip_prefix("unix:") {
            Some(path) => Bound::Unix(path.into()),
            None => Bound::Tcp(resolve(address).ok()?),
        };
        self.inherited.iter().map(|(_, fd)| fd).find(|fd| Bound::of(fd).as_ref() == Some(&wanted))
    }
}

/// What a socket is bound to.
#[derive(PartialEq)]
enum Bound {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Bound {
    fn of(fd: &OwnedFd) -> Option<Bound> {
        let address = socket2::SockRef::from(fd).local_addr().ok()?;
        match address.as_socket() {
            Some(address) => Some(Bound::Tcp(address)),
            None => address.as_pathname().map(|path| Bound::Unix(path.to_owned())),
        }
    }
}
