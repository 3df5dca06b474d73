use bytes::Bytes;

use super::*;
use crate::batch::Origin;

const CAPACITY: usize = 1000;

fn inbox(wait_max: WaitMax) -> Arc<Inbox> {
    Inbox::new(InboxSettings {
        sink: "sink".into(),
        capacity_bytes: CAPACITY,
        wait_max,
        encoding: Some(Encoding::Json),
    })
}

fn batch(bytes: usize) -> Batch {
    let origin = Origin { source: "mesh".into(), peer: None, received_unix_nano: 1 };
    Batch { payload: Bytes::from(vec![b'x'; bytes]), records: 1, routes: None, origin }
}

fn settle(deliveries: Vec<Delivery>) {
    deliveries.into_iter().for_each(|delivery| delivery.settle(Outcome::Done));
}

/// Scenario: a sink that may hold nobody back is full, then half empties. Guarantee: what it misses
/// is counted and told before anything new.
#[tokio::test]
async fn passed_over_at_once_and_told_first() {
    let inbox = inbox(WaitMax::Bounded(Duration::ZERO));
    for _ in 0..10 {
        assert_eq!(inbox.put(batch(100), None).await, Put::Accepted);
    }
    assert_eq!(inbox.put(batch(100), None).await, Put::Shed);
    settle(inbox.try_take(400));
    assert!(inbox.is_passed_over(), "it is still more than half full");
    assert_eq!(inbox.put(batch(100), None).await, Put::Shed);
    settle(inbox.try_take(100));
    assert_eq!(inbox.put(batch(100), None).await, Put::Accepted);

    let waiting = inbox.try_take(usize::MAX);
    assert_eq!(waiting.len(), 7);
    let gap = String::from_utf8(waiting[5].batch.payload.to_vec()).unwrap();
    assert!(gap.contains("\"logboom.gap.count\":2"), "{gap}");
    settle(waiting);
    let tally = inbox.tally();
    assert_eq!((tally.delivered, tally.shed_full, tally.gaps, tally.imbalance()), (12, 2, 1, 0));
}

/// Scenario: a sink frees nothing while it is full. Guarantee: the source waits for `wait_max` and
/// not longer, and the next one not at all.
#[tokio::test]
async fn a_stuck_sink_holds_the_source_for_wait_max() {
    let inbox = inbox(WaitMax::Bounded(Duration::from_millis(30)));
    assert_eq!(inbox.put(batch(CAPACITY), None).await, Put::Accepted);
    assert_eq!(inbox.put(batch(1), None).await, Put::Shed);
    assert!(inbox.is_passed_over());
    assert_eq!(inbox.put(batch(1), None).await, Put::Shed);
    assert_eq!(inbox.tally().shed_full, 2);
}

/// Scenario: a full sink makes room while a source waits. Guarantee: the source goes on.
#[tokio::test]
async fn room_lets_the_source_go_on() {
    let inbox = inbox(WaitMax::Forever);
    assert_eq!(inbox.put(batch(CAPACITY), None).await, Put::Accepted);
    let waiting = tokio::spawn({
        let inbox = Arc::clone(&inbox);
        async move { inbox.put(batch(10), None).await }
    });
    settle(inbox.take(usize::MAX).await.unwrap());
    assert_eq!(waiting.await.unwrap(), Put::Accepted);
    assert_eq!(inbox.tally().in_flight, 1);
}

/// Scenario: a request may be held for less time than the sink may hold back. Guarantee: the
/// request is let go and counted, and the sink is not passed over for it.
#[tokio::test]
async fn a_request_that_cannot_wait_is_let_go() {
    let inbox = inbox(WaitMax::Forever);
    assert_eq!(inbox.put(batch(CAPACITY), None).await, Put::Accepted);
    assert_eq!(inbox.put(batch(1), Some(Instant::now())).await, Put::Shed);
    assert!(!inbox.is_passed_over());
    assert_eq!(inbox.tally().shed_hold, 1);
}

/// Guarantee: one batch is accepted whatever its size, so that none is stuck for ever.
#[tokio::test]
async fn a_batch_larger_than_the_inbox_is_accepted_when_it_is_empty() {
    let inbox = inbox(WaitMax::Bounded(Duration::ZERO));
    assert_eq!(inbox.put(batch(10 * CAPACITY), None).await, Put::Accepted);
    assert_eq!(inbox.put(batch(1), None).await, Put::Shed);
    settle(inbox.try_take(1));
    // What is left is the gap record.
    settle(inbox.try_take(1));
    assert_eq!((inbox.used_bytes(), inbox.tally().delivered), (0, 2));
}

/// Guarantee: a delivery that is dropped is not delivered, and its room comes back.
#[tokio::test]
async fn a_dropped_delivery_counts_as_abandoned() {
    let inbox = inbox(WaitMax::Forever);
    assert_eq!(inbox.put(batch(CAPACITY), None).await, Put::Accepted);
    drop(inbox.try_take(1));
    assert_eq!(inbox.put(batch(CAPACITY), None).await, Put::Accepted);
    let tally = inbox.tally();
    assert_eq!((tally.abandoned, tally.delivered, tally.in_flight, tally.imbalance()), (1, 0, 1, 0));
}

/// Guarantee: after closing, what waits is still taken, nothing more is accepted, and then it ends.
#[tokio::test]
async fn closing_lets_the_sink_finish() {
    let inbox = inbox(WaitMax::Forever);
    assert_eq!(inbox.put(batch(1), None).await, Put::Accepted);
    inbox.close();
    assert_eq!(inbox.put(batch(1), None).await, Put::Shed);
    settle(inbox.take(usize::MAX).await.unwrap());
    assert!(inbox.take(usize::MAX).await.is_none());
    assert!(inbox.drained(Duration::ZERO).await);
    assert_eq!(inbox.tally().shed_stopped, 1);
}

/// Scenario: a damaged journal holds more records than its damage let be counted at start.
/// Guarantee: they are delivered, and the ledger balances.
#[tokio::test]
async fn more_in_the_journal_than_was_counted() {
    let inbox = inbox(WaitMax::Forever);
    let cursor = crate::journal::Cursor::for_tests(1);
    let lane = crate::journal::lane::Lane::new(Arc::clone(&inbox), None, cursor, 3);
    inbox.recover(1);
    for seq in 1..3 {
        let (ticket, _) = lane.claim(seq).unwrap();
        assert!(inbox.offer_again(&batch(10), 1, &ticket).await);
    }
    settle(inbox.try_take(usize::MAX));
    let tally = inbox.tally();
    assert_eq!((tally.offered, tally.recovered, tally.delivered, tally.deferred), (2, 2, 2, 0));
    assert_eq!(tally.imbalance(), 0);
}
