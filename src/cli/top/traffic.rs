//! The traffic as a table.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::Deserialize;

use super::super::columns::{Columns, Side, bytes, count, duration, millis, percent};

/// What comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Most requests
    #[default]
    Rate,
    /// Most errors
    Errors,
    /// Longest 99th percentile
    Latency,
    /// Most bytes
    Bytes,
    /// By name
    Name,
}

impl Sort {
    /// What the key stands for, on the screen.
    pub fn of_key(key: char) -> Option<Sort> {
        Some(match key {
            'r' => Sort::Rate,
            'e' => Sort::Errors,
            'l' => Sort::Latency,
            'b' => Sort::Bytes,
            'n' => Sort::Name,
            _ => return None,
        })
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Sort::Rate => "rate",
            Sort::Errors => "errors",
            Sort::Latency => "latency",
            Sort::Bytes => "bytes",
            Sort::Name => "name",
        }
    }
}

/// What `/api/traffic` answers, as far as it is shown.
#[derive(Clone, Debug, Deserialize)]
pub struct Traffic {
    pub enabled: bool,
    pub window_s: f64,
    pub sampled: f64,
    pub records: f64,
    pub edges: Vec<Edge>,
    other: Option<Edge>,
    pub totals: Edge,
    pub series: Series,
}

/// Traffic between two services.
#[derive(Clone, Debug, Deserialize)]
pub struct Edge {
    mesh: Option<String>,
    source: Option<String>,
    destination: Option<String>,
    protocol: Option<String>,
    pub rps: f64,
    pub error_rps: f64,
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    bytes_in_s: f64,
    bytes_out_s: f64,
    flags: BTreeMap<String, f64>,
}

/// The last seconds.
#[derive(Clone, Debug, Deserialize)]
pub struct Series {
    pub requests: Vec<u64>,
}

/// The columns of a pair of services.
pub const HEADS: [(&str, Side); 8] = [
    ("SOURCE -> DESTINATION", Side::Left),
    ("REQ/S", Side::Right),
    ("ERR", Side::Right),
    ("P50", Side::Right),
    ("P99", Side::Right),
    ("IN/S", Side::Right),
    ("OUT/S", Side::Right),
    ("FLAGS", Side::Left),
];

impl Edge {
    fn name(&self) -> String {
        let or_dash = |name: &Option<String>| name.as_deref().unwrap_or("-").to_owned();
        format!("{} -> {}", or_dash(&self.source), or_dash(&self.destination))
    }

    /// Its columns. Meshes and protocols are named where there are several.
    pub fn cells(&self, names_mesh: bool) -> [String; 8] {
        let mut name = self.name();
        if let Some(mesh) = self.mesh.as_ref().filter(|_| names_mesh) {
            name = format!("{mesh}: {name}");
        }
        if let Some(protocol) = self.protocol.as_ref().filter(|it| *it != "http") {
            name += &format!(" ({protocol})");
        }
        self.cells_as(name)
    }

    /// The same under another name.
    pub fn cells_as(&self, name: String) -> [String; 8] {
        let mut flags: Vec<_> = self.flags.iter().collect();
        flags.sort_by(|one, other| other.1.total_cmp(one.1));
        let flags: Vec<String> = flags.iter().map(|(flag, rps)| format!("{flag} {}", count(**rps))).collect();
        [
            name,
            count(self.rps),
            percent(self.error_rps, self.rps),
            millis(self.p50_ms),
            millis(self.p99_ms),
            bytes(self.bytes_in_s),
            bytes(self.bytes_out_s),
            flags.join(" "),
        ]
    }
}

impl Traffic {
    /// In the order that is wanted.
    pub fn sort(&mut self, sort: Sort) {
        let weight = |it: &Edge| match sort {
            Sort::Rate => it.rps,
            Sort::Errors => it.error_rps,
            Sort::Latency => it.p99_ms.unwrap_or(-1.0),
            Sort::Bytes => it.bytes_in_s + it.bytes_out_s,
            Sort::Name => 0.0,
        };
        self.edges
            .sort_by(|one, other| weight(other).total_cmp(&weight(one)).then_with(|| one.name().cmp(&other.name())));
    }

    /// All rows, the rest and the sum behind the pairs.
    pub fn rows(&self) -> Vec<[String; 8]> {
        let names_mesh = self.edges.iter().any(|it| it.mesh != self.edges[0].mesh);
        let rest = self.other.iter().map(|it| it.cells_as("other".to_owned()));
        self.edges.iter().map(|it| it.cells(names_mesh)).chain(rest).collect()
    }

    /// One line about all of it.
    pub fn headline(&self) -> String {
        if !self.enabled {
            return "no traffic is gathered: the configuration has `admin: {traffic: false}`".to_owned();
        }
        let sampled = match self.sampled {
            share if share >= 0.995 => String::new(),
            share => format!(", {} looked at", percent(share, 1.0)),
        };
        format!("{} records/s in the last {}{sampled}", count(self.records), duration(self.window_s.round() as u64))
    }

    /// One page for scripts and for people.
    pub fn text(&self) -> String {
        let mut columns = Columns::new(&HEADS);
        self.rows().into_iter().for_each(|row| columns.push(row));
        if !self.edges.is_empty() {
            columns.push(self.totals.cells_as("all".to_owned()));
        }
        format!("{}\n{}", self.headline(), columns.text())
    }
}
