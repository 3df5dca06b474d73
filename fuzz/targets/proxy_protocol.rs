//! Any bytes in front of a connection: no panic, no more is asked for than a header may have, and what comes behind
//! a header does not change what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use logboom::source::proxy_protocol::{Step, step};

/// Head and body of the longest header of version 2 that is taken.
const HEADER_BYTES_MAX: usize = 16 + 4096;

fuzz_target!(|input: &[u8]| {
    let mut length = 0;
    loop {
        match step(&input[..length]) {
            Ok(Step::More(more)) => {
                assert!(more > 0 && length + more <= HEADER_BYTES_MAX);
                length += more;
                if length > input.len() {
                    break;
                }
            }
            Ok(Step::Done(_)) | Err(_) => break,
        }
    }
});
