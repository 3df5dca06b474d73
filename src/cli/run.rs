//! `run`, and no subcommand: collect logs until told to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::input::InputArgs;
use super::{Exit, RunArgs, complain, log, refuse};
use crate::config::Checked;
use crate::server::{Finish, Load, Request, Server};
use crate::source::sockets::Sockets;

pub fn run(args: RunArgs) -> Exit {
    log::start(&args.log);
    // Before anything is opened: these are known by their numbers.
    let sockets = match Sockets::inherited() {
        Ok(sockets) => sockets,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            return Exit::Failure;
        }
    };
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
    let exit = runtime.block_on(serve(checked, sockets, args.input));
    // A sink that hangs in a blocked write must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn serve(checked: Checked, sockets: Sockets, input: InputArgs) -> Exit {
    let bound = checked.memory_bound_line();
    let opened = Server::open(checked, sockets).and_then(|server| Ok((server, signals()?)));
    let (server, requests) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            return Exit::Failure;
        }
    };
    info!(bound, "memory");
    complain(&server.ready_line());
    let load = input.is_file().then(|| Box::new(move || input.load()) as Box<Load>);
    let Finish { ledger, undelivered, crashed } = server.run(requests, load).await;
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

/// What signals ask for: SIGTERM and SIGINT to stop, SIGHUP to reload.
fn signals() -> anyhow::Result<mpsc::Receiver<Request>> {
    let (requests, receiver) = mpsc::channel(16);
    let wanted = [
        (SignalKind::terminate(), Request::Stop),
        (SignalKind::interrupt(), Request::Stop),
        (SignalKind::hangup(), Request::Reload),
    ];
    for (kind, request) in wanted {
        let mut signal = signal(kind)?;
        let requests = requests.clone();
        tokio::spawn(async move { while signal.recv().await.is_some() && requests.send(request).await.is_ok() {} });
    }
    Ok(receiver)
}
