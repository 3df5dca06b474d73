//! Frames with descriptors, over a unix stream socket, between two processes of one user.
//!
//! A frame is a head of 16 bytes, a message as JSON, and bytes. Its descriptors travel with the first
//! byte of the head, so they have arrived when the head has.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg, sockopt,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Descriptors of one frame.
pub const FDS_MAX: usize = 64;
/// Bytes of a message.
const JSON_BYTES_MAX: usize = 1 << 20;
/// Bytes beside a message: the largest unfinished line.
const BYTES_MAX: usize = 64 << 20;
const MAGIC: [u8; 4] = *b"LBH1";
const HEAD_BYTES: usize = 16;

/// The other process has hung up.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the other process has ended, or has hung up")]
struct End;

/// True when it is the end of the conversation, between two frames or in one.
#[must_use]
pub fn is_end(error: &anyhow::Error) -> bool {
    let is_reset = |it: &io::Error| matches!(it.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof);
    error.is::<End>() || error.downcast_ref::<io::Error>().is_some_and(is_reset)
}

/// One end of a conversation. Blocks, at most for its patience.
#[derive(Debug)]
pub struct Channel {
    stream: UnixStream,
}

/// What came in one frame.
#[derive(Debug)]
pub struct Frame<T> {
    /// The message.
    pub message: T,
    /// What came with it.
    pub bytes: Vec<u8>,
    /// Descriptors.
    pub fds: VecDeque<OwnedFd>,
}

impl Channel {
    /// A conversation over `stream`, if the process at the other end belongs to the same user, or
    /// to root.
    pub fn new(stream: UnixStream, patience: Duration) -> anyhow::Result<Channel> {
        stream.set_nonblocking(false)?;
        let peer = sockopt::socket_peercred(&stream).context("cannot tell who is at the other end")?;
        let own = rustix::process::geteuid();
        ensure!(
            peer.uid == own || peer.uid.is_root(),
            "the other process belongs to user {}, this one to user {}: only a process of the same user may take over",
            peer.uid.as_raw(),
            own.as_raw()
        );
        let channel = Channel { stream };
        channel.be_patient(patience)?;
        Ok(channel)
    }

    /// How long the other end may take, from now on.
    pub fn be_patient(&self, patience: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(patience))?;
        self.stream.set_write_timeout(Some(patience))
    }

    /// Sends one frame, with at most [`FDS_MAX`] descriptors.
    pub fn send(&mut self, message: &impl Serialize, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> anyhow::Result<()> {
        let json = serde_json::to_vec(message)?;
        ensure!(
            json.len() <= JSON_BYTES_MAX && bytes.len() <= BYTES_MAX && fds.len() <= FDS_MAX,
            "the frame is too large"
        );
        let mut head = [0; HEAD_BYTES];
        for (place, word) in head[4..].chunks_exact_mut(4).zip([fds.len(), json.len(), bytes.len()]) {
            place.copy_from_slice(&(word as u32).to_le_bytes());
        }
        head[..4].copy_from_slice(&MAGIC);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            ensure!(ancillary.push(SendAncillaryMessage::ScmRights(fds)), "too many descriptors for one frame");
        }
        let sent = retry(|| sendmsg(&self.stream, &[IoSlice::new(&head)], &mut ancillary, SendFlags::NOSIGNAL))?;
        self.stream.write_all(&head[sent..])?;
        self.stream.write_all(&json)?;
        self.stream.write_all(bytes)?;
        Ok(())
    }

    /// Waits for one frame.
    pub fn receive<T: DeserializeOwned>(&mut self) -> anyhow::Result<Frame<T>> {
        let mut head = [0; HEAD_BYTES];
        let mut fds = VecDeque::new();
        let mut filled = 0;
        while filled < HEAD_BYTES {
            let count = self.receive_some(&mut head[filled..], &mut fds)?;
            if count == 0 {
                return Err(End.into());
            }
            filled += count;
        }
        let word = |at: usize| head[at..at + 4].try_into().map_or(0, u32::from_le_bytes) as usize;
        let (fd_count, json_bytes, byte_count) = (word(4), word(8), word(12));
        ensure!(head[..4] == MAGIC, "the other process speaks another protocol: restart instead of taking over");
        ensure!(json_bytes <= JSON_BYTES_MAX && byte_count <= BYTES_MAX, "the frame is too large");
        ensure!(
            fds.len() == fd_count,
            "{} of {fd_count} descriptors have come: raise the limit of open files",
            fds.len()
        );
        let json = self.exactly(json_bytes)?;
        let message = serde_json::from_slice(&json).context("the message of the other process is not understood")?;
        Ok(Frame { message, bytes: self.exactly(byte_count)?, fds })
    }

    fn exactly(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; bytes];
        self.stream.read_exact(&mut buffer)?;
        Ok(buffer)
    }

    fn receive_some(&mut self, into: &mut [u8], fds: &mut VecDeque<OwnedFd>) -> anyhow::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            retry(|| recvmsg(&self.stream, &mut [IoSliceMut::new(into)], &mut ancillary, RecvFlags::CMSG_CLOEXEC))?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            bail!("not all descriptors could be taken: raise the limit of open files");
        }
        Ok(received.bytes)
    }
}

