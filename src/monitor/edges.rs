//! Who talks to whom: the busiest pairs of services, each with its last minutes. The rest is one pair.

use std::collections::HashMap;

use super::cell::Cell;
use super::ring::Ring;
use super::sighting::{Measures, Protocol};

/// Pairs that are told apart.
pub const EDGES_MAX: usize = 512;
/// Seconds of a step.
pub const STEP_SECONDS: u64 = 10;
/// Steps that are kept: five minutes, and the one that is not over.
pub const STEPS: usize = 31;

/// What all pairs take at most: each step of each, and their names.
pub const BYTES_MAX: u64 = ((EDGES_MAX + 1) * STEPS * (size_of::<Cell>() + 16) + EDGES_MAX * 1024) as u64;

/// Step by step.
pub type History = Ring<Cell, STEPS>;

const NO_NAME: u8 = u8::MAX;

/// Mesh, source and destination.
pub type Names = [Option<String>; 3];

/// Writes the key of a pair behind what `out` has: protocol, then mesh, source and destination, each
/// behind its length.
pub fn write_key(protocol: Protocol, names: [Option<&[u8]>; 3], out: &mut Vec<u8>) {
    out.push(protocol as u8);
    for name in names {
        // What is seen of a record has shorter names; what is asked for may have any.
        let name = name.map(|it| &it[..it.len().min(usize::from(NO_NAME) - 1)]);
        out.push(name.map_or(NO_NAME, |name| name.len() as u8));
        out.extend_from_slice(name.unwrap_or_default());
    }
}

/// What [`write_key`] wrote.
#[must_use]
pub fn read_key(key: &[u8]) -> Option<(Protocol, Names)> {
    let (protocol, mut rest) = key.split_first()?;
    let mut names = [None, None, None];
    for name in &mut names {
        let (len, behind) = rest.split_first()?;
        rest = behind;
        if *len != NO_NAME {
            let (text, behind) = rest.split_at_checked(usize::from(*len))?;
            *name = Some(String::from_utf8_lossy(text).into_owned());
            rest = behind;
        }
    }
    Some((*Protocol::ALL.get(usize::from(*protocol))?, names))
}

#[derive(Debug)]
struct Edge {
    /// How busy it is, on a scale that rises with the floor.
    score: u64,
    history: History,
}

/// The busiest pairs, by the algorithm of Misra and Gries: whoever comes when all places are taken
/// lowers all by one, and gets the place of one that is at zero. So a pair with more than one in
/// [`EDGES_MAX`] of the recent records has a place, however many others there are. What a pair had that
/// lost its place, or never got one, is in the rest.
#[derive(Debug, Default)]
pub struct Edges {
    edges: HashMap<Box<[u8]>, Edge>,
    rest: History,
    floor: u64,
    /// No score is below it.
    score_min: u64,
    step: u64,
}

impl Edges {
    /// A record of the pair with that key, for `weight` records.
    pub fn add(&mut self, key: &[u8], measures: &Measures, weight: u64, second: u64) {
        let step = second / STEP_SECONDS;
        if step > self.step {
            self.begin(step);
        }
        if let Some(edge) = self.edges.get_mut(key) {
            edge.score = edge.score.saturating_add(weight);
            edge.history.at(step).add(measures, weight);
            return;
        }
        if self.edges.len() >= EDGES_MAX && !self.make_room() {
            self.floor = self.floor.saturating_add(weight);
            self.rest.at(step).add(measures, weight);
            return;
        }
        let mut edge = Edge { score: self.floor.saturating_add(weight), history: History::default() };
        edge.history.at(step).add(measures, weight);
        self.score_min = self.score_min.min(edge.score);
        self.edges.insert(key.into(), edge);
    }

    /// Takes away one that is at the floor. False when there is none.
    fn make_room(&mut self) -> bool {
        if self.floor < self.score_min {
            return false;
        }
        let lowest = self.edges.iter().min_by_key(|(_, edge)| edge.score);
        let Some((key, score)) = lowest.map(|(key, edge)| (key.clone(), edge.score)) else { return true };
        self.score_min = score;
        if score > self.floor {
            return false;
        }
        if let Some(edge) = self.edges.remove(&key) {
            for (step, cell) in edge.history.since(0) {
                self.rest.at(step).merge(cell);
            }
        }
        true
    }

