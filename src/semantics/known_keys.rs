//! Keys that people give the values of an access log, in JSON and as attributes of OTLP.
//!
//! Some names say only one thing (`upstream_transport_failure_reason`), others are words of every
//! program's log (`method`, `duration`). So a key alone decides nothing: [`Evidence`] is fed with
//! the known keys of an object, and tells whether it is an access log.

use super::Field;
use super::Kind;
use super::known_rows::ROWS;

/// Where the value of a known key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Together with others: see [`Field`].
    Field(Field),
    /// An attribute of its own.
    Attribute(&'static str, Kind),
}

/// How much a key says about the object it stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A word of many logs: means this only in an access log.
    Generic,
    /// Mostly of an access log.
    Usual,
    /// Of nothing but an access log.
    Specific,
}

/// A key that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The key.
    pub key: &'static str,
    /// Where its value goes.
    pub meaning: Meaning,
    /// How much it says about its object.
    pub weight: Weight,
}

/// The meaning of a key; nested keys are given with dots between (`http.request.method`).
#[must_use]
#[inline]
pub fn known_key(key: &[u8]) -> Option<&'static Known> {
    let mut slot = hash(key);
    loop {
        let row = ROWS.get(usize::from(SLOTS[slot % SLOTS.len()].checked_sub(1)?))?;
        if row.key.as_bytes() == key {
            return Some(row);
        }
        slot += 1;
    }
}

/// Adds up what the keys of one object say. An object is an access log when it has at least three
/// known keys, and among them one specific key or three usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    known: u32,
    usual: u32,
    specific: u32,
}

impl Evidence {
    /// One more key of the object. Call it once per key, whatever its value is: an access log has
    /// its keys also where values are absent.
    #[inline]
    pub fn add(&mut self, known: &Known) {
        self.known += 1;
        match known.weight {
            Weight::Generic => {}
            Weight::Usual => self.usual += 1,
            Weight::Specific => self.specific += 1,
        }
    }

    /// True when the keys so far are those of an access log. More keys never make it false.
    #[must_use]
    #[inline]
    pub fn is_access_log(self) -> bool {
        self.known >= 3 && (self.specific >= 1 || self.usual >= 3)
    }
}

/// What remains of a text without one quote at its beginning and one at its end, as a range of it.
///
/// Kuma's documented JSON format has quotes inside its values, not all of them closed: `"GET`,
/// `"curl/8"`, and `"-"` for an absent one. Whether the quotes are stray the caller must know.
#[must_use]
pub fn strip_stray_quotes(text: &[u8]) -> std::ops::Range<usize> {
    let start = usize::from(text.first() == Some(&b'"'));
    let ends = text.len() > start && text.last() == Some(&b'"');
    start..text.len() - usize::from(ends)
}

/// Open addressing: number of the row plus one, or zero for a free slot. Four times as many as
/// rows, so that most keys are found, or not found, at the first look.
const SLOTS: [u16; 1024] = {
    assert!(ROWS.len() < 256);
    let mut slots = [0; 1024];
    let mut row = 0;
    while row < ROWS.len() {
        let mut slot = hash(ROWS[row].key.as_bytes());
        while slots[slot % slots.len()] != 0 {
            slot += 1;
        }
        slots[slot % slots.len()] = row as u16 + 1;
        row += 1;
    }
    slots
};

/// Of a few bytes only: known keys differ in them, and foreign ones are compared anyway.
const fn hash(key: &[u8]) -> usize {
    let length = key.len();
    if length == 0 {
        return 0;
    }
    let (first, middle, late, last) = (key[0], key[length / 2], key[length - length.div_ceil(4)], key[length - 1]);
    let mixed = (first as u32) | (middle as u32) << 8 | (late as u32) << 16 | (last as u32) << 24;
    ((mixed ^ length as u32).wrapping_mul(0x9e37_79b1) >> 21) as usize
}

pub(super) const fn row(key: &'static str, meaning: Meaning, weight: Weight) -> Known {
    Known { key, meaning, weight }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn evidence(keys: &[&str]) -> Evidence {
        let mut evidence = Evidence::default();
        keys.iter().filter_map(|it| known_key(it.as_bytes())).for_each(|it| evidence.add(it));
        evidence
    }

    #[test]
    fn every_row_is_found() {
        for row in ROWS {
            assert_eq!(known_key(row.key.as_bytes()), Some(row), "{}: twice in the table?", row.key);
        }
        for key in ["", "x", "start_tim", "start_time2", "Start_Time", "message", "level", "status"] {
            assert_eq!(known_key(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn few_keys_share_a_slot() {
        let looks = |row: &Known| {
            let start = hash(row.key.as_bytes());
            (start..).position(|slot| {
                ROWS.get(usize::from(SLOTS[slot % SLOTS.len()]).wrapping_sub(1)).is_some_and(|it| it == row)
            })
        };
        let most = ROWS.iter().filter_map(looks).max();
        assert!(most <= Some(6), "{most:?}");
    }

    #[test]
    fn attributes_are_not_those_of_fields() {
        // A field that becomes the same attribute would repeat it.
        for row in ROWS {
            if let Meaning::Attribute(name, _) = row.meaning {
                assert!(known_key(name.as_bytes()).is_none_or(|it| it.meaning == row.meaning), "{name}");
            }
        }
    }

    #[test]
    fn access_logs() {
        let kuma = ["start_time", "kuma_mesh", "method", "path", "protocol", "response_code"];
        let traffic_log = ["start_time", "source", "destination", "duration_millis", "bytes_received", "bytes_sent"];
        let istio = ["authority", "duration", "method", "path", "upstream_host"];
        let ecs = ["@timestamp", "http.request.method", "url.path", "user_agent.original"];
        let envoy = ["START_TIME", "PROTOCOL", "RESPONSE_CODE"];
        for keys in [&kuma[..], &traffic_log, &istio, &ecs, &envoy] {
            assert!(evidence(keys).is_access_log(), "{keys:?}");
        }
        let application = ["timestamp", "level", "message", "method", "path", "duration"];
        let web = ["method", "path", "duration", "user_agent", "bytes_sent"];
        let job = ["source", "destination", "duration", "bytes_sent"];
        let one = ["response_flags"];
        for keys in [&application[..], &web, &job, &one, &[]] {
            assert!(!evidence(keys).is_access_log(), "{keys:?}");
        }
    }

    #[test]
    fn stray_quotes() {
        for (text, expected) in [
            ("\"GET", "GET"),
            ("\"curl/8\"", "curl/8"),
            ("HTTP/1.1\"", "HTTP/1.1"),
            ("\"-\"", "-"),
            ("\"", ""),
            ("\"\"", ""),
            ("\"\"a\"\"", "\"a\""),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(&text[strip_stray_quotes(text.as_bytes())], expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_key(key: Vec<u8>) {
            if let Some(known) = known_key(&key) {
                prop_assert_eq!(known.key.as_bytes(), &key[..]);
            }
            prop_assert!(key.get(strip_stray_quotes(&key)).is_some());
        }
    }
}
