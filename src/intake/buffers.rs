//! Buffers of whole pieces, written again when their sinks are done with them.
//!
//! A piece is some hundred pages of memory. Given back to the allocator in one thread and asked for
//! in another, they go back to the kernel in between, and each page that comes again costs a fault
//! and is cleared first: more than writing it.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::PIECE_BYTES;

/// Bytes of each buffer: a piece, and what it may be longer.
pub(super) const BUFFER_BYTES: usize = PIECE_BYTES + PIECE_BYTES / 4;
/// Most buffers that wait for their next use.
const BUFFERS_MAX: usize = 16;
/// Longest buffer that is kept; one that grew beyond it was an exception.
const BUFFER_BYTES_MAX: usize = BUFFER_BYTES + BUFFER_BYTES / 4;
/// Most bytes of all that wait.
pub const BYTES_MAX: usize = BUFFERS_MAX * BUFFER_BYTES_MAX;

static WAITING: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer for a piece; nothing where so few bytes are expected that it would hold much more
/// memory than it is counted with.
pub(super) fn take(bytes: usize) -> Option<Vec<u8>> {
    if bytes < BUFFER_BYTES / 2 {
        return None;
    }
    let waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner).pop();
    Some(waiting.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES)))
}

/// The bytes of a piece, to be shared; its buffer comes back when the last who shares it drops it.
pub(super) fn share(mut piece: Vec<u8>) -> Bytes {
    match piece.capacity() {
        BUFFER_BYTES..=BUFFER_BYTES_MAX if piece.len() >= BUFFER_BYTES / 2 => Bytes::from_owner(Piece(piece)),
        BUFFER_BYTES..=BUFFER_BYTES_MAX => {
            // What was expected did not come.
            let exact = Bytes::copy_from_slice(&piece);
            drop(Piece(piece));
            exact
        }
        capacity => {
            // An inbox counts what is in it: the rest is at most as much.
            if piece.len() < capacity / 2 {
                piece.shrink_to_fit();
            }
            Bytes::from(piece)
        }
    }
}

struct Piece(Vec<u8>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        buffer.clear();
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < BUFFERS_MAX {
            waiting.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_its_bytes_and_its_buffer_comes_back() {
        let Some(mut buffer) = take(PIECE_BYTES) else { panic!("no buffer for a whole piece") };
        buffer.resize(PIECE_BYTES - 1, b'x');
        let place = buffer.as_ptr();
        let piece = share(buffer);
        let shared = piece.slice(1..3);
        drop(piece);
        assert_eq!(shared, "xx");
        drop(shared);
        let again: Vec<_> = (0..=BUFFERS_MAX).filter_map(|_| take(PIECE_BYTES)).collect();
        assert!(again.iter().all(Vec::is_empty) && again.iter().any(|it| it.as_ptr() == place));
    }

    #[test]
    fn small_pieces_have_buffers_of_their_size() {
        assert!(take(PIECE_BYTES / 4).is_none());
        let Some(mut buffer) = take(PIECE_BYTES) else { panic!("no buffer for a whole piece") };
        buffer.extend_from_slice(b"small");
        let place = buffer.as_ptr();
        let piece = share(buffer);
        assert_eq!(piece, "small");
        assert_ne!(piece.as_ptr(), place);
        assert_eq!(share(b"small".to_vec()), "small");
    }
}