    /// Another step begins: what was busy before counts half, what is too old is forgotten.
    fn begin(&mut self, step: u64) {
        let oldest = (step + 1).saturating_sub(STEPS as u64);
        let floor = self.floor;
        let halvings = (step - self.step).min(63);
        self.edges.retain(|_, edge| {
            edge.score = edge.score.saturating_sub(floor) >> halvings;
            edge.history.forget_before(oldest)
        });
        self.rest.forget_before(oldest);
        (self.floor, self.score_min, self.step) = (0, 0, step);
    }

    /// The keys of all pairs.
    #[must_use]
    pub fn keys(&self) -> Vec<Box<[u8]>> {
        self.edges.keys().cloned().collect()
    }

    /// A pair, step by step.
    #[must_use]
    pub fn pair(&self, key: &[u8]) -> Option<&History> {
        self.edges.get(key).map(|edge| &edge.history)
    }

    /// What all had that are no pairs.
    #[must_use]
    pub fn rest(&self) -> &History {
        &self.rest
    }
}

/// What came from a second on, which is the first of a step; `None` when nothing did.
#[must_use]
pub fn sum(history: &History, second: u64) -> Option<Cell> {
    let mut sum: Option<Cell> = None;
    for (_, cell) in history.since(second / STEP_SECONDS) {
        match &mut sum {
            Some(sum) => sum.merge(cell),
            None => sum = Some(cell.clone()),
        }
    }
    sum
}

/// True for a key of a pair that has this service on either side.
#[must_use]
pub fn is_of(key: &[u8], service: &str) -> bool {
    read_key(key)
        .is_some_and(|(_, [_, source, destination])| [source, destination].iter().flatten().any(|it| it == service))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(edges: &Edges) -> u64 {
        let pairs = edges.edges.values().map(|edge| &edge.history);
        pairs.chain([edges.rest()]).filter_map(|it| sum(it, 0)).map(|cell| cell.requests).sum()
    }

    #[test]
    fn keys_read_as_they_were_written() {
        let mut key = Vec::new();
        write_key(Protocol::Grpc, [None, Some(b"w\xFFeb"), Some(b"")], &mut key);
        let names = [None, Some("w\u{FFFD}eb".to_owned()), Some(String::new())];
        assert_eq!(read_key(&key), Some((Protocol::Grpc, names)));
        for cut in 0..key.len() {
            assert_eq!(read_key(&key[..cut]), None);
        }
        key.clear();
        write_key(Protocol::Tcp, [Some(&[b'x'; 300]), None, None], &mut key);
        assert!(read_key(&key).is_some_and(|(_, names)| names[0].as_ref().is_some_and(|it| it.len() == 254)));
    }

    /// Guarantee: who floods with names displaces nobody who has a share, and takes no memory.
    #[test]
    fn heavy_hitters_stay_among_noise() {
        let mut edges = Edges::default();
        let mut records = 0;
        for round in 0..40_000u32 {
            edges.add(&round.to_le_bytes(), &Measures::ONE, 1, u64::from(round / 1000));
            records += 1;
            // It comes when all places are taken.
            if round > 2_000 && round % 4 == 0 {
                edges.add(b"heavy", &Measures::ONE, 1, u64::from(round / 1000));
                records += 1;
            }
        }
        assert!(edges.edges.len() <= EDGES_MAX);
        assert_eq!(total(&edges), records);
        let heavy = edges.pair(b"heavy").and_then(|it| sum(it, 0)).map_or(0, |cell| cell.requests);
        assert!(heavy > 9_000, "{heavy}");
    }

    #[test]
    fn what_is_old_is_forgotten() {
        let mut edges = Edges::default();
        edges.add(b"old", &Measures::ONE, 1, 0);
        edges.add(b"new", &Measures::ONE, 2, 300);
        assert_eq!(total(&edges), 3);
        edges.add(b"new", &Measures::ONE, 2, 310);
        assert_eq!((total(&edges), edges.edges.len()), (4, 1));
        assert_eq!(edges.pair(b"new").and_then(|it| sum(it, 310)).map(|cell| cell.requests), Some(2));
        assert!(edges.pair(b"old").is_none());
    }

    proptest! {
        #[test]
        fn nothing_is_counted_twice_or_lost(
            records in proptest::collection::vec((0..900u16, 1..50u64, 0..2u64), 0..3_000),
        ) {
            let (mut edges, mut second, mut sum) = (Edges::default(), 0, 0);
            for (key, weight, later) in records {
                // Less than five minutes in all.
                second = (second + later).min(299);
                edges.add(&key.to_le_bytes(), &Measures::ONE, weight, second);
                sum += weight;
            }
            prop_assert!(edges.edges.len() <= EDGES_MAX);
            prop_assert_eq!(total(&edges), sum);
        }
    }
}
