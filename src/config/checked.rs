//! A configuration that holds together, and what follows from it.

use crate::admin::AdminConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::check::{journal_least, working_bytes};
use super::units::{ByteSize, WaitMax};
use super::{Config, ConfigErrors};
use crate::sink::otlp::{self, TlsConfig};
use crate::sink::{SinkConfig, SinkKind};
use crate::tls::{self, ListenerTlsConfig};

/// A checked configuration. There is no other way to one than [`super::Draft::finish`], so who
/// holds it need not check again.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The file as the user named it.
    name: String,
    config: Config,
    warnings: Vec<String>,
    /// Sinks whose inbox is not written.
    chosen_inboxes: BTreeSet<String>,
    /// Sinks whose `wait_max` is not written.
    chosen_waits: BTreeSet<String>,
    /// Where each sink is written, as in `logboom.yaml:7:3`; nothing for those of flags.
    sink_places: BTreeMap<String, String>,
    /// Keys that are as they run, and not as they are written: that takes a restart.
    needs_restart: Vec<&'static str>,
}

impl Checked {
    pub(super) fn new(
        name: String,
        mut config: Config,
        warnings: Vec<String>,
        sink_places: BTreeMap<String, String>,
    ) -> Checked {
        let chosen = |is_chosen: fn(&SinkConfig) -> bool| {
            config.sinks.iter().filter(|(_, sink)| is_chosen(sink)).map(|(name, _)| name.clone()).collect()
        };
        let chosen_inboxes = chosen(|sink| sink.inbox.is_none());
        let chosen_waits = chosen(|sink| sink.wait_max.is_none());
        let inbox = default_inbox(&config);
        for sink in config.sinks.values_mut() {
            sink.wait_max.get_or_insert(default_wait_max(&sink.kind, config.journal.is_some()));
            sink.inbox.get_or_insert(inbox);
        }
        Checked { name, config, warnings, chosen_inboxes, chosen_waits, sink_places, needs_restart: Vec::new() }
    }

    /// The same, to take the place of a configuration that runs: what needs a restart is as it runs
    /// there, with all defaults that depend on it, and inboxes that nobody wrote keep their size, so that a
    /// sink more does not replace all the others.
    ///
    /// # Errors
    /// When inboxes do not fit into `memory`, or messages not into the journal.
    pub fn beside(mut self, running: &Checked) -> Result<Checked, String> {
        let mut config = self.config.clone();
        self.needs_restart = needs_restart(&running.config, &config);
        if config.admin.listen != running.config.admin.listen {
            // All of it: what was written for one address is not for the other.
            config.admin = running.config.admin.clone();
        }
        config.admin.hosts = running.config.admin.hosts.clone();
        config.admin.traffic = running.config.admin.traffic;
        config.control = running.config.control.clone();
        config.journal = running.config.journal.clone();
        config.takeover = running.config.takeover.clone();
        for name in &self.chosen_waits {
            if let Some(sink) = config.sinks.get_mut(name) {
                sink.wait_max = Some(default_wait_max(&sink.kind, config.journal.is_some()));
            }
        }
        if let Some(journal) = config.journal.as_ref().filter(|journal| journal.max < journal_least(&config)) {
            let max = journal.max;
            return Err(format!(
                "message_max: the journal that runs has `max: {max}`, which is not enough for it: write a quarter of that at most, or \
                 `max: {}` and restart",
                journal_least(&config)
            ));
        }
        for name in &self.chosen_inboxes {
            let there = running.config.sinks.get(name).filter(|_| running.chosen_inboxes.contains(name));
            if let Some(sink) = config.sinks.get_mut(name) {
                sink.inbox = there.and_then(|it| it.inbox);
            }
        }
        let inbox = default_inbox(&config);
        for sink in config.sinks.values_mut() {
            sink.inbox.get_or_insert(inbox);
        }
        let inboxes = config.sinks.values().map(|sink| sink.inbox_bytes() as u64).fold(0, u64::saturating_add);
        let least = ByteSize(inboxes.saturating_add(working_bytes(&config)));
        if config.memory < least {
            let memory = config.memory;
            return Err(format!(
                "memory: {memory} is not enough beside the inboxes of now: write `memory: {least}`, or `inbox:` for the sinks, or restart"
            ));
        }
        self.config = config;
        Ok(self)
    }

    /// What the user wrote, defaults filled in: `wait_max` and `inbox` of every sink are set.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Keys that are as they run, and not as they are written: that takes a restart. Empty but after
    /// [`Checked::beside`].
    #[must_use]
    pub fn needs_restart(&self) -> &[&'static str] {
        &self.needs_restart
    }

    /// Where a sink is written, as in `logboom.yaml:7:3`; `None` for one that is not in a file.
    #[must_use]
    pub fn sink_place(&self, sink: &str) -> Option<&str> {
        self.sink_places.get(sink).map(String::as_str)
    }

    /// What holds but should be known at start, one sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Reads the files of certificates and forgets them. What is wrong with them is said where they are used: this is for
    /// file systems that hang, so that they hang here.
    pub fn touch_files(&self) {
        let listeners = self.config.sources.values().map(|it| it.tls()).chain([self.config.admin.tls.as_ref()]);
        let upstreams = self.config.sinks.values().filter_map(upstream_tls);
        listeners.flatten().flat_map(ListenerTlsConfig::files).for_each(tls::files::touch);
        upstreams.flat_map(TlsConfig::files).for_each(tls::files::touch);
    }

