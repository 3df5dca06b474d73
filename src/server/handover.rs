//! Handing over to the next process, and taking over from the one before.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::{ADMIN, SOURCES_SHARE, Server, TAKEOVER, owner_of_source};
use crate::config::{Checked, Config};
use crate::handover::predecessor::{Predecessor, Received};
use crate::handover::{Arrived, Offer, Offered, Successor, Wanted};
use crate::source::lines::Connection;
use crate::source::listen::Listener;
use crate::source::sockets::Sockets;
use crate::source::stream::Stream;
use crate::source::{Place, SourceConfig};

/// What the next process has, and this one until that can go on.
#[derive(Debug)]
pub struct HandedOver {
    successor: Successor,
    listeners: Vec<(String, Arc<Listener>)>,
    connections: Vec<(String, Connection)>,
}

/// Why the next process does not go on.
pub enum Failure {
    /// It has failed, and this one goes on.
    GoesOn(anyhow::Error),
    /// This one cannot go on either.
    Lost(anyhow::Error),
}

impl Server {
    /// Talks to a process that has connected, while everything goes on.
    pub(super) fn meet(&mut self, stream: Stream) {
        let listeners = listeners(self.checked.config());
        let config = self.checked.config();
        let offer = Offer { listeners, grace: config.shutdown.grace.0, journal: journal_dir(config) };
        self.meeting.spawn_blocking(move || {
            let stream = stream.into_std_unix().context("it is no unix socket")??;
            Successor::meet(stream, &offer)
        });
    }

