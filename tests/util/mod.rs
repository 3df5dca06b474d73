//! The built program as its users meet it: a configuration file, sockets, files, signals.
//!
//! ```ignore
//! let server = Server::start("sources: {mesh: {type: lines, listen: 127.0.0.1:0}}\n\
//!     sinks: {files: {type: file, path: '{dir}/out', encoding: raw}}");
//! server.send("mesh", b"one\ntwo\n");
//! let ended = server.stop();
//! assert_eq!(ended.file("out"), b"one\ntwo\n");
//! ```
#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub mod grpc;
pub mod otlp;

/// After so long a test has failed. No test passes by it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`, looking every few milliseconds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Random numbers from `LOGBOOM_TEST_SEED`, or from a seed that a failing test shows.
#[allow(clippy::print_stderr, reason = "shown when the test fails")]
pub fn random() -> fastrand::Rng {
    let seed = std::env::var("LOGBOOM_TEST_SEED").ok().and_then(|it| it.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("LOGBOOM_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// `bytes` in pieces of random lengths, small and large.
pub fn split<'a>(bytes: &'a [u8], random: &mut fastrand::Rng) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length_max = 1 << random.u32(0..=14);
        let length = random.usize(1..=length_max).min(rest.len());
        pieces.push(&rest[..length]);
        rest = &rest[length..];
    }
    pieces
}

/// Everything in a directory of fixtures, by name.
pub fn fixtures(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(directory);
    let files = std::fs::read_dir(directory).unwrap();
    let read = |path: PathBuf| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap());
    files.map(|file| read(file.unwrap().path())).collect()
}

/// A running logboom. It is killed when this is dropped.
pub struct Server {
    dir: Arc<TempDir>,
    child: Child,
    stderr: Arc<Log>,
    /// What each source listens on: `127.0.0.1:40123`, `unix:/…`, and by which key where there are several.
    addresses: BTreeMap<String, Vec<(String, String)>>,
    admin: SocketAddr,
}

/// A logboom that has ended, and what it left behind.
pub struct Ended {
    dir: Arc<TempDir>,
    /// Its exit code.
    pub code: i32,
    /// All it wrote to its own log.
    pub stderr: String,
}

impl Server {
    /// Starts with this configuration, where `{dir}` is a directory of its own, and waits until it
    /// is ready. The admin listener is added.
    pub fn start(yaml: &str) -> Server {
        Server::start_in(Arc::new(TempDir::new().unwrap()), yaml)
    }

    /// The same in the directory of an earlier one.
    pub fn start_in(dir: Arc<TempDir>, yaml: &str) -> Server {
        let config = write_config(&dir, yaml);
        Server::start_as(dir, &mut program(&config))
    }

    /// Another one in the same directory, which takes over what this one has.
    pub fn take_over(&self, yaml: &str) -> Server {
        Server::taking_over(self.dir(), yaml)
    }

    /// The same, with a configuration of which nothing comes.
    pub fn take_over_refused(&self, yaml: &str) -> Ended {
        Server::taking_over_refused(self.dir(), yaml)
    }

    /// One that takes over from whoever listens for it.
    pub fn taking_over(dir: Arc<TempDir>, yaml: &str) -> Server {
        let config = write_config(&dir, yaml);
        Server::start_as(dir, program(&config).arg("--take-over"))
    }

    /// The same for one that is expected to end by itself.
    pub fn taking_over_refused(dir: Arc<TempDir>, yaml: &str) -> Ended {
        let config = write_config(&dir, yaml);
        Server::ending(dir, program(&config).arg("--take-over"))
    }

    /// Starts with sockets that are passed by number, as systemd does it: `sockets` is a part of a shell
    /// script, in which `listener` is descriptor 0.
    pub fn start_inheriting(yaml: &str, listener: impl Into<Stdio>, sockets: &str) -> Server {
        let dir = Arc::new(TempDir::new().unwrap());
        let mut program = inheriting(&write_config(&dir, yaml), listener, sockets);
        Server::start_as(dir, &mut program)
    }

