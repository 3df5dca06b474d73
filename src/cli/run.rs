//! `run`, and no subcommand: collect logs until told to stop.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{Exit, RunArgs, complain, log, refuse};
use crate::config::Checked;
use crate::server::{Finish, Load, Request, Server, take_over};
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
    let exit = runtime.block_on(serve(checked, sockets, args));
    // A sink that hangs in a blocked write must not keep the process.
    runtime.shutdown_background();
    exit
}

async fn serve(checked: Checked, sockets: Sockets, args: RunArgs) -> Exit {
    let bound = checked.memory_bound_line();
    let (server, requests) = match open(checked, sockets, args.take_over).await {
        Ok(opened) => opened,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            return Exit::Failure;
        }
    };
    info!(bound, "memory");
    complain(&server.ready_line());
    let input = args.input;
    let load = input.is_file().then(|| Arc::new(move || input.load()) as Arc<Load>);
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

/// Everything that may fail, before anything is received.
async fn open(
    checked: Checked,
    mut sockets: Sockets,
    is_taking_over: bool,
) -> anyhow::Result<(Server, mpsc::Receiver<Request>)> {
    let taken = if is_taking_over { take_over(&checked, &mut sockets)? } else { None };
    let requests = signals()?;
    let Some(mut taken) = taken else { return Ok((Server::open(checked, sockets)?, requests)) };
    taken.released().context("nothing was taken over")?;
    let mut server = Server::open(checked, sockets)?;
    taken.hand_to(&mut server).await.context("nothing was taken over")?;
    Ok((server, requests))
}

/// What signals ask for: SIGTERM and SIGINT to stop, SIGHUP to reload. And what a panic asks for, on
/// whatever thread: a supervisor can start a whole process again, and half of one it does not see.
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
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        tracing::error!("a part of logboom has panicked, which is a bug; stopping");
        let requests = requests.clone();
        // It may have to wait behind signals, and a panicking task must not.
        std::thread::spawn(move || requests.blocking_send(Request::Crash));
    }));
    Ok(receiver)
}
