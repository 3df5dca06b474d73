//! Which running process is meant.

use std::path::PathBuf;

use clap::Args;

use super::{Exit, complain};
use crate::control::client::Client;
use crate::control::{AUTO, ControlConfig, OFF, places};

#[derive(Args, Debug)]
pub struct InstanceArgs {
    /// Control socket of the running process; default: the one in --config, else where it is by itself ($RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR/logboom, /run/logboom)
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// Configuration of the running process, to find its control socket; the rest of it need not be right
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl InstanceArgs {
    /// Connects, and does `work` with whoever answers.
    pub fn run(&self, work: impl AsyncFnOnce(Client) -> anyhow::Result<Exit>) -> Exit {
        let places = match self.places() {
            Ok(places) => places,
            Err(exit) => return exit,
        };
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                complain(&format!("error: cannot start the runtime: {error}"));
                return Exit::Failure;
            }
        };
        let exit = runtime.block_on(async {
            let client = match Client::connect(&places).await {
                Ok(client) => client,
                Err(error) => {
                    complain(&format!("error: {error}"));
                    return Exit::Usage;
                }
            };
            work(client).await.unwrap_or_else(|error| {
                complain(&format!("error: {error:#}"));
                Exit::Failure
            })
        });
        // Nothing that reads a terminal or writes to a pipe may keep the process.
        runtime.shutdown_background();
        exit
    }

    fn places(&self) -> Result<Vec<PathBuf>, Exit> {
        if let Some(socket) = &self.socket {
            return Ok(vec![socket.clone()]);
        }
        let Some(config) = &self.config else { return Ok(places()) };
        let control = ControlConfig::find(config).map_err(|errors| {
            let exit = super::refuse(&errors);
            complain("so the control socket is not known: name it with --socket PATH");
            exit
        })?;
        match (control.chosen(), control.socket.as_str()) {
            (Some(path), _) => Ok(vec![path.to_owned()]),
            (None, AUTO) => Ok(places()),
            (None, OFF) => {
                complain(&format!(
                    "error: {} has `control: {{socket: off}}`: there is nothing to ask",
                    config.display()
                ));
                Err(Exit::Usage)
            }
            (None, _) => {
                complain(&format!(
                    "error: the control socket of {} is no absolute path, nor auto or off\n  name that of the running process with --socket PATH",
                    config.display()
                ));
                Err(Exit::Usage)
            }
        }
    }
}