    /// The same for one that is expected to end by itself.
    pub fn refused_inheriting(yaml: &str, listener: impl Into<Stdio>, sockets: &str) -> Ended {
        let dir = Arc::new(TempDir::new().unwrap());
        let mut program = inheriting(&write_config(&dir, yaml), listener, sockets);
        Server::ending(dir, &mut program)
    }

    /// Starts this command, and waits until it is ready.
    pub fn start_as(dir: Arc<TempDir>, program: &mut Command) -> Server {
        let (child, stderr) = spawn(program);
        let mut server =
            Server { dir, child, stderr, addresses: BTreeMap::new(), admin: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let ready = server.stderr.wait_for(" ready: ").unwrap_or_else(|| panic!("it ended before it was ready"));
        let (sources, rest) = ready.split_once(" ready: ").unwrap().1.split_once(" -> ").unwrap();
        server.admin = rest.rsplit_once("; admin ").unwrap().1.parse().unwrap();
        let names: Vec<String> = server.status()["sources"].as_object().unwrap().keys().cloned().collect();
        let addresses = sources.split(", ").map(|source| {
            let words: Vec<&str> = source.split(' ').skip(1).collect();
            let key = |words: &[&str]| words.get(1).map_or("", |it| it.trim_matches(['(', ')'])).to_owned();
            words.chunks(2).map(|words| (key(words), words[0].to_owned())).collect()
        });
        server.addresses = names.into_iter().zip(addresses).collect();
        server
    }

    /// Starts one that is expected to end by itself.
    pub fn refused(yaml: &str) -> Ended {
        let dir = Arc::new(TempDir::new().unwrap());
        let config = write_config(&dir, yaml);
        Server::ending(dir, &mut program(&config))
    }

    fn ending(dir: Arc<TempDir>, program: &mut Command) -> Ended {
        let (child, stderr) = spawn(program);
        let addresses = BTreeMap::new();
        Server { dir, child, stderr, addresses, admin: SocketAddr::from(([127, 0, 0, 1], 0)) }.end()
    }

    /// Writes another configuration and has it read.
    pub fn reload(&self, yaml: &str) {
        write_config(&self.dir, yaml);
        self.signal(Signal::HUP);
    }

    /// How often the configuration was read again and taken (`ok`), or refused (`failed`).
    pub fn reloads(&self, result: &str) -> u64 {
        self.metric(&format!("logboom_reloads_total{{result=\"{result}\"}}")) as u64
    }

    /// Its number.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Open descriptors of the process.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// What a source listens on; of several the first.
    pub fn address(&self, source: &str) -> &str {
        &self.addresses[source][0].1
    }

    /// What a source listens on under this key of its settings.
    pub fn address_of(&self, source: &str, key: &str) -> &str {
        let (_, address) = self.addresses[source].iter().find(|(it, _)| it == key).unwrap();
        address
    }

    /// A connection to a `lines` source.
    pub fn connect(&self, source: &str) -> Client {
        match self.address(source).strip_prefix("unix:") {
            Some(path) => Client::Unix(UnixStream::connect(path).unwrap()),
            None => Client::Tcp(TcpStream::connect(self.address(source)).unwrap()),
        }
    }

    /// Sends all of it over one connection and waits until it was received.
    pub fn send(&self, source: &str, bytes: &[u8]) {
        let mut client = self.connect(source);
        client.write_all(bytes).unwrap();
        client.finish();
    }

    /// A gRPC client of an `otlp` source.
    pub fn grpc(&self, source: &str) -> grpc::Client {
        grpc::Client::connect(self.address(source))
    }

    /// The standard output of the process, once.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// A page of the admin listener.
    pub fn page(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: logboom\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// `/status`.
    pub fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.page("/status")).unwrap()
    }

    /// A number of a source in `/status`.
    pub fn source(&self, name: &str, key: &str) -> u64 {
        number(&self.status()["sources"][name], key)
    }

