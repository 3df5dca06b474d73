//! Small messages that other messages hold.

use super::schema::{LOCALITY_ZONE, WRAPPED, address, time};
use crate::decode::wire::{Fields, Malformed, Piece, Value};

/// A message inside of another, as a range of the bytes of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    raw: &'a [u8],
    piece: Piece,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Is<'a> {
    Number(u64),
    /// Bytes, a text or a message.
    Bytes(Message<'a>),
    /// A fixed number: 64 bits, or 32 of them.
    Fixed(u64),
}

impl<'a> Message<'a> {
    /// The outermost.
    pub(super) fn new(raw: &'a [u8]) -> Message<'a> {
        Message { raw, piece: Piece { length_at: 0, start: 0, end: raw.len() } }
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> &'a [u8] {
        &self.raw[self.piece.start..self.piece.end]
    }

    /// Its fields in their order; ends after the first that is malformed.
    pub(super) fn fields(self) -> impl Iterator<Item = Result<(u32, Is<'a>), Malformed>> {
        Fields::new(self.raw, self.piece.start, self.piece.end).map(move |field| {
            let field = field?;
            Ok((
                field.number,
                match field.value {
                    Value::Varint(number) => Is::Number(number),
                    Value::Bytes(piece) => Is::Bytes(Message { raw: self.raw, piece }),
                    Value::Fixed64(bits) => Is::Fixed(bits),
                    Value::Fixed32(bits) => Is::Fixed(u64::from(bits)),
                },
            ))
        })
    }

    /// The bytes of a field, of several the last; empty when there is none.
    fn text(self, number: u32) -> Result<&'a [u8], Malformed> {
        let mut text = &[][..];
        for field in self.fields() {
            if let (it, Is::Bytes(message)) = field?
                && it == number
            {
                text = message.bytes();
            }
        }
        Ok(text)
    }

    /// A number, of several the last; 0 when there is none.
    fn number(self, number: u32) -> Result<u64, Malformed> {
        let mut found = 0;
        for field in self.fields() {
            if let (it, Is::Number(value)) = field?
                && it == number
            {
                found = value;
            }
        }
        Ok(found)
    }

    /// The value of a `UInt32Value`.
    pub(super) fn wrapped(self) -> Result<u64, Malformed> {
        self.number(WRAPPED)
    }

    /// The zone of a `Locality`.
    pub(super) fn zone(self) -> Result<&'a [u8], Malformed> {
        self.text(LOCALITY_ZONE)
    }

    /// Key and value of an entry of a map of texts.
    pub(super) fn pair(self) -> Result<(&'a [u8], Message<'a>), Malformed> {
        let (mut key, mut value) = (&[][..], Message::new(&[]));
        for field in self.fields() {
            match field? {
                (super::schema::map::KEY, Is::Bytes(it)) => key = it.bytes(),
                (super::schema::map::VALUE, Is::Bytes(it)) => value = it,
                _ => {}
            }
        }
        Ok((key, value))
    }

    /// A `Timestamp` or a `Duration` in nanoseconds; what is before the epoch, or beyond the year
    /// 2554, is not representable.
    pub(super) fn nanos(self) -> Result<Option<u64>, Malformed> {
        let (seconds, nanos) = (self.number(time::SECONDS)?, self.number(time::NANOS)?);
        Ok(seconds.checked_mul(1_000_000_000).and_then(|it| it.checked_add(nanos)))
    }

    /// An `Address` as Envoy writes it into a line; empty when there is none.
    pub(super) fn address(self) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::new();
        for field in self.fields() {
            match field? {
                (address::SOCKET, Is::Bytes(socket)) => text = socket.socket_address()?,
                (address::PIPE, Is::Bytes(pipe)) => text = pipe.text(address::PIPE_PATH)?.to_vec(),
                (address::INTERNAL, Is::Bytes(it)) => {
                    let listener = it.text(address::INTERNAL_LISTENER)?;
                    let endpoint = it.text(address::INTERNAL_ENDPOINT)?;
                    text = [b"envoy://", listener, b"/", endpoint].concat();
                }
                _ => {}
            }
        }
        Ok(text)
    }

    fn socket_address(self) -> Result<Vec<u8>, Malformed> {
        let (host, port) = (self.text(address::SOCKET_ADDRESS)?, self.number(address::SOCKET_PORT)?);
        let (open, close): (&[u8], &[u8]) = if host.contains(&b':') { (b"[", b"]") } else { (b"", b"") };
        let mut digits = itoa::Buffer::new();
        Ok([open, host, close, b":", digits.format(port).as_bytes()].concat())
    }
}
