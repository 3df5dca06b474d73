//! `logboom gen`: load that looks like what Kuma, Kong Mesh and Envoy send.
//!
//! A connection plays one data plane: it has its own address and service, its own pool of records
//! rendered before the clock starts, and its own thread. While sending, only the timestamps and,
//! with `--id`, twelve digits a record are overwritten in place, so the generator costs less than
//! any collector it measures.

mod access;
mod args;
mod format;
mod grpc;
mod hostile;
mod layout;
mod lines;
mod otlp;
mod pace;
mod pool;
mod render;
mod report;
mod tls;
mod values;

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

pub use args::{BodyKind, GenArgs, Quantity, Rate, Target, Token};
pub use format::{Format, NamedFormat};
pub use pool::{ID_DIGITS, Outgoing, Pool};
pub use report::{Latency, Report};

use pace::Pacer;
use report::Tally;

/// How long a connection attempt may take, as in kuma-dp.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long the connections may take to finish what they hold after Ctrl-C; then the report is
/// given without them.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Runs `logboom gen`: sends, then prints the report on standard error and, with `--json`, on
/// standard output. Ctrl-C ends the run early and is not a failure.
///
/// # Errors
///
/// When the flags contradict each other, a connection could not be made or broke, or records were
/// refused. The caller should exit with 1.
pub fn run(args: &GenArgs) -> anyhow::Result<()> {
    let report = generate(args)?;
    report.print(&mut std::io::stderr().lock())?;
    if args.json {
        report.print_json(&mut std::io::stdout().lock())?;
    }
    report.verdict()
}

/// What [`run`] does, without printing.
///
/// # Errors
///
/// When the flags contradict each other or a connection could not be made. What goes wrong later
/// is in the report; see [`Report::verdict`].
pub fn generate(args: &GenArgs) -> anyhow::Result<Report> {
    let plan = args.plan()?;
    let connections = (0..plan.connections).map(|_| connect(&plan.target, args)).collect::<anyhow::Result<Vec<_>>>()?;
    let pools = (0..plan.connections).map(|index| Pool::new(args, index)).collect::<anyhow::Result<Vec<_>>>()?;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime that waits for Ctrl-C")?;
    let stop = Arc::new(AtomicBool::new(false));
    let (started, cpu_before) = (Instant::now(), cpu_time());
    let mut tallies = Vec::new();
    // Nothing is ever sent: a connection that ends drops its end, by panic even.
    let (done, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    for (index, (connection, pool)) in (0u32..).zip(connections.into_iter().zip(pools)) {
        let tally = Arc::new(Tally::default());
        tallies.push(tally.clone());
        let pacer = Pacer::new(started, &plan, index, stop.clone());
        let (streams, per_write, done) = (args.streams, plan.per_write, done.clone());
        std::thread::Builder::new()
            .name(format!("gen-{index}"))
            .spawn(move || {
                match connection {
                    Connection::Lines(to) => lines::send(to, pool, pacer, per_write, &tally),
                    Connection::Otlp(to) => grpc::send(to, pool, pacer, streams, &tally),
                }
                drop(done);
            })
            .context("cannot start a thread for a connection")?;
    }
    drop(done);

    let interrupted = runtime.block_on(async {
        tokio::select! {
            _ = all_done.recv() => false,
            _ = tokio::signal::ctrl_c() => true,
        }
    });
    if interrupted {
        stop.store(true, Ordering::Relaxed);
        let _late = runtime.block_on(async { tokio::time::timeout(STOP_GRACE, all_done.recv()).await });
    }
    let cpu = cpu_time().saturating_sub(cpu_before);
    Ok(Report::new(args, &plan, started, cpu, &tallies, interrupted))
}

/// CPU time of this process, all threads, those that have ended too.
fn cpu_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// An open connection to what is tested.
enum Connection {
    Lines(lines::Stream),
    Otlp(grpc::Connection),
}

fn connect(target: &Target, args: &GenArgs) -> anyhow::Result<Connection> {
    let context = || format!("cannot connect to {target}: is a collector listening there?");
    let ca = args.ca.as_deref();
    Ok(match target {
        Target::Lines(address) => Connection::Lines(lines::Stream::Tcp(dial(address).with_context(context)?)),
        Target::LinesTls(address) => {
            let stream = dial(address).with_context(context)?;
            let stream = tls::over(stream, address, ca).with_context(|| format!("cannot connect to {target}"))?;
            Connection::Lines(lines::Stream::Tls(Box::new(stream)))
        }
        Target::LinesUnix(path) => {
            Connection::Lines(lines::Stream::Unix(UnixStream::connect(path).with_context(context)?))
        }
        Target::Otlp(address) => {
            Connection::Otlp(grpc::Connection::open(address, None, args.token.as_ref()).with_context(context)?)
        }
        Target::OtlpTls(address) => {
            let tls = tls::grpc(ca)?;
            Connection::Otlp(grpc::Connection::open(address, Some(tls), args.token.as_ref()).with_context(context)?)
        }
        Target::Stdout => Connection::Lines(lines::Stream::Stdout(std::io::stdout())),
    })
}

fn dial(address: &str) -> std::io::Result<TcpStream> {
    use std::net::ToSocketAddrs;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
