//! Whose connections are accepted, by address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network: `10.0.0.0/8`, `fd00::/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub struct Network(IpNet);

impl Network {
    /// Most of them in one list. Each connection is compared with all.
    pub const LIST_MAX: usize = 1024;

    /// True for an address of this network. An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`), as
    /// listeners on `[::]` see them, is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let refused = || format!("'{text}' is not a network: write it as 10.0.0.0/8, fd00::/8, or one address");
        // Not all at once: a zero in front would make 010.0.0.0 another network for people than for us.
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let net = match prefix {
            None => IpNet::from(address),
            Some(prefix) => {
                let digits = prefix.bytes().all(|it| it.is_ascii_digit());
                let prefix = prefix.parse().ok().filter(|_| digits).ok_or_else(refused)?;
                IpNet::new(address, prefix).map_err(|_| refused())?
            }
        };
        if net.addr() != net.network() {
            return Err(format!("'{text}' has bits behind its prefix: write {}", net.trunc()));
        }
        if net.addr().to_canonical() != net.addr() {
            return Err(format!("'{text}' is IPv4 written as IPv6: write the IPv4 network, it stands for both"));
        }
        Ok(Network(net))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// True when this peer may connect: the list is empty, it is in one of the networks, or it has no address, as
/// on a unix socket.
#[must_use]
pub fn is_allowed(networks: &[Network], peer: Option<SocketAddr>) -> bool {
    networks.is_empty() || peer.is_none_or(|peer| networks.iter().any(|it| it.contains(peer.ip())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let check = |text: &str, expected: &str| {
            let got = text.parse::<Network>().map_or_else(|error| error, |it| it.to_string());
            assert!(got == expected || got.contains(&format!("{expected}:")), "{text}: {got}");
        };
        check("10.0.0.0/8", "10.0.0.0/8");
        check("0.0.0.0/0", "0.0.0.0/0");
        check("192.0.2.7", "192.0.2.7/32");
        check("fd00::/8", "fd00::/8");
        check("FD00:0::/8", "fd00::/8");
        check("::/0", "::/0");
        check("2001:db8::1", "2001:db8::1/128");
        check("10.0.0.1/8", "has bits behind its prefix");
        check("fd00::1/8", "has bits behind its prefix");
        check("::ffff:10.0.0.0/104", "is IPv4 written as IPv6");
        check("::ffff:10.0.0.1", "is IPv4 written as IPv6");
        for text in [
            "",
            "/",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "10.0.0.0/8 ",
            "fd00::/129",
            "localhost",
            "010.0.0.0/8",
        ] {
            check(text, "is not a network");
        }
    }

    #[test]
    fn peers() {
        let check = |networks: &str, peer: &str, expected: bool| {
            let networks: Vec<Network> = networks.split_whitespace().map(|it| it.parse().unwrap()).collect();
            assert_eq!(is_allowed(&networks, Some(SocketAddr::new(peer.parse().unwrap(), 1))), expected, "{peer}");
            assert!(is_allowed(&networks, None));
        };
        check("", "203.0.113.9", true);
        check("10.0.0.0/8", "10.255.255.255", true);
        check("10.0.0.0/8", "11.0.0.0", false);
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("10.0.0.0/8", "::ffff:11.1.2.3", false);
        check("10.0.0.0/8", "::10.1.2.3", false);
        check("10.0.0.0/8 fd00::/8", "fdff::1", true);
        check("10.0.0.0/8 fd00::/8", "fe00::1", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("0.0.0.0/0", "192.0.2.8", true);
        check("0.0.0.0/0", "2001:db8::1", false);
        check("::/0", "2001:db8::1", true);
        check("::/0", "192.0.2.8", false);
    }
}
