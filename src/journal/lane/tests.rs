//! A lane, driven step by step against what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;

use super::super::{Cursor, Seq};
use super::{Lane, Next, Rest, Ticket};
use crate::batch::{Batch, Origin};
use crate::config::units::WaitMax;
use crate::encode::Encoding;
use crate::inbox::{Inbox, InboxSettings};

const RECORDS: u64 = 3;

fn lane(start: Seq, end: Seq) -> (Arc<Lane>, Cursor) {
    let inbox = Inbox::new(InboxSettings {
        sink: "s".into(),
        capacity_bytes: 1000,
        wait_max: WaitMax::Forever,
        encoding: Some(Encoding::Raw),
    });
    let cursor = Cursor::for_tests(start);
    (Lane::new(inbox, None, cursor.clone(), end), cursor)
}

#[test]
fn a_sink_that_keeps_up_is_fed_from_memory() {
    let (lane, cursor) = lane(1, 1);
    let first = lane.admit(1, RECORDS).unwrap();
    let second = lane.admit(2, RECORDS).unwrap();
    let piece = Arc::clone(&first);
    drop(first);
    drop(second);
    assert_eq!(cursor.position(), 1, "a piece of the first is still under way");
    drop(piece);
    assert_eq!(cursor.position(), 3);
    assert_eq!(lane.next(3), Next::Nothing);
}

#[test]
fn what_was_there_at_start_is_read() {
    let (lane, cursor) = lane(5, 7);
    assert_eq!(lane.next(7), Next::Entry(5));
    assert!(lane.admit(7, RECORDS).is_none());
    let (ticket, done) = lane.claim(5).unwrap();
    assert_eq!(done, 0);
    drop(ticket);
    assert_eq!(cursor.position(), 6);
    drop(lane.claim(6));
    // The seventh was left to the journal, and is not announced yet.
    assert_eq!(lane.next(7), Next::Later);
    assert_eq!(lane.next(8), Next::Entry(7));
    drop(lane.claim(7));
    assert_eq!(lane.next(8), Next::Nothing);
    assert!(!lane.is_behind());
    assert_eq!(cursor.position(), 8);
}

#[test]
fn what_a_sink_left_is_not_passed() {
    let (lane, cursor) = lane(1, 1);
    let tickets: Vec<_> = (1..4).map(|seq| lane.admit(seq, RECORDS).unwrap()).collect();
    tickets[1].keep();
    drop(tickets);
    assert_eq!(cursor.position(), 2);
}

#[test]
fn what_expires_is_passed_and_told() {
    let (lane, cursor) = lane(1, 1);
    let in_hand = lane.admit(1, RECORDS).unwrap();
    let half = lane.admit(2, RECORDS).unwrap();
    assert!(lane.fall_behind(half, Rest { done: 1, records: RECORDS }, false));
    assert!((3..10).all(|seq| lane.admit(seq, RECORDS).is_none()));
    let expired = lane.expire(6);
    assert_eq!(expired.set_aside, [(2, Rest { done: 1, records: RECORDS })]);
    assert_eq!(expired.unread, 3..6);
    assert_eq!(cursor.position(), 6);
    assert_eq!(lane.next(10), Next::Entry(6));
    drop(in_hand);
    assert_eq!(cursor.position(), 6);
}

#[test]
fn what_is_lost_is_passed() {
    let (lane, cursor) = lane(1, 10);
    lane.pass_lost(1, 4);
    assert_eq!(lane.next(10), Next::Entry(4));
    drop(lane.claim(4));
    lane.pass_lost(5, 10);
    assert_eq!(lane.next(10), Next::Nothing);
    assert_eq!(cursor.position(), 10);
}

#[test]
fn what_expires_while_it_is_offered_is_for_the_caller_to_give_up() {
    let (lane, cursor) = lane(1, 1);
    let rest = Rest { done: 1, records: RECORDS };
    let from_memory = lane.admit(1, RECORDS).unwrap();
    let falls = lane.admit(2, RECORDS).unwrap();
    assert!(lane.fall_behind(falls, rest, false));
    let (from_journal, _) = lane.claim(2).unwrap();
    assert!(lane.expire(3).set_aside.is_empty());
    lane.counted();
    assert!(!lane.fall_behind(from_memory, rest, false));
    assert!(!lane.fall_behind(from_journal, rest, true));
    assert_eq!(lane.inbox().tally().deferred, 4, "two of each");
    assert_eq!((cursor.position(), lane.next(3)), (3, Next::Nothing));
}

#[tokio::test]
async fn what_expired_in_the_hand_of_a_sink_that_ends_is_not_kept() {
    let (lane, _) = lane(1, 1);
    let inbox = lane.inbox();
    let origin = Origin { source: "mesh".into(), peer: None, received_unix_nano: 1 };
    let batch = Batch { payload: "abc".into(), records: RECORDS, routes: None, origin };
    for seq in [1, 2] {
        let ticket = lane.admit(seq, RECORDS).unwrap();
        assert!(inbox.offer(&batch, &ticket, Instant::now()).await);
    }
    let in_hand = inbox.try_take(usize::MAX);
    lane.expire(2);
    lane.counted();
    drop(in_hand);
    let tally = inbox.tally();
    assert_eq!((tally.expired_full, tally.deferred, tally.imbalance()), (RECORDS, RECORDS, 0));
}