    /// Hands over what is wanted, or goes on as before.
    pub(super) async fn hand_over(
        &mut self,
        met: Result<anyhow::Result<(Successor, Wanted)>, JoinError>,
    ) -> Option<HandedOver> {
        let (mut successor, wanted) = match met.unwrap_or_else(|crash| Err(crash.into())) {
            Ok(met) => met,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "nothing is handed over");
                return None;
            }
        };
        tracing::info!("handing over: reading pauses");
        let grace = self.checked.config().shutdown.grace.0;
        let given = match self.park(Instant::now() + grace.mul_f32(SOURCES_SHARE)).await {
            Ok(()) => self.give(successor, wanted).await,
            Err(error) => {
                successor.refuse(&format!("{error:#}"));
                Err(error)
            }
        };
        let error = match given {
            Ok(handed_over) => return Some(handed_over),
            Err(error) => error,
        };
        tracing::error!(error = format!("{error:#}"), "nothing is handed over, reading goes on");
        for source in self.sources.values_mut() {
            self.running.spawn(source.run());
        }
        None
    }

    /// All sources stop between two reads. An error is that some could not in time.
    async fn park(&mut self, until: Instant) -> anyhow::Result<()> {
        self.sources.values().for_each(|source| source.park(until));
        let mut missing = self.sources.len();
        let mut late = 0;
        while missing > 0 {
            // Those that a reload has removed end here as well. Each that is parked ends in time.
            let Some(ended) = self.running.join_next().await else { break };
            let end = ended.context("a source has crashed")?;
            if let (Some(parked), Some(source)) = (end.parked, self.sources.get_mut(&*end.name)) {
                missing -= 1;
                late += parked.late.len();
                source.unpark(parked);
            }
        }
        ensure!(late == 0, "{late} connections wait for a sink that is full, try again later");
        Ok(())
    }

    async fn give(&mut self, mut successor: Successor, wanted: Wanted) -> anyhow::Result<HandedOver> {
        let mut given = Vec::new();
        for Offered { owner, .. } in &wanted.listeners {
            let listener = self.listener(owner).with_context(|| format!("{owner} does not listen any more"))?;
            given.push((owner.clone(), listener));
        }
        let mut connections: Vec<(String, Connection)> = Vec::new();
        for (name, source) in &mut self.sources {
            if wanted.sources.contains(name) {
                connections.extend(source.take_parked().into_iter().map(|it| (name.clone(), it)));
            }
        }
        let blocking = tokio::task::spawn_blocking(move || {
            let listeners: Vec<_> = given.iter().map(|(owner, listener)| (owner.as_str(), &**listener)).collect();
            let open: Vec<_> = connections.iter().map(|(source, it)| (source.as_str(), it)).collect();
            let result = successor.give(&listeners, &open);
            (successor, result, given, connections)
        });
        let (successor, result, given, connections) = blocking.await?;
        let mut handed_over = HandedOver { successor, listeners: given, connections };
        if let Err(error) = result {
            // IMPORTANT: it may have everything and only be slow to say so. Unless it hears this it
            // would take the end of the conversation for the end of this process, and read as well.
            handed_over.successor.refuse(&format!("{error:#}"));
            self.take_back(handed_over);
            return Err(error);
        }
        for (name, source) in self.sources.iter_mut().filter(|(_, source)| source.has_parked()) {
            tracing::info!(source = name, "the next process has no such source, its connections are closed");
            self.running.spawn(source.run());
        }
        Ok(handed_over)
    }

    /// The files are free: the next process is to open its own. When it has, everything is its own;
    /// otherwise all is as it was before, and this process goes on.
    pub(super) async fn let_go(&mut self, mut handed_over: HandedOver) -> Result<(), Failure> {
        let blocking = tokio::task::spawn_blocking(move || {
            let result = handed_over.successor.release();
            if let Err(error) = &result {
                handed_over.successor.refuse(&format!("{error:#}"));
            }
            (handed_over, result)
        });
        let (handed_over, result) = match blocking.await {
            Ok(done) => done,
            Err(crash) => return Err(Failure::Lost(crash.into())),
        };
        let Err(error) = result else {
            handed_over.listeners.iter().for_each(|(_, listener)| listener.hand_over());
            let HandedOver { listeners, connections, .. } = handed_over;
            tracing::info!(
                listeners = listeners.len(),
                connections = connections.len(),
                "handed over to the next process"
            );
            return Ok(());
        };
        self.take_back(handed_over);
        self.reopen()
            .map_err(|lost| Failure::Lost(lost.context(format!("the next process has failed ({error:#})"))))?;
        Err(Failure::GoesOn(error))
    }

    /// Connections go on here with the next run.
    fn take_back(&mut self, handed_over: HandedOver) {
        for (name, connection) in handed_over.connections {
            if let Some(source) = self.sources.get_mut(&name) {
                source.unpark_one(connection);
            }
        }
    }

    fn listener(&self, owner: &str) -> Option<Arc<Listener>> {
        let shared = |listener: &Option<Listener>| Some(Arc::new(listener.as_ref()?.try_clone().ok()?));
        match owner {
            ADMIN => shared(&self.admin),
            TAKEOVER => shared(&self.takeover),
            _ => self.sources.iter().find_map(|(name, source)| {
                let listeners = source.listeners();
                let (_, listener) = listeners.iter().find(|(key, _)| owner_of_source(name, key) == owner)?;
                Some(Arc::clone(listener))
            }),
        }
    }

    /// Goes on with connections that another process had, once it runs.
    async fn adopt(&mut self, connections: Vec<Arrived>) {
        let count = connections.len();
        for arrived in connections {
            let adopted = async {
                let source = self.sources.get_mut(&arrived.source).context("there is no such source")?;
                let (fd, state) = arrived.parts()?;
                source.adopt(Stream::from_fd(fd)?, state).await;
                anyhow::Ok(())
            };
            if let Err(error) = adopted.await {
                tracing::error!(source = arrived.source, %error, "a connection that was handed over is lost");
            }
        }
        tracing::info!(connections = count, "taken over");
    }

    /// Everything that is listened on belongs to this process.
    fn keep_listeners(&self) {
        self.sources
            .values()
            .flat_map(|it| it.listeners().values().cloned().collect::<Vec<_>>())
            .for_each(|it| it.keep());
        self.admin.iter().chain(&self.takeover).for_each(Listener::keep);
    }
}