/// Again, where a signal has interrupted it.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call().map_err(io::Error::from) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                return Err(io::Error::new(ErrorKind::TimedOut, "the other process does not answer"));
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pair() -> (Channel, Channel) {
        let (a, b) = UnixStream::pair().unwrap();
        (Channel::new(a, PATIENCE).unwrap(), Channel::new(b, PATIENCE).unwrap())
    }

    #[test]
    fn descriptors_arrive_with_their_frame() {
        let (mut from, mut to) = pair();
        let sender = std::thread::spawn(move || {
            for (round, count) in [1, FDS_MAX, 0, 2].into_iter().enumerate() {
                let pipes: Vec<_> = (0..count).map(|_| rustix::pipe::pipe().unwrap()).collect();
                let fds: Vec<_> = pipes.iter().map(|(reader, _)| reader.as_fd()).collect();
                from.send(&(round, count), &vec![round as u8; 100_000 * round], &fds).unwrap();
                for (at, (_, writer)) in pipes.iter().enumerate() {
                    rustix::io::write(writer, &[at as u8]).unwrap();
                }
            }
        });
        for round in 0..4 {
            let Frame { message: (got, count), bytes, fds } = to.receive::<(usize, usize)>().unwrap();
            assert_eq!((got, fds.len(), bytes), (round, count, vec![round as u8; 100_000 * round]));
            for (at, fd) in fds.iter().enumerate() {
                let mut byte = [0];
                rustix::io::read(fd, &mut byte).unwrap();
                assert_eq!(byte, [at as u8]);
            }
        }
        sender.join().unwrap();
        assert!(to.receive::<()>().unwrap_err().to_string().contains("has hung up"));
    }

    #[test]
    fn anything_else_is_refused() {
        let check = |bytes: &[u8], expected: &str| {
            let (a, b) = UnixStream::pair().unwrap();
            let mut channel = Channel::new(b, PATIENCE).unwrap();
            (&a).write_all(bytes).unwrap();
            drop(a);
            let error = format!("{:#}", channel.receive::<String>().unwrap_err());
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "has hung up");
        check(b"LBH1", "has hung up");
        check(b"GET / HTTP/1.1\r\n\r\n", "another protocol");
        check(b"LBH1\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00", "too large");
        check(b"LBH1\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\"\"", "0 of 1 descriptors");
        check(b"LBH1\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00x", "not understood");
        check(b"LBH1\x00\x00\x00\x00\x09\x00\x00\x00\x00\x00\x00\x00x", "fill whole buffer");
    }
}
