//! gRPC messages as bytes: what was received is handed on, what is sent was encoded long before.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use http_body::{Body, Frame};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// A codec that looks at nothing: encodes any `T` that is bytes, decodes to `Bytes` without
/// copying. Size limits are those of the tonic client or server it is given to.
#[derive(Debug)]
pub struct RawCodec<T>(PhantomData<fn() -> T>);

impl<T> Default for RawCodec<T> {
    fn default() -> Self {
        RawCodec(PhantomData)
    }
}

impl<T: Buf + Send + 'static> Codec for RawCodec<T> {
    type Encode = T;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<T: Buf> Encoder for RawCodec<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.reserve(item.remaining());
        into.put(item);
        Ok(())
    }
}

impl<T> Decoder for RawCodec<T> {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// Pieces of one message, shared with whoever else holds them, that go out one after the other.
/// Repeated fields concatenate, so several protobuf messages of one type are one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segments {
    rest: VecDeque<Bytes>,
    remaining: usize,
}

impl FromIterator<Bytes> for Segments {
    fn from_iter<I: IntoIterator<Item = Bytes>>(segments: I) -> Self {
        // `chunk` promises at least one byte while any remain, so no piece may be empty.
        let rest: VecDeque<_> = segments.into_iter().filter(|it| !it.is_empty()).collect();
        Segments { remaining: rest.iter().map(Bytes::len).sum(), rest }
    }
}

impl Buf for Segments {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.rest.front().map_or(&[], |segment| segment)
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "advanced past the end");
        self.remaining -= count;
        let mut left = count;
        while let Some(first) = self.rest.front_mut() {
            if left < first.len() {
                first.advance(left);
                return;
            }
            left -= first.len();
            self.rest.pop_front();
        }
    }
}

/// The body of a request with one message that is not compressed: each piece is sent from where it
/// stands. tonic copies all of them into a buffer of its own.
#[derive(Debug)]
pub struct MessageBody {
    pieces: VecDeque<Bytes>,
}

impl MessageBody {
    /// The segments as one message, of at most 4 GiB, as all messages are.
    #[must_use]
    pub fn new(segments: Segments) -> MessageBody {
        let mut header = [0; 5];
        let length = u32::try_from(segments.remaining).unwrap_or(u32::MAX);
        header[1..].copy_from_slice(&length.to_be_bytes());
        let mut pieces = segments.rest;
        pieces.push_front(Bytes::copy_from_slice(&header));
        MessageBody { pieces }
    }
}

impl Body for MessageBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.pieces.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_is_its_header_and_its_segments() {
        let mut body = MessageBody::new(["ab", "", "c"].map(Bytes::from).into_iter().collect());
        let mut sent = Vec::new();
        while !body.is_end_stream() {
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()))
            else {
                panic!("the end came early");
            };
            sent.extend_from_slice(frame.data_ref().unwrap());
        }
        assert_eq!(sent, b"\0\0\0\0\x03abc");
    }

    proptest! {
        #[test]
        fn segments_are_their_concatenation(parts: Vec<Vec<u8>>, steps in proptest::collection::vec(0usize..9, 0..40)) {
            let whole = parts.concat();
            let mut segments: Segments = parts.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(&segments.clone().copy_to_bytes(whole.len())[..], &whole[..]);
            let mut at = 0;
            for step in steps {
                let step = step.min(segments.remaining());
                segments.advance(step);
                at += step;
                prop_assert_eq!(segments.remaining(), whole.len() - at);
                prop_assert!(whole[at..].starts_with(segments.chunk()));
                prop_assert!(!segments.has_remaining() || !segments.chunk().is_empty());
            }
        }
    }
}
