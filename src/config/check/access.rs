//! Who may connect: tokens, networks, TLS.

use super::Findings;
use crate::auth::AuthConfig;
use crate::config::Config;
use crate::config::listen::Listen;
use crate::source::allow::Network;
use crate::tls::ListenerTlsConfig;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    for (name, source) in &config.sources {
        let at = ["sources", name.as_str()];
        tls(&at, source.tls(), source.places().into_iter().map(|it| it.address), findings);
        networks(&at, source.allow(), findings);
        tokens(&at, source.auth(), findings);
    }
    tls(&["admin"], config.admin.tls.as_ref(), [config.admin.listen.as_str()], findings);
    tokens(&["admin"], config.admin.auth.as_ref(), findings);
}

fn tls<'a>(
    at: &[&str],
    tls: Option<&ListenerTlsConfig>,
    addresses: impl IntoIterator<Item = &'a str>,
    findings: &mut Findings<'_>,
) {
    let Some(ListenerTlsConfig { cert, key, client_ca }) = tls else { return };
    if addresses.into_iter().any(|it| matches!(it.parse(), Ok(Listen::Unix(_)))) {
        let message = "a unix socket is reached from this machine alone, and takes no TLS";
        findings.refuse(&[at, &["tls"]].concat(), message, "remove `tls`");
    }
    for (name, path) in [("cert", Some(cert)), ("key", Some(key)), ("client_ca", client_ca.as_ref())] {
        if path.is_some_and(|it| it.is_empty() || it.contains('\0')) {
            findings.refuse(&[at, &["tls", name]].concat(), "this is no path", "write the path of a PEM file");
        }
    }
}

fn networks(at: &[&str], allow: &[Network], findings: &mut Findings<'_>) {
    if allow.len() > Network::LIST_MAX {
        let message = format!("{} networks are too many", allow.len());
        findings.refuse(&[at, &["allow"]].concat(), message, format!("write at most {}", Network::LIST_MAX));
    }
}

/// What is said here never quotes a token.
fn tokens(at: &[&str], auth: Option<&AuthConfig>, findings: &mut Findings<'_>) {
    let Some(AuthConfig { bearer }) = auth else { return };
    let path = [at, &["auth", "bearer"]].concat();
    if bearer.is_empty() {
        findings.refuse(&path, "a list of no tokens: nobody could be let in", "write one, or remove `auth`");
    }
    if bearer.len() > AuthConfig::TOKENS_MAX {
        let message = format!("{} tokens are too many", bearer.len());
        findings.refuse(&path, message, format!("write at most {}", AuthConfig::TOKENS_MAX));
    }
    for (index, token) in bearer.iter().enumerate().take(AuthConfig::TOKENS_MAX) {
        let (token, index) = (token.expose(), index.to_string());
        let place = [path.as_slice(), &[index.as_str()]].concat();
        if !token.bytes().all(|it| it.is_ascii_graphic()) {
            let message = "this token has spaces, control characters, or letters that are not ASCII";
            findings.refuse(&place, message, "no header carries it: write another; `openssl rand -hex 32` makes one");
        } else if token.len() < AuthConfig::TOKEN_BYTES_MIN {
            let message = format!("this token has less than {} characters", AuthConfig::TOKEN_BYTES_MIN);
            findings.refuse(&place, message, "it could be guessed: `openssl rand -hex 32` makes a better one");
        } else if token.len() > AuthConfig::TOKEN_BYTES_MAX {
            let message = format!("this token has more than {} characters", AuthConfig::TOKEN_BYTES_MAX);
            findings.refuse(&place, message, "requests have no room for it: write a shorter one");
        }
    }
}
