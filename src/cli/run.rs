//! `run`, and no subcommand: collect logs until told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Exit, RunArgs, complain, log, refuse};
use crate::config::Checked;
use crate::server::{Finish, Request, Server};

pub fn run(args: &RunArgs) -> Exit {
    log::start(&args.log);
    let checked = match args.input.load() {
        Ok(checked) => checked,
        Err(errors) => return refuse(&errors),
    };
    for warning in checked.warnings() {
        warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: cannot start the runtime: {error}"));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(serve(&checked));
    // A sink that hangs in a blocked write must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn serve(checked: &Checked) -> Exit {
    let opened = Server::open(checked).and_then(|server| Ok((server, signals()?)));
    let (server, requests) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            return Exit::Failure;
        }
    };
    info!(bound = checked.memory_bound_line(), "memory");
    complain(&server.ready_line());
    let Finish { ledger, undelivered, crashed } = server.run(requests).await;
    complain(&ledger.to_string());
    if undelivered > 0 {
        complain(&format!("{undelivered} records were not delivered in time"));
    }
    match (crashed, undelivered) {
        (true, _) => Exit::Failure,
        (false, 0) => Exit::Clean,
        (false, _) => Exit::Undelivered,
    }
}

/// What signals ask for: SIGTERM and SIGINT to stop, SIGHUP to reopen the output files.
fn signals() -> anyhow::Result<mpsc::Receiver<Request>> {
    let (requests, receiver) = mpsc::channel(16);
    let wanted = [
        (SignalKind::terminate(), Request::Stop),
        (SignalKind::interrupt(), Request::Stop),
        (SignalKind::hangup(), Request::Reopen),
    ];
    for (kind, request) in wanted {
        let mut signal = signal(kind)?;
        let requests = requests.clone();
        tokio::spawn(async move { while signal.recv().await.is_some() && requests.send(request).await.is_ok() {} });
    }
    Ok(receiver)
}
