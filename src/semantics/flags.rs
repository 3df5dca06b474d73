//! Envoy's response flags: who is to blame, and what an operator does about it.

pub use table::FLAGS;

mod table;

/// On whose side the cause lies. It decides the severity of a record, see [`Blame::is_failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Nobody: the flag says what happened, not that something went wrong.
    Nobody,
    /// Who sent the request, or closed the connection.
    Client,
    /// The service behind the proxy, or the way to it.
    Upstream,
    /// The proxy itself: its configuration, its limits, what it depends on.
    Proxy,
    /// A rule that somebody set turned the request away, as it should.
    Policy,
}

impl Blame {
    /// True when the flag makes a record an error whatever the response code: the mesh failed. The
    /// client and rules make it a warning; nobody makes it nothing.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Blame::Upstream | Blame::Proxy)
    }
}

/// A response flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flag {
    /// As `%RESPONSE_FLAGS%` writes it.
    pub short: &'static str,
    /// As `%RESPONSE_FLAGS_LONG%` writes it.
    pub long: &'static str,
    /// On whose side the cause lies.
    pub blame: Blame,
    /// What happened, in one line.
    pub meaning: &'static str,
    /// What it usually comes from, the most frequent first.
    pub causes: &'static [&'static str],
    /// What to look at, in this order.
    pub check: &'static [&'static str],
}

/// The flag of a short or a long name; `None` for names that are not Envoy's own.
#[must_use]
pub fn flag(name: &[u8]) -> Option<&'static Flag> {
    FLAGS.iter().find(|it| if name.len() <= 5 { it.short.as_bytes() == name } else { it.long.as_bytes() == name })
}

/// The names in a comma-joined list; none in `-`.
#[inline]
pub(super) fn names(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|it| *it == b',').map(<[u8]>::trim_ascii).filter(|it| !matches!(*it, b"" | b"-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_find_their_flag() {
        for it in FLAGS {
            assert_eq!(flag(it.short.as_bytes()), Some(it));
            assert_eq!(flag(it.long.as_bytes()), Some(it));
            assert!(it.short.len() <= 5 && it.long.len() > 5, "{}", it.short);
            assert!(!it.meaning.is_empty() && !it.causes.is_empty() && !it.check.is_empty(), "{}", it.short);
        }
        assert_eq!(FLAGS.len(), 30);
        assert_eq!(flag(b"uf"), None);
        assert_eq!(flag(b"UFX"), None);
        assert_eq!(flag(b""), None);
        assert_eq!(flag(b"UpstreamConnectionFailure").map(|it| it.short), Some("UF"));
    }

    #[test]
    fn lists() {
        let all = |list: &'static str| names(list.as_bytes()).map(|it| String::from_utf8_lossy(it)).collect::<Vec<_>>();
        assert_eq!(all("URX,UF"), ["URX", "UF"]);
        assert_eq!(all("DI, URX,,UF"), ["DI", "URX", "UF"]);
        assert_eq!(all("-"), [""; 0]);
        assert_eq!(all(""), [""; 0]);
    }
}
