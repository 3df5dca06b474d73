//! One access as a proxy saw it: the values that every format renders.

use fastrand::Rng;

/// The proxy that logs: one per connection, as kuma-dp keeps one connection per data plane.
#[derive(Clone, Debug)]
pub(super) struct DataPlane {
    pub mesh: &'static str,
    pub zone: String,
    pub service: &'static str,
    pub address: String,
    pub node: String,
}

impl DataPlane {
    pub fn new(index: u32) -> DataPlane {
        let service = SERVICES[index as usize % SERVICES.len()];
        DataPlane {
            mesh: "default",
            zone: format!("zone-{}", index % 3 + 1),
            service,
            address: format!("10.42.{}.{}", index / 250 % 250, index % 250 + 4),
            node: format!("default.{service}-{:08x}-{index:04}", 0x9e37_79b9u32.wrapping_mul(index + 1)),
        }
    }

    /// Its identifier, as Kuma 2.14 writes it.
    pub fn workload(&self) -> String {
        format!("kri_wl_default_{}_kuma-demo_{}_", self.zone, self.service)
    }
}

/// One request, or one TCP connection: the HTTP fields are then not looked at.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub method: &'static str,
    /// `None`: the request was too malformed to have one.
    pub path: Option<String>,
    pub protocol: &'static str,
    pub status: u16,
    pub flags: &'static str,
    pub bytes_received: u64,
    pub bytes_sent: u64,
    pub duration_ms: u64,
    pub upstream_ms: Option<u64>,
    pub forwarded_for: Option<String>,
    /// Bytes: a header may hold anything from 0x80 up.
    pub user_agent: Option<Vec<u8>>,
    pub trace_id: Option<String>,
    pub request_id: String,
    pub authority: String,
    pub destination: &'static str,
    pub source_address: String,
    pub upstream_host: Option<String>,
    /// True for a call of gRPC.
    pub grpc: bool,
    /// What operators say that no other value stands for.
    pub other: u32,
}

impl Access {
    pub fn random(plane: &DataPlane, rng: &mut Rng) -> Access {
        let destination = pick(SERVICES, rng);
        let (status, flags) = weighted(STATUSES, rng);
        let reached = !matches!(flags, "UH" | "NR" | "RL" | "UAEX" | "DPE" | "UO" | "URX,UF");
        let duration_ms = duration(rng);
        let port = pick(&[8080, 8080, 8080, 9090, 3000], rng);
        let grpc = rng.u8(..100) < 12;
        Access {
            method: if grpc { "POST" } else { weighted(METHODS, rng) },
            path: Some(if grpc { grpc_path(destination, rng) } else { path(rng) }),
            protocol: if grpc { "HTTP/2" } else { weighted(PROTOCOLS, rng) },
            status,
            flags,
            bytes_received: if rng.u8(..100) < 70 { 0 } else { skewed(rng, 14) },
            bytes_sent: skewed(rng, 17),
            duration_ms,
            upstream_ms: reached.then(|| duration_ms.saturating_sub(rng.u64(..2))),
            forwarded_for: (rng.u8(..100) < 80).then(|| forwarded_for(rng)),
            user_agent: (rng.u8(..100) < 97).then(|| pick(USER_AGENTS, rng).as_bytes().to_vec()),
            trace_id: (rng.u8(..100) < 95).then(|| format!("{:032x}", rng.u128(1..))),
            request_id: uuid(rng),
            authority: format!("{destination}.mesh:{port}"),
            destination,
            source_address: plane.address.clone(),
            upstream_host: reached.then(|| format!("10.42.{}.{}:{port}", rng.u8(..200), rng.u8(2..250))),
            grpc,
            other: rng.u32(..100),
        }
    }
}

fn pick<T: Copy>(items: &[T], rng: &mut Rng) -> T {
    items[rng.usize(..items.len())]
}

/// Picks by weight; the weights add up to 1000.
fn weighted<T: Copy>(items: &[(u32, T)], rng: &mut Rng) -> T {
    let mut at = rng.u32(..1000);
    for (weight, item) in items {
        match at.checked_sub(*weight) {
            None => return *item,
            Some(rest) => at = rest,
        }
    }
    items[0].1
}

