//! Places for handshakes: each listener has its own, and of these one peer has a share. So neither a crowd at one
//! listener nor one that floods keeps the others waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Handshakes of one listener at a time. Each may cost a millisecond of computing.
pub const LISTENER_MAX: usize = 128;
/// Of these, handshakes with one peer: an IPv4 address, or the 64 bits of an IPv6 address that are one network.
pub const PEER_MAX: usize = 32;

/// The places of one listener.
#[derive(Debug)]
pub struct Places {
    free: Semaphore,
    /// Those who have a place or wait for one.
    peers: Mutex<HashMap<Option<IpAddr>, Peer>>,
}

#[derive(Debug)]
struct Peer {
    free: Arc<Semaphore>,
    /// Connections that have a place or wait for one.
    connections: usize,
}

impl Default for Places {
    fn default() -> Self {
        Places { free: Semaphore::new(LISTENER_MAX), peers: Mutex::default() }
    }
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place<'a> {
    _of_listener: SemaphorePermit<'a>,
    _of_peer: OwnedSemaphorePermit,
    _share: Share<'a>,
}

/// What one peer may take of the places.
#[derive(Debug)]
struct Share<'a> {
    places: &'a Places,
    peer: Option<IpAddr>,
    free: Arc<Semaphore>,
}

impl Places {
    /// Waits for a place, in the order of those who ask. Cancel-safe.
    ///
    /// # Errors
    /// None: places are never closed.
    pub async fn take(&self, peer: Option<IpAddr>) -> Result<Place<'_>, AcquireError> {
        let share = self.share(peer.map(network));
        // First its own: who waits for that keeps nobody else waiting.
        let of_peer = Arc::clone(&share.free).acquire_owned().await?;
        let of_listener = self.free.acquire().await?;
        Ok(Place { _of_listener: of_listener, _of_peer: of_peer, _share: share })
    }

    fn share(&self, peer: Option<IpAddr>) -> Share<'_> {
        let mut peers = self.lock();
        let new = || Peer { free: Arc::new(Semaphore::new(PEER_MAX)), connections: 0 };
        let known = peers.entry(peer).or_insert_with(new);
        known.connections += 1;
        Share { places: self, peer, free: Arc::clone(&known.free) }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, Peer>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut peers = self.places.lock();
        if let Entry::Occupied(mut peer) = peers.entry(self.peer) {
            peer.get_mut().connections -= 1;
            if peer.get().connections == 0 {
                peer.remove();
            }
        }
    }
}

/// What counts as one peer: who has an IPv6 address mostly has 2^64 of them.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True when there is a place at once.
    async fn has_room(places: &Places, peer: &str) -> bool {
        let now = tokio::time::timeout(std::time::Duration::ZERO, places.take(Some(peer.parse().unwrap())));
        now.await.is_ok()
    }

    #[tokio::test]
    async fn one_peer_has_its_share_and_others_theirs() {
        let places = Places::default();
        let mut held = Vec::new();
        for peer in ["192.0.2.1", "2001:db8::1", "192.0.2.3", "192.0.2.4"] {
            for _ in 0..PEER_MAX {
                assert!(has_room(&places, peer).await, "{peer}");
                held.push(places.take(Some(peer.parse().unwrap())).await.unwrap());
            }
            assert!(!has_room(&places, peer).await, "{peer}");
        }
        // All of the listener's are taken.
        assert_eq!(held.len(), LISTENER_MAX);
        assert!(!has_room(&places, "192.0.2.9").await);
        held.truncate(2 * PEER_MAX);
        assert!(has_room(&places, "192.0.2.9").await);
        // The same peers under other addresses.
        assert!(!has_room(&places, "::ffff:192.0.2.1").await);
        assert!(!has_room(&places, "2001:db8::2").await);
        assert!(has_room(&places, "2001:db8:0:1::1").await);
        held.clear();
        assert!(places.lock().is_empty(), "nobody is remembered");
    }
}