    /// A number of a sink in `/status`.
    pub fn sink(&self, name: &str, key: &str) -> u64 {
        number(&self.status()["sinks"][name], key)
    }

    /// One series of `/metrics`, such as `logboom_shed_records_total{sink="files",reason="full"}`.
    pub fn metric(&self, series: &str) -> f64 {
        let metrics = self.page("/metrics");
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap_or_else(|| panic!("no {series} among\n{metrics}")).parse().unwrap()
    }

    /// The sizes of the process in `/proc`: `VmRSS`, `VmHWM`.
    pub fn process_bytes(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        value.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The process never took more memory than it said at the start.
    pub fn assert_within_memory_bound(&self) {
        let (peak, bound) = (self.process_bytes("VmHWM"), number(&self.status(), "memory_bound_bytes"));
        assert!(peak <= bound, "{peak} bytes of memory were used, {bound} are the bound: {}", self.status());
    }

    /// The path of a file in `{dir}`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory, for another run.
    pub fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }

    /// A file in `{dir}`; empty when there is none.
    pub fn file(&self, name: &str) -> Vec<u8> {
        read(&self.path(name))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// True when the own log has a line with this text by now.
    pub fn has_logged(&self, text: &str) -> bool {
        self.stderr.so_far().contains(text)
    }

    /// Waits until the own log has a line with this text.
    pub fn wait_for_log(&self, text: &str) {
        let _ = self.stderr.wait_for(text).unwrap_or_else(|| panic!("it ended and never said {text:?}"));
    }

    /// Stops it as an operator would.
    pub fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> Ended {
        let mut status: Option<ExitStatus> = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let stderr = self.stderr.whole();
        let code = status.and_then(|it| it.code()).unwrap_or_else(|| panic!("ended by a signal: {status:?}"));
        Ended { dir: Arc::clone(&self.dir), code, stderr }
    }
}

impl Drop for Server {
    #[allow(clippy::print_stderr, reason = "only when the test fails")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the log of logboom:\n{}---", self.stderr.so_far());
        }
    }
}

impl Ended {
    /// The line that accounts for every record.
    pub fn ledger(&self) -> &str {
        let line = self.stderr.lines().find(|line| line.starts_with("ledger: "));
        line.unwrap_or_else(|| panic!("no ledger in\n{}", self.stderr))
    }

    /// Ended as it should, with every record delivered and accounted for.
    pub fn assert_clean(&self) {
        assert_eq!(self.code, 0, "{}", self.stderr);
        assert!(!self.ledger().contains("imbalance"), "{}", self.ledger());
    }

    /// The number behind `what` in a part of the ledger: `("received", "received")`,
    /// `("files: ", "shed")`.
    pub fn count(&self, part: &str, what: &str) -> u64 {
        let ledger = self.ledger();
        let part = ledger.split("; ").find(|it| it.contains(part)).unwrap_or_else(|| panic!("no {part} in {ledger}"));
        let at = part.find(&format!("{what} ")).unwrap_or_else(|| panic!("no {what} in {part}")) + what.len() + 1;
        let digits: String = part[at..].chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    /// The path of a file in `{dir}`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in `{dir}`; empty when there is none.
    pub fn file(&self, name: &str) -> Vec<u8> {
        read(&self.path(name))
    }

    /// The lines of a file with one JSON value each.
    pub fn json(&self, name: &str) -> Vec<serde_json::Value> {
        json_lines(&self.file(name))
    }

    /// The directory, for another run.
    pub fn dir(&self) -> Arc<TempDir> {
        Arc::clone(&self.dir)
    }
}

/// One JSON value from each line, the last of which is whole too.
pub fn json_lines(bytes: &[u8]) -> Vec<serde_json::Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is not whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn read(path: &Path) -> Vec<u8> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        read => read.unwrap(),
    }
}

