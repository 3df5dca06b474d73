//! Where the control socket comes from.

use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::Context as _;

use super::ControlConfig;
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;

/// Binds the socket, or takes it from `sockets`; `None` when there is to be none. A place that the user
/// chose must be had; the one that is found by itself is done without, and the log says why.
pub fn open(config: &ControlConfig, owner: &str, sockets: &mut Sockets) -> anyhow::Result<Option<Listener>> {
    let Some(path) = config.path() else { return Ok(None) };
    let is_chosen = config.chosen().is_some();
    if !is_chosen && let Some(directory) = path.parent() {
        // If it cannot be made, binding says so.
        let _ = DirBuilder::new().mode(0o700).create(directory);
    }
    match bind(&path, owner, sockets) {
        Ok(listener) => {
            tracing::info!(socket = %path.display(), "control socket for `logboom status`, `top`, `tap`, `reload` and `drain`");
            Ok(Some(listener))
        }
        Err(error) if is_chosen => Err(error.context("control: or do without it: control: {socket: off}")),
        Err(error) => {
            tracing::info!(
                error = format!("{error:#}"),
                "no control socket: `logboom status`, `top` and `tap` do not find this process; name a place with control: {{socket: PATH}}"
            );
            Ok(None)
        }
    }
}

fn bind(path: &Path, owner: &str, sockets: &mut Sockets) -> anyhow::Result<Listener> {
    let listener = sockets.listen(owner, &format!("unix:{}", path.display()))?;
    // Who connects is looked at as well.
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("cannot restrict {} to this user", path.display()))?;
    Ok(listener)
}
