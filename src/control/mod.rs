//! The control socket: where a running process is asked how it does and what flows, and told to read
//! its configuration again or to stop. HTTP/1.1 over a unix socket, for its own user and root.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod asks;
pub mod client;
mod open;

pub use asks::{Ask, Asks, Finished, Outcome, Reloaded};
pub use open::open;

/// Settings of the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlConfig {
    /// Absolute path of a unix socket, `auto` or `off`.
    pub socket: String,
}

/// The place that is found by itself.
pub const AUTO: &str = "auto";
/// No socket at all.
pub const OFF: &str = "off";

impl Default for ControlConfig {
    fn default() -> Self {
        ControlConfig { socket: AUTO.to_owned() }
    }
}

impl ControlConfig {
    /// Where the socket is to be; `None` for none.
    #[must_use]
    pub fn path(&self) -> Option<PathBuf> {
        match self.socket.as_str() {
            OFF => None,
            AUTO => places().into_iter().next(),
            path => Some(path.into()),
        }
    }

    /// The path, if it was chosen by the user.
    #[must_use]
    pub fn chosen(&self) -> Option<&Path> {
        Some(Path::new(&self.socket)).filter(|it| it.is_absolute())
    }
}

/// Where sockets are that nobody chose a place for, the first that applies: the runtime directory of a
/// systemd unit, that of the user, `/run/logboom`.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    // A unit may have several, separated by colons.
    let of_unit = std::env::var("RUNTIME_DIRECTORY").ok();
    let of_unit = of_unit.and_then(|it| it.split(':').next().map(PathBuf::from)).filter(|it| it.is_absolute());
    let of_user = absolute("XDG_RUNTIME_DIR").map(|it| it.join("logboom"));
    let places = of_unit.into_iter().chain(of_user).chain([PathBuf::from("/run/logboom")]);
    places.map(|it| it.join("control.sock")).collect()
}
