//! What costs something to make, made so often at most, however many ask for it.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// The last value that was made, and what for.
#[derive(Debug)]
pub struct Seldom<K, V> {
    every: Duration,
    last: Mutex<Option<Last<K, V>>>,
}

#[derive(Debug)]
struct Last<K, V> {
    made: Instant,
    key: K,
    value: V,
}

impl<K: PartialEq, V: Clone> Seldom<K, V> {
    /// One value in this time, whatever it is for.
    #[must_use]
    pub fn new(every: Duration) -> Seldom<K, V> {
        Seldom { every, last: Mutex::default() }
    }

    /// The value of `key`, which may have been made as long ago as that. Who asks for another one than was asked for last waits
    /// for its turn, behind those who came before. Cancel-safe.
    pub async fn get(&self, key: K, make: impl FnOnce() -> V) -> V {
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref() {
            let again = last.made + self.every;
            if Instant::now() < again {
                if last.key == key {
                    return last.value.clone();
                }
                sleep_until(again).await;
            }
        }
        let value = make();
        *last = Some(Last { made: Instant::now(), key, value: value.clone() });
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Guarantee: who asks in a loop, or many at once, have nothing made for it.
    #[tokio::test]
    async fn many_share_one() {
        let (seldom, made) = (Arc::new(Seldom::new(Duration::from_secs(3600))), Arc::new(AtomicU32::new(0)));
        let asking = (0..8).map(|_| {
            let (seldom, made) = (Arc::clone(&seldom), Arc::clone(&made));
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    assert_eq!(seldom.get(60, || made.fetch_add(1, Ordering::Relaxed)).await, 0);
                }
            })
        });
        for asking in asking.collect::<Vec<_>>() {
            asking.await.unwrap();
        }
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    /// Guarantee: another question is answered by itself, and not sooner.
    #[tokio::test]
    async fn others_wait_for_their_turn() {
        let every = Duration::from_millis(20);
        let (seldom, began) = (Seldom::new(every), Instant::now());
        for turn in 0..4 {
            assert_eq!(seldom.get(turn, || turn).await, turn);
        }
        assert!(began.elapsed() >= 3 * every);
        assert_eq!(seldom.get(3, || 9).await, 3);
        tokio::time::sleep(every).await;
        assert_eq!(seldom.get(3, || 9).await, 9);
    }
}
