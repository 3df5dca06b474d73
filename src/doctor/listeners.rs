//! Can every listener be bound?

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::config::Checked;
use crate::config::listen::Listen;
use crate::source::listen::{listening_process, probe};

use super::running::{Holder, holder};
use super::{Finding, Surroundings, place};

const CHECK: &str = "listen";

/// Looks at each address.
pub fn check(checked: &Checked, around: &Surroundings) -> Vec<Finding> {
    let config = checked.config();
    let mut addresses: Vec<(String, String)> = Vec::new();
    for (name, source) in &config.sources {
        addresses
            .extend(source.places().iter().map(|it| (format!("sources.{name}.{}", it.key), it.address.to_owned())));
    }
    if config.admin.listen != "off" {
        addresses.push(("admin.listen".to_owned(), config.admin.listen.clone()));
    }
    addresses.extend(config.takeover.iter().map(|it| ("takeover.socket".to_owned(), it.address())));
    addresses.iter().map(|(owner, address)| one(owner, address, around)).collect()
}

fn one(owner: &str, address: &str, around: &Surroundings) -> Finding {
    let subject = format!("{owner} {address}");
    match address.parse::<Listen>() {
        Ok(Listen::Tcp { port, .. }) => tcp(&subject, address, port, around),
        Ok(Listen::Unix(path)) => unix(&subject, &path),
        Ok(Listen::Systemd(name)) => {
            let message = "passed by systemd when it starts logboom: it cannot be seen from here";
            let help = format!("`systemctl status` of the socket unit with FileDescriptorName={name}");
            Finding::warn(CHECK, subject, message, help)
        }
        Err(error) => Finding::fail(CHECK, subject, error, "write host:port"),
    }
}

fn tcp(subject: &str, address: &str, port: u16, around: &Surroundings) -> Finding {
    let Err(error) = probe(address) else { return Finding::ok(CHECK, subject, "free") };
    if let Some((name, process)) = listening_process(port)
        && let Holder::Ours(process) = holder(name, process, around)
    {
        return Finding::ok(
            CHECK,
            subject,
            format!("held by the logboom that runs with this configuration (process {process})"),
        );
    }
    // What to do stands behind the semicolon.
    let text = format!("{error:#}");
    let (message, help) = text.split_once("; ").unwrap_or((&text, "choose another address"));
    Finding::fail(CHECK, subject, message, help)
}

fn unix(subject: &str, path: &Path) -> Finding {
    match std::fs::symlink_metadata(path) {
        Ok(there) if !there.file_type().is_socket() => {
            let message = "there is something that is not a socket";
            Finding::fail(CHECK, subject, message, "remove it, or choose another path")
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            let message = "somebody listens there";
            Finding::warn(
                CHECK,
                subject,
                message,
                "fine when it is the logboom to be replaced; else choose another path",
            )
        }
        _ => match place::writable(path.parent().unwrap_or(path)) {
            Ok(_) => Finding::ok(CHECK, subject, "free"),
            Err((message, help)) => Finding::fail(CHECK, subject, message, help),
        },
    }
}
