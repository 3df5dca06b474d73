//! The least work that makes a line a JSON text: copied eight bytes at a time, escaped where it must be.

const BEFORE: &[u8] = b"{\"body\":\"";
const AFTER: &[u8] = b"\"}\n";
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Bytes that `whole` can become at most: one of six for each, and the ends of a line for each.
pub const fn room(whole: usize) -> usize {
    whole * (6 + BEFORE.len() + AFTER.len()) + 16
}

/// Writes each line of `lines` as a JSON object with one member to `out`, which must have [`room`];
/// returns how much was written.
pub fn escape(lines: &[u8], out: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, put(out, 0, BEFORE));
    while from < lines.len() {
        let (block, length) = block(&lines[from..]);
        out[to..to + 8].copy_from_slice(&block.to_le_bytes());
        let plain = (special(block).trailing_zeros() / 8) as usize;
        if plain >= length {
            (from, to) = (from + length, to + length);
            continue;
        }
        (from, to) = (from + plain + 1, to + plain);
        to = match lines[from - 1] {
            b'\n' if from == lines.len() => return put(out, to, AFTER),
            b'\n' => {
                let after = put(out, to, AFTER);
                put(out, after, BEFORE)
            }
            byte @ (b'"' | b'\\') => put(out, to, &[b'\\', byte]),
            byte => {
                let digit = |number: u8| b"0123456789abcdef"[usize::from(number)];
                put(out, to, &[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)])
            }
        };
    }
    put(out, to, AFTER)
}

/// The next eight bytes, and how many of them there are.
fn block(bytes: &[u8]) -> (u64, usize) {
    match bytes.first_chunk() {
        Some(block) => (u64::from_le_bytes(*block), 8),
        None => {
            let mut block = [b' '; 8];
            block[..bytes.len()].copy_from_slice(bytes);
            (u64::from_le_bytes(block), bytes.len())
        }
    }
}

/// The lowest bit that is set is in the first byte that needs an escape; those above may err.
fn special(block: u64) -> u64 {
    let is = |byte: u8| {
        let zero = block ^ (EACH * u64::from(byte));
        zero.wrapping_sub(EACH) & !zero
    };
    let control = block.wrapping_sub(EACH * 0x20) & !block;
    (is(b'"') | is(b'\\') | control) & HIGH
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    out[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}