    /// Reads the certificates of listeners and of upstreams as a start would: what should be known about them.
    ///
    /// # Errors
    /// Everything that a start would be refused for: each file once.
    pub fn inspect_files(&self) -> Result<Vec<String>, ConfigErrors> {
        let sources = self.config.sources.iter().map(|(name, source)| (format!("sources.{name}"), source.tls()));
        let admin = Some(&self.config.admin).filter(|it| it.listen != "off");
        let listeners = sources.chain(admin.map(|admin| ("admin".to_owned(), admin.tls.as_ref())));
        let (mut warnings, mut mistakes) = (Vec::new(), Vec::new());
        for (place, settings) in listeners.filter_map(|(place, tls)| Some((place, tls?))) {
            match tls::listener::inspect(settings) {
                Ok(some) => warnings.extend(some.into_iter().map(|it| format!("{place}.{it}"))),
                Err(some) => mistakes.extend(some.into_iter().map(|it| (place.clone(), it))),
            }
        }
        let upstreams =
            self.config.sinks.iter().filter_map(|(name, sink)| Some((format!("sinks.{name}"), upstream_tls(sink)?)));
        for (place, tls) in upstreams {
            mistakes.extend(otlp::inspect(tls).into_iter().map(|it| (place.clone(), it)));
            warnings.extend(tls.warnings().into_iter().map(|it| format!("{place}.{it}")));
        }
        if mistakes.is_empty() { Ok(warnings) } else { Err(ConfigErrors::of_files(&self.name, mistakes)) }
    }

    /// How long a full sink may hold the sources back: what is written, or the default of its
    /// type. 0s for a name that is no sink.
    #[must_use]
    pub fn wait_max(&self, sink: &str) -> WaitMax {
        let sink = self.config.sinks.get(sink);
        sink.and_then(|sink| sink.wait_max).unwrap_or(WaitMax::Bounded(Duration::ZERO))
    }

    /// The same, and full sinks are waited for without end.
    #[must_use]
    pub fn with_patience(mut self) -> Checked {
        for sink in self.config.sinks.values_mut() {
            sink.wait_max = Some(WaitMax::Forever);
        }
        self
    }

    /// The memory bound as a sum: each holder of memory and how much it may hold.
    #[must_use]
    pub fn memory_bound(&self) -> Vec<(String, u64)> {
        crate::memory::bound(&self.config)
    }

    /// The same sum as a line.
    #[must_use]
    pub fn memory_bound_line(&self) -> String {
        let mib = |bytes: u64| format!("{:.1}MiB", bytes as f64 / f64::from(1 << 20));
        let bound = self.memory_bound();
        let sum: Vec<String> = bound.iter().map(|(what, bytes)| format!("{what} {}", mib(*bytes))).collect();
        format!("{} = {}", mib(bound.iter().map(|(_, bytes)| bytes).sum()), sum.join(" + "))
    }

    /// Each source with the sinks that take its records.
    pub fn routes(&self) -> impl Iterator<Item = (&str, Vec<&str>)> + '_ {
        self.config.sources.keys().map(|source| {
            let takes = |from: &Option<Vec<String>>| from.as_ref().is_none_or(|from| from.contains(source));
            let sinks = self.config.sinks.iter().filter(|(_, sink)| takes(&sink.from));
            (source.as_str(), sinks.map(|(name, _)| name.as_str()).collect())
        })
    }
}

/// The TLS of a sink, where it speaks it.
fn upstream_tls(sink: &SinkConfig) -> Option<&TlsConfig> {
    match &sink.kind {
        SinkKind::Otlp(otlp) => otlp.tls.as_ref(),
        SinkKind::File(_) | SinkKind::Stdout(_) | SinkKind::Null(_) => None,
    }
}

/// What of the admin listener is as it was at the start.
fn restarted(admin: &AdminConfig) -> (&str, &[String], bool) {
    (&admin.listen, &admin.hosts, admin.traffic)
}

/// What differs and cannot be changed while it runs, by key.
fn needs_restart(running: &Config, written: &Config) -> Vec<&'static str> {
    let differs = [
        ("admin", restarted(&running.admin) != restarted(&written.admin)),
        ("control", running.control != written.control),
        ("journal", running.journal != written.journal),
        ("takeover", running.takeover != written.takeover),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// What the budget leaves, shared by the sinks whose inbox is not written, at most 16 MiB each.
fn default_inbox(config: &Config) -> ByteSize {
    let written: u64 = config.sinks.values().filter_map(|sink| sink.inbox).map(|it| it.0).sum();
    let unwritten = config.sinks.values().filter(|sink| sink.inbox.is_none()).count().max(1) as u64;
    let left = config.memory.0.saturating_sub(written).saturating_sub(working_bytes(config));
    // Whole KiB, so that it reads well.
    let share = (left / unwritten) & !0x3ff;
    ByteSize(share.clamp(SinkConfig::INBOX_MIN.0, SinkConfig::INBOX_DEFAULT.0))
}

/// A local disk that stalls recovers in seconds, so it is worth waiting for; an upstream or a
/// reader of standard output may be away for hours. With a journal, what an upstream has not got is
/// given up by nobody but the user.
fn default_wait_max(kind: &SinkKind, journal: bool) -> WaitMax {
    match kind {
        SinkKind::File(_) => WaitMax::Bounded(Duration::from_secs(5)),
        SinkKind::Otlp(_) if journal => WaitMax::Forever,
        SinkKind::Stdout(_) | SinkKind::Otlp(_) | SinkKind::Null(_) => WaitMax::Bounded(Duration::ZERO),
    }
}
