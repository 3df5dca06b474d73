//! Tokens that let a client in.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::{Choice, ConstantTimeEq as _};

use crate::config::secret::Secret;

/// What a refused HTTP request is told to send (RFC 6750, section 3).
pub const CHALLENGE: &str = "Bearer realm=\"logboom\"";

/// Who is let in.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Tokens, of which a client sends one as `authorization: Bearer TOKEN`. Several at once, so that one can take
    /// the place of another.
    #[schemars(with = "Vec<String>")]
    pub bearer: Vec<Secret>,
}

impl AuthConfig {
    /// Most tokens at once.
    pub const TOKENS_MAX: usize = 64;
    /// A shorter one could be guessed.
    pub const TOKEN_BYTES_MIN: usize = 16;
    /// A longer one does not fit into the headers of a request beside others.
    pub const TOKEN_BYTES_MAX: usize = 4096;
}

/// The tokens, ready to be compared. Only their digests are kept.
#[derive(Clone)]
pub struct Bearer {
    digests: Vec<[u8; SHA256_OUTPUT_LEN]>,
}

impl Bearer {
    /// Lets in who has one of these.
    #[must_use]
    pub fn new(config: &AuthConfig) -> Bearer {
        Bearer { digests: config.bearer.iter().map(|token| sha256(token.expose())).collect() }
    }

    /// True when a request with these headers shows one of the tokens. How long that takes says nothing about how
    /// much of a token was right, nor about which one.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.to_str().ok().and_then(|it| it.split_once(' ')) else { return false };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return false;
        }
        let shown = sha256(token.trim_matches(' '));
        let found = self.digests.iter().fold(Choice::from(0), |found, digest| found | digest.ct_eq(&shown));
        found.into()
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bearer").field("tokens", &self.digests.len()).finish()
    }
}

fn sha256(text: &str) -> [u8; SHA256_OUTPUT_LEN] {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let config = AuthConfig { bearer: ["a-long-enough-token", "another-long-token"].map(Secret::new).into() };
        let bearer = Bearer::new(&config);
        let check = |values: &[&str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, value.parse().unwrap());
            }
            assert_eq!(bearer.admits(&headers), expected, "{values:?}");
        };
        check(&["Bearer a-long-enough-token"], true);
        check(&["bearer another-long-token"], true);
        check(&["BEARER  a-long-enough-token "], true);
        check(&[], false);
        check(&[""], false);
        check(&["Bearer"], false);
        check(&["Bearer "], false);
        check(&["a-long-enough-token"], false);
        check(&["Basic a-long-enough-token"], false);
        check(&["Bearer a-long-enough-toke"], false);
        check(&["Bearer a-long-enough-token2"], false);
        check(&["Bearer A-long-enough-token"], false);
        check(&["Bearer a-long-enough-token another-long-token"], false);
        // Which of them counts would be decided otherwise elsewhere.
        check(&["Bearer a-long-enough-token", "Bearer wrong"], false);
        let nobody = Bearer::new(&AuthConfig { bearer: Vec::new() });
        assert!(!nobody.admits(&HeaderMap::new()));
    }

    #[test]
    fn never_shows() {
        let config = AuthConfig { bearer: vec![Secret::new("canary-canary-canary")] };
        let shown = format!("{config:?} {:?} {}", Bearer::new(&config), serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