/// Small numbers often, large ones seldom: uniform in the number of bits.
fn skewed(rng: &mut Rng, bits: u32) -> u64 {
    let bits = rng.u32(..bits);
    rng.u64(..2u64 << bits)
}

fn duration(rng: &mut Rng) -> u64 {
    match rng.u8(..100) {
        0..80 => rng.u64(..40),
        80..98 => rng.u64(40..400),
        _ => rng.u64(400..15_000),
    }
}

fn path(rng: &mut Rng) -> String {
    let path = pick(PATHS, rng).replace("{}", &rng.u32(1..2_000_000).to_string());
    match rng.u8(..10) {
        0..4 => format!("{path}?page={}&limit=50&sort=-created_at", rng.u8(1..200)),
        4..6 => format!("{path}?q={}&lang=en-GB&session={:016x}", pick(WORDS, rng), rng.u64(..)),
        _ => path,
    }
}

fn grpc_path(service: &str, rng: &mut Rng) -> String {
    format!(
        "/shop.{service}.v1.{}/{}",
        pick(&["Store", "Query", "Command"], rng),
        pick(&["Get", "List", "Update"], rng)
    )
}

fn forwarded_for(rng: &mut Rng) -> String {
    let hop = |rng: &mut Rng| format!("{}.{}.{}.{}", rng.u8(11..220), rng.u8(..), rng.u8(..), rng.u8(1..255));
    (1..rng.u8(2..4)).fold(hop(rng), |list, _| format!("{list}, {}", hop(rng)))
}

fn uuid(rng: &mut Rng) -> String {
    let (a, b, c) = (rng.u32(..), rng.u64(..), rng.u32(..));
    format!("{a:08x}-{:04x}-4{:03x}-a{:03x}-{:04x}{c:08x}", b >> 48, b >> 32 & 0xfff, b >> 16 & 0xfff, b & 0xffff)
}

const SERVICES: &[&str] =
    &["web", "backend", "checkout", "catalog", "payments", "inventory", "recommendations", "session-store"];

const METHODS: &[(u32, &str)] =
    &[(740, "GET"), (170, "POST"), (40, "PUT"), (20, "DELETE"), (15, "PATCH"), (10, "HEAD"), (5, "OPTIONS")];

const PROTOCOLS: &[(u32, &str)] = &[(820, "HTTP/1.1"), (170, "HTTP/2"), (10, "HTTP/1.0")];

const STATUSES: &[(u32, (u16, &str))] = &[
    (840, (200, "-")),
    (30, (201, "-")),
    (25, (204, "-")),
    (20, (304, "-")),
    (8, (302, "-")),
    (6, (400, "-")),
    (7, (401, "-")),
    (4, (403, "UAEX")),
    (22, (404, "-")),
    (3, (404, "NR")),
    (4, (429, "RL")),
    (8, (500, "-")),
    (5, (503, "UC")),
    (6, (503, "UH")),
    (3, (503, "UO")),
    (4, (503, "URX,UF")),
    (3, (504, "UT")),
    (2, (0, "DC")),
];

const PATHS: &[&str] = &[
    "/",
    "/healthz",
    "/api/v1/products/{}",
    "/api/v1/products/{}/reviews",
    "/api/v1/users/{}/orders",
    "/api/v2/cart/{}/items",
    "/api/v2/checkout/{}/confirm",
    "/static/js/main.{}.chunk.js",
    "/static/img/catalog/{}/large.webp",
    "/search",
    "/graphql",
    "/login/oauth/callback",
];

const WORDS: &[&str] = &["espresso+machine", "caf%C3%A9", "red%20shoes", "laptop", "%E6%97%A5%E6%9C%AC%E8%AA%9E"];

const USER_AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.122 Mobile Safari/537.36",
    "Mozilla/5.0 (iPad; CPU OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0",
    "grpc-go/1.75.0",
    "okhttp/4.12.0",
    "curl/8.16.0",
    "kube-probe/1.33",
    "Go-http-client/2.0",
    "python-requests/2.32.5",
    "Магазин/2.4 (Android 15; Größe=groß) 日本語",
    "<script>probe</script> & \u{1f600}",
];