/// The directory of the journal, the same for all ways to write it where it exists.
fn journal_dir(config: &Config) -> Option<String> {
    let dir = &config.journal.as_ref()?.dir;
    let absolute = std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir));
    Some(absolute.unwrap_or_else(|_| dir.clone()).display().to_string())
}

/// Everything that a process of this configuration listens on.
fn listeners(config: &Config) -> Vec<Offered> {
    let sources = config.sources.iter().flat_map(|(name, source)| {
        let owned = |Place { key, address }: Place<'_>| (owner_of_source(name, key), address.to_owned());
        source.places().into_iter().map(owned).collect::<Vec<_>>()
    });
    let admin = Some(&config.admin.listen).filter(|it| *it != "off").map(|it| (ADMIN.to_owned(), it.clone()));
    let takeover = config.takeover.as_ref().map(|it| (TAKEOVER.to_owned(), it.address()));
    sources.chain(admin).chain(takeover).map(|(owner, address)| Offered { owner, address }).collect()
}

/// What was taken from the process before this one.
#[derive(Debug)]
pub struct TakenOver {
    predecessor: Predecessor,
    connections: Vec<Arrived>,
}

impl TakenOver {
    /// Waits until the process before this one has closed its files. An error is that it goes on.
    pub fn released(&mut self) -> anyhow::Result<()> {
        self.predecessor.released()
    }

    /// `server` is open: takes its place. An error is that the process before goes on.
    pub async fn hand_to(mut self, server: &mut Server) -> anyhow::Result<()> {
        server.adopt(self.connections).await;
        self.predecessor.ready()?;
        server.keep_listeners();
        Ok(())
    }
}

/// Takes the sockets of the running process into `sockets`; `None` when none runs. What it does not
/// have is bound before it is disturbed. To be called within a tokio runtime; it blocks.
pub fn take_over(checked: &Checked, sockets: &mut Sockets) -> anyhow::Result<Option<TakenOver>> {
    let config = checked.config();
    let takeover = config.takeover.as_ref();
    let path =
        &takeover.ok_or_else(|| anyhow!("--take-over needs `takeover: {{socket: PATH}}` in the configuration"))?.socket;
    let met = Predecessor::meet(path).with_context(|| format!("cannot take over by {}", path.display()))?;
    let Some(mut predecessor) = met else {
        tracing::warn!(socket = %path.display(), "there is nothing to take over, starting as usual");
        return Ok(None);
    };
    if let Some(left) = predecessor.journal.as_ref().filter(|left| journal_dir(config).as_ref() != Some(left)) {
        tracing::warn!(
            "the journal of the process before is {left}, and this configuration has another: what waits there for sinks stays \
             there; `logboom replay {left} -c FILE --sink NAME` delivers it"
        );
    }
    let mut own = BTreeMap::new();
    let mut wanted = Wanted { sources: lines_sources(config), ..Wanted::default() };
    for Offered { owner, address } in listeners(config) {
        let free: Vec<&Offered> =
            predecessor.listeners.iter().filter(|it| it.address == address && !own.contains_key(&it.owner)).collect();
        // Port 0 is another one each time, so of these only the own.
        let same = free.iter().find(|it| it.owner == owner);
        match same.or_else(|| free.first().filter(|_| !address.ends_with(":0"))) {
            Some(offered) => {
                own.insert(offered.owner.clone(), owner);
                wanted.listeners.push((*offered).clone());
            }
            None => {
                let listener = sockets.listen(&owner, &address).with_context(|| owner.clone())?;
                sockets.give(owner, listener);
            }
        }
    }
    let Received { listeners, connections } = predecessor.take(wanted).context("nothing was taken over")?;
    for (owner, listener) in listeners {
        if let Some(owner) = own.remove(&owner) {
            sockets.give(owner, listener);
        }
    }
    Ok(Some(TakenOver { predecessor, connections }))
}

fn lines_sources(config: &Config) -> Vec<String> {
    let lines = config.sources.iter().filter(|(_, source)| matches!(source, SourceConfig::Lines(_)));
    lines.map(|(name, _)| name.clone()).collect()
}