#[test]
fn a_lane_that_has_caught_up_has_nothing_deferred() {
    let (lane, _) = lane(1, 4);
    lane.inbox().recover(3 * RECORDS);
    lane.pass_lost(1, 4);
    assert_eq!(lane.inbox().tally().deferred, 9, "nobody could say what they held");
    assert_eq!(lane.next(4), Next::Nothing);
    let tally = lane.inbox().tally();
    assert_eq!((tally.deferred, tally.expired_damaged, tally.gaps), (0, 9, 1));
    assert_eq!(tally.imbalance(), 0);
}

#[test]
fn what_waits_for_the_next_start_stays_deferred() {
    let (lane, _) = lane(1, 2);
    lane.inbox().recover(RECORDS);
    let (ticket, _) = lane.claim(1).unwrap();
    ticket.keep();
    drop(ticket);
    assert_eq!(lane.next(2), Next::Nothing);
    assert_eq!(lane.inbox().tally().deferred, RECORDS);
}

#[test]
fn what_is_lost_costs_no_step_for_each_number() {
    let (lane, cursor) = lane(1, 1 << 60);
    lane.pass_lost(1, 1 << 59);
    assert_eq!((cursor.position(), lane.next(1 << 60)), (1 << 59, Next::Entry(1 << 59)));
}

/// One step of the world around a lane.
#[derive(Clone, Copy, Debug)]
enum Move {
    /// An entry is written, and not announced yet.
    Append,
    /// The nth of those is announced.
    Announce(usize),
    /// The nth offered entry finds no room after so many records.
    NoRoom(usize, u64),
    /// The nth offered entry is in the inbox, and its task is done with it.
    Offered(usize),
    /// The nth entry in the inbox is settled.
    Settle(usize),
    /// The task that feeds from the journal takes one step.
    CatchUp,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => Just(Move::Append),
        4 => (0..4usize).prop_map(Move::Announce),
        1 => (0..4usize, 0..RECORDS).prop_map(|(at, done)| Move::NoRoom(at, done)),
        3 => (0..4usize).prop_map(Move::Offered),
        3 => (0..4usize).prop_map(Move::Settle),
        5 => Just(Move::CatchUp),
    ];
    proptest::collection::vec(one, 0..120)
}

/// The sinks' side of the world.
#[derive(Default)]
struct World {
    written: BTreeSet<Seq>,
    offering: Vec<(Seq, Arc<Ticket>, u64, bool)>,
    in_inbox: Vec<(Seq, Arc<Ticket>)>,
    /// How many records of each entry the sink has got.
    got: BTreeMap<Seq, u64>,
    settled: BTreeSet<Seq>,
}

proptest! {
    /// Guarantees: each entry reaches the sink once and whole, in whatever order its source, the
    /// sink and the journal take their steps; the cursor stands at the first that is not settled.
    #[test]
    fn every_entry_once(moves in moves()) {
        let (lane, cursor) = lane(1, 1);
        let (mut world, mut end, mut announced) = (World::default(), 1, 1);
        let mut waiting: BTreeSet<Seq> = BTreeSet::new();
        let drain = std::iter::repeat_with(|| [Move::Announce(0), Move::Offered(0), Move::Settle(0), Move::CatchUp]);
        for step in moves.into_iter().chain(drain.take(200).flatten()) {
            match step {
                Move::Append => {
                    world.written.insert(end);
                    waiting.insert(end);
                    end += 1;
                }
                Move::Announce(at) => {
                    let Some(seq) = waiting.iter().nth(at).copied() else { continue };
                    if let Some(ticket) = lane.admit(seq, RECORDS) {
                        world.offering.push((seq, ticket, 0, false));
                    }
                    waiting.remove(&seq);
                    announced = waiting.first().copied().unwrap_or(end);
                }
                Move::NoRoom(at, records) if at < world.offering.len() => {
                    let (seq, ticket, done, again) = world.offering.remove(at);
                    let rest = done.max(records);
                    *world.got.entry(seq).or_default() += rest - done;
                    if rest > done {
                        world.in_inbox.push((seq, Arc::clone(&ticket)));
                    }
                    let waits = lane.fall_behind(ticket, Rest { done: rest, records: RECORDS }, again);
                    prop_assert!(waits);
                }
                Move::Offered(at) if at < world.offering.len() => {
                    let (seq, ticket, done, _) = world.offering.remove(at);
                    *world.got.entry(seq).or_default() += RECORDS - done;
                    world.in_inbox.push((seq, ticket));
                }
                Move::Settle(at) if at < world.in_inbox.len() => {
                    let (seq, _ticket) = world.in_inbox.remove(at);
                    if world.got[&seq] == RECORDS && world.in_inbox.iter().all(|(other, _)| *other != seq) {
                        world.settled.insert(seq);
                    }
                }
                Move::CatchUp => {
                    if let Next::Entry(seq) | Next::SetAside(seq) = lane.next(announced) {
                        prop_assert!(seq < announced);
                        if let Some((ticket, done)) = lane.claim(seq) {
                            world.offering.push((seq, ticket, done, true));
                        }
                    }
                }
                Move::NoRoom(..) | Move::Offered(_) | Move::Settle(_) => {}
            }
            let first_open = world.written.difference(&world.settled).next().copied().unwrap_or(end);
            prop_assert_eq!(cursor.position(), first_open);
        }
        prop_assert!(world.got.values().all(|records| *records == RECORDS), "{:?}", world.got);
        prop_assert_eq!(world.got.len() as u64, end - 1);
        prop_assert!(!lane.is_behind());
        prop_assert_eq!(cursor.position(), end);
    }
}
