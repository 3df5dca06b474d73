//! Who reaches a listener, and what is to be said about it.
//!
//! Asked twice: for what is written, and again when the address is known. Names are resolved late, and an
//! inherited socket is bound by somebody else.

/// What stands between a listener and those who reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// TLS is spoken.
    pub tls: bool,
    /// Clients need a certificate.
    pub client_ca: bool,
    /// Requests need a token; `None` where the protocol has no place for one.
    pub auth: Option<bool>,
    /// Only some networks may connect; `None` where that cannot be said.
    pub allow: Option<bool>,
    /// It was written that plaintext is meant.
    pub allow_plaintext: bool,
}

/// What is to be done about a listener that other machines reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It should be known.
    Warn(String),
    /// It is not listened on, because of this; [`Written`] knows what to do.
    Refuse(String),
}

/// Where the address of a listener is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// In a file.
    File,
    /// Behind `-l`.
    SourceFlag,
    /// Behind `--admin`.
    AdminFlag,
}

impl Written {
    /// What to do there about a listener that is refused.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Written::File => {
                "write `tls: {cert: …, key: …}` beside it, or listen on 127.0.0.1, or, where the network is to be trusted, \
                 write `allow_plaintext: true`: docs/security.md"
            }
            Written::SourceFlag => {
                "put '?tls.cert=FILE&tls.key=FILE' behind it, or listen on 127.0.0.1, or, where the network is to be trusted, \
                 add --allow-plaintext: docs/security.md"
            }
            Written::AdminFlag => {
                "listen on 127.0.0.1, or, where the network is to be trusted, add --allow-plaintext; its TLS is written in a file \
                 for -c, as `admin: {tls: {cert: …, key: …}}`: docs/security.md"
            }
        }
    }
}

impl Exposure {
    /// About `address`, which is not only reached from this machine.
    #[must_use]
    pub fn judge(&self, address: &str) -> Verdict {
        let auth = self.auth == Some(true);
        let allow = self.allow == Some(true);
        if self.tls {
            if self.client_ca || auth || allow {
                return Verdict::Fine;
            }
            let ways: Vec<&str> = [Some("`tls.client_ca`"), self.auth.map(|_| "`auth`"), self.allow.map(|_| "`allow`")]
                .into_iter()
                .flatten()
                .collect();
            return Verdict::Warn(format!(
                "{address} is reachable from other machines, and whoever reaches it is let in: write {}",
                ways.join(" or ")
            ));
        }
        if !self.allow_plaintext {
            return Verdict::Refuse(format!("{address} is reachable from other machines, and nothing is encrypted"));
        }
        Verdict::Warn(match (auth, allow) {
            (true, _) => {
                format!("{address} is reachable from other machines, in plaintext: tokens can be read on the way")
            }
            (false, true) => format!("{address} is reachable from other machines, in plaintext"),
            (false, false) => {
                format!("{address} is reachable from other machines, in plaintext and without authentication")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said() {
        let check = |exposure: Exposure, expected: &str| {
            let got = match exposure.judge("0.0.0.0:1") {
                Verdict::Fine => "fine".to_owned(),
                Verdict::Warn(text) => format!("warn {text}"),
                Verdict::Refuse(message) => format!("refuse {message}"),
            };
            assert!(got.starts_with(expected), "{exposure:?}: {got}");
        };
        let closed = Exposure::default();
        let plain = Exposure { allow_plaintext: true, auth: Some(false), allow: Some(false), ..closed };
        let tls = Exposure { tls: true, auth: Some(false), allow: Some(false), ..closed };
        check(closed, "refuse 0.0.0.0:1 is reachable from other machines, and nothing is encrypted");
        check(Exposure { auth: Some(true), ..closed }, "refuse");
        check(Exposure { allow: Some(true), ..closed }, "refuse");
        check(plain, "warn 0.0.0.0:1 is reachable from other machines, in plaintext and without authentication");
        check(Exposure { allow: Some(true), ..plain }, "warn 0.0.0.0:1 is reachable from other machines, in plaintext");
        check(
            Exposure { auth: Some(true), ..plain },
            "warn 0.0.0.0:1 is reachable from other machines, in plaintext: tokens",
        );
        check(
            tls,
            "warn 0.0.0.0:1 is reachable from other machines, and whoever reaches it is let in: write `tls.client_ca` or `auth` or `allow`",
        );
        check(Exposure { client_ca: true, ..tls }, "fine");
        check(Exposure { auth: Some(true), ..tls }, "fine");
        check(Exposure { allow: Some(true), ..tls }, "fine");
    }
}