fn number(value: &serde_json::Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// The configuration file of a process in `dir`.
fn write_config(dir: &TempDir, yaml: &str) -> PathBuf {
    let config = dir.path().join("logboom.yaml");
    let yaml = yaml.replace("{dir}", dir.path().to_str().unwrap());
    // In one step: it may be read at any moment.
    let next = dir.path().join("next.yaml");
    std::fs::write(&next, format!("{yaml}\nadmin: {{listen: 127.0.0.1:0}}\n")).unwrap();
    std::fs::rename(next, &config).unwrap();
    config
}

fn program(config: &Path) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_logboom"));
    program.args(["run", "-c"]).arg(config).stdin(Stdio::null());
    program
}

fn inheriting(config: &Path, listener: impl Into<Stdio>, sockets: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("{sockets} LISTEN_PID=$$ exec \"$0\" \"$@\" 0</dev/null");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_logboom"), "run", "-c"]).arg(config).stdin(listener);
    shell
}

fn spawn(program: &mut Command) -> (Child, Arc<Log>) {
    let mut child = program.env_remove("LOGBOOM_LOG").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Arc::new(Log::default());
    let (stderr, writer) = (child.stderr.take().unwrap(), Arc::clone(&log));
    std::thread::spawn(move || writer.fill(stderr));
    (child, log)
}

/// What a process writes, while it writes.
#[derive(Default)]
struct Log {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Log {
    fn fill(&self, from: impl Read) {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            self.state.lock().unwrap().0.push(line);
            self.changed.notify_all();
        }
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }

    /// The first line with this text; `None` when the process ended without it.
    fn wait_for(&self, text: &str) -> Option<String> {
        let has = |lines: &[String]| lines.iter().find(|line| line.contains(text)).cloned();
        let waiting = |state: &mut (Vec<String>, bool)| has(&state.0).is_none() && !state.1;
        let (state, timeout) = self.changed.wait_timeout_while(self.state.lock().unwrap(), PATIENCE, waiting).unwrap();
        assert!(!timeout.timed_out(), "never said: {text}\n{}", state.0.join("\n"));
        has(&state.0)
    }

    /// All of it, once the process has ended.
    fn whole(&self) -> String {
        let running = |state: &mut (Vec<String>, bool)| !state.1;
        let (state, timeout) = self.changed.wait_timeout_while(self.state.lock().unwrap(), PATIENCE, running).unwrap();
        assert!(!timeout.timed_out(), "somebody holds standard error open");
        state.0.join("\n")
    }

    fn so_far(&self) -> String {
        // A test that failed while it held the lock still shows the log.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.join("\n")
    }
}

/// A connection to a `lines` source.
pub enum Client {
    /// TCP.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

impl Client {
    /// Ends the stream and waits until all of it was received: the other side closes only then.
    pub fn finish(mut self) {
        match &self {
            Client::Tcp(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Client::Unix(stream) => stream.shutdown(Shutdown::Write).unwrap(),
        }
        self.wait_closed();
    }

    /// Waits until the other side has closed.
    pub fn wait_closed(&mut self) {
        match self {
            Client::Tcp(stream) => closed(stream, |it| it.set_read_timeout(Some(PATIENCE))),
            Client::Unix(stream) => closed(stream, |it| it.set_read_timeout(Some(PATIENCE))),
        }
    }
}

fn closed<S: Read>(stream: &mut S, patient: impl FnOnce(&S) -> io::Result<()>) {
    patient(stream).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("neither closed nor silent: {other:?}"),
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Client::Tcp(stream) => stream.write(bytes),
            Client::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A port that refuses connections, until somebody listens there.
pub struct DeadPort {
    /// Bound and not listening: nobody else gets the port, and a listener that allows the address
    /// to be reused can still come.
    _socket: socket2::Socket,
    /// Where.
    pub address: SocketAddr,
}

impl DeadPort {
    /// One of its own.
    pub fn new() -> DeadPort {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        DeadPort { _socket: socket, address }
    }
}
