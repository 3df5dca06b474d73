//! From the inbox to the upstream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;

use super::client::{Answer, Failure, export};
use super::endpoint::{Channel, Endpoint};
use super::isolate::{Group, Piece, Pieces};
use super::route::Route;
use super::stats::{Reason, UpstreamStats};
use super::upstream::Upstream;
use super::verdict::{Verdict, pause};
use crate::grpc::Segments;
use crate::inbox::{Delivery, Inbox};

/// Bytes of batches that are merged into one request. A single batch may be larger.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Requests in flight at once, when there is a backlog. An upstream that takes 20 ms for an answer
/// got 43 MiB/s with one, 155 with four, 237 with eight (loopback, two cores shared with others,
/// debug build); eight would cost twice the memory, and twice the duplicates after a cut.
pub const REQUESTS_MAX: usize = 4;
/// Trouble that goes on is logged so often.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// Delivers what the inbox holds until it is closed and empty. Returns how many records were
/// never answered for; they count as abandoned.
///
/// `stop` is `None` while logboom runs: then nothing is given up, however long the upstream is
/// gone. Once it holds an instant, and the inbox is to be closed at the same time, what waits is
/// delivered while the upstream answers, until that instant; the first attempt that fails ends
/// it. A dead upstream thus costs one attempt, not the backlog's worth of them.
///
/// What is in flight stays counted in the inbox. Beside that it takes, per request in flight, the
/// copy that goes out: at most [`REQUESTS_MAX`] times [`REQUEST_BYTES_MAX`], twice that with
/// compression, or the largest batch where that is more.
///
/// Cancelled, it leaves nothing behind: deliveries in hand count as abandoned.
pub async fn run(
    inbox: Arc<Inbox>,
    upstream: Upstream,
    stats: Arc<UpstreamStats>,
    stop: watch::Receiver<Option<Instant>>,
) -> u64 {
    let mut sender = Sender::new(&inbox, upstream, Arc::clone(&stats), stop);
    if sender.feed(&inbox).await.is_err() {
        inbox.close();
        while !inbox.try_take(usize::MAX).is_empty() {}
    }
    // Of a batch that was taken apart a part may have been accepted; the rest of it counts as
    // failed. Every failure that an answer explains is in the statistics already.
    let tally = inbox.tally();
    let unanswered = tally.failed.saturating_sub(stats.failed_total());
    stats.add_failed(Reason::Shutdown, unanswered);
    let left = unanswered + tally.abandoned;
    if left > 0 {
        tracing::warn!(sink = %inbox.sink(), records = left, "upstream did not answer in time, records were not delivered");
    }
    left
}

/// The end has come before the answer.
struct GaveUp;

/// What the upstream says about a request, in the end.
enum Answered {
    Accepted { rejected: u64, text: String },
    Refused(Failure),
}

struct Sender {
    sink: Arc<str>,
    upstream: Upstream,
    channels: Vec<Channel>,
    route: Route,
    stats: Arc<UpstreamStats>,
    stop: watch::Receiver<Option<Instant>>,
    /// Pauses since the last answer, and since when.
    failures: u32,
    failing_since: Option<Instant>,
    /// The trouble was logged, so its end is to be.
    told: bool,
    trouble_log: Seldom,
    refused_log: Seldom,
    partial_log: Seldom,
}

impl Sender {
    fn new(
        inbox: &Inbox,
        upstream: Upstream,
        stats: Arc<UpstreamStats>,
        stop: watch::Receiver<Option<Instant>>,
    ) -> Sender {
        Sender {
            sink: Arc::clone(inbox.sink()),
            channels: upstream.endpoints.iter().map(Endpoint::connect_lazy).collect(),
            route: Route::new(upstream.endpoints.len()),
            upstream,
            stats,
            stop,
            failures: 0,
            failing_since: None,
            told: false,
            trouble_log: Seldom::default(),
            refused_log: Seldom::default(),
            partial_log: Seldom::default(),
        }
    }

    async fn feed(&mut self, inbox: &Arc<Inbox>) -> Result<(), GaveUp> {
        loop {
            let mut stop = self.stop.clone();
            let taken = tokio::select! {
                taken = inbox.take(REQUEST_BYTES_MAX) => taken,
                () = expired(&mut stop) => return Err(GaveUp),
            };
            let Some(taken) = taken else { return Ok(()) };
            // The first failure tells of the upstream as it was; once that has been dealt with, the
            // others are out of date, except where they are about the records.
            for (at, (group, failure)) in self.pipeline(inbox, taken).await?.into_iter().enumerate() {
                let known = if at == 0 || failure.verdict == Verdict::Refused {
                    Some(failure)
                } else {
                    self.stats.add_retry(failure.reason);
                    None
                };
                self.deliver(group, known).await?;
            }
        }
    }

    /// Sends what was taken, and more while there is a backlog and everything succeeds. Returns
    /// what did not, in order.
    async fn pipeline(&mut self, inbox: &Arc<Inbox>, first: Vec<Delivery>) -> Result<Vec<(Group, Failure)>, GaveUp> {
        let mut flying = Flying::default();
        let mut failed = Vec::new();
        let mut stop = self.stop.clone();
        self.route.maybe_return(Instant::now());
        self.launch(&mut flying, first);
        loop {
            while failed.is_empty()
                && flying.groups.len() < REQUESTS_MAX
                && inbox.used_bytes() >= flying.bytes() + REQUEST_BYTES_MAX
            {
                let more = inbox.try_take(REQUEST_BYTES_MAX);
                if more.is_empty() {
                    break;
                }
                self.launch(&mut flying, more);
            }
            let answered = tokio::select! {
                answered = flying.next() => answered,
                () = expired(&mut stop) => return Err(GaveUp),
            };
            match answered {
                Some((_, group, Answer::Accepted { rejected, text })) => {
                    self.answered();
                    self.accepted_whole(group, rejected, &text);
                }
                Some((place, group, Answer::Failed(failure))) => failed.push((place, group, failure)),
                None => break,
            }
        }
        failed.sort_unstable_by_key(|(place, ..)| *place);
        Ok(failed.into_iter().map(|(_, group, failure)| (group, failure)).collect())
    }

    fn launch(&self, flying: &mut Flying, deliveries: Vec<Delivery>) {
        let group = Group::new(deliveries);
        let id = flying.tasks.spawn(self.export(group.request())).id();
        flying.groups.push((id, flying.launched, group));
        flying.launched += 1;
    }

    fn export(&self, request: Segments) -> impl Future<Output = Answer> + Send + use<> {
        self.stats.add_request();
        export(&self.upstream, self.channels[self.route.current()].clone(), request)
    }

    /// Delivers a group, whatever it takes. `known` is what has become of it so far.
    async fn deliver(&mut self, group: Group, known: Option<Failure>) -> Result<(), GaveUp> {
        match self.until_answered(&group.request(), known).await? {
            Answered::Accepted { rejected, text } => {
                self.accepted_whole(group, rejected, &text);
                Ok(())
            }
            Answered::Refused(failure) => self.isolate(group, failure).await,
        }
    }

    /// Sends the parts of a refused group until only the records at fault are left.
    async fn isolate(&mut self, mut group: Group, failure: Failure) -> Result<(), GaveUp> {
        let mut pieces = Pieces::default();
        let mut refused = Some((group.whole(), failure));
        loop {
            if let Some((piece, failure)) = refused.take() {
                let records = pieces.refused(&mut group, piece);
                self.failed(records, &failure);
            }
            let Some(piece) = pieces.next() else { break };
            match self.until_answered(&group.request_for(&piece), None).await {
                Ok(Answered::Accepted { rejected, text }) => {
                    pieces.accepted();
                    self.accepted(&mut group, &piece, rejected, &text);
                }
                Ok(Answered::Refused(failure)) => refused = Some((piece, failure)),
                Err(GaveUp) => {
                    for piece in std::iter::once(piece).chain(std::iter::from_fn(|| pieces.next())) {
                        group.fail(&piece, u64::MAX);
                    }
                    group.settle();
                    return Err(GaveUp);
                }
            }
        }
        group.settle();
        Ok(())
    }

    /// Sends a request, again and again, until the upstream has said yes or no.
    async fn until_answered(&mut self, request: &Segments, known: Option<Failure>) -> Result<Answered, GaveUp> {
        let mut known = known;
        loop {
            let answer = match known.take() {
                Some(failure) => Answer::Failed(failure),
                None => self.attempt(request.clone()).await?,
            };
            match answer {
                Answer::Accepted { rejected, text } => {
                    self.answered();
                    return Ok(Answered::Accepted { rejected, text });
                }
                Answer::Failed(failure) if failure.verdict == Verdict::Refused => {
                    self.answered();
                    return Ok(Answered::Refused(failure));
                }
                Answer::Failed(failure) => self.trouble(&failure).await?,
            }
        }
    }

    async fn attempt(&mut self, request: Segments) -> Result<Answer, GaveUp> {
        self.route.maybe_return(Instant::now());
        let mut tasks = JoinSet::new();
        tasks.spawn(self.export(request));
        tokio::select! {
            Some(joined) = tasks.join_next() => Ok(joined.unwrap_or_else(Answer::bug)),
            () = expired(&mut self.stop) => Err(GaveUp),
        }
    }

    /// After a request that is to be sent again: turns to another endpoint, or waits.
    async fn trouble(&mut self, failure: &Failure) -> Result<(), GaveUp> {
        let Failure { verdict, reason, text } = failure;
        self.stats.add_retry(*reason);
        self.stats.set_last_error(text.clone());
        let current = self.route.current();
        let endpoint = self.upstream.endpoints[current].uri();
        if let Some(suppressed) = self.trouble_log.due() {
            self.told = true;
            let (sink, reason) = (&self.sink, reason.as_str());
            match verdict {
                Verdict::Hold => tracing::error!(
                    %sink, %endpoint, reason, error = text, suppressed,
                    "upstream does not let us in, records wait: check headers, permissions and compression"
                ),
                _ => {
                    tracing::warn!(%sink, %endpoint, reason, error = text, suppressed, "upstream takes no request, trying again")
                }
            }
        }
        if matches!(reason, Reason::Connection | Reason::Timeout) {
            // A connection that has gone mute is not trusted with the next request.
            self.channels[current] = self.upstream.endpoints[current].connect_lazy();
        }
        let elsewhere = matches!(verdict, Verdict::Hold | Verdict::Again { elsewhere: true, .. });
        if elsewhere && self.route.fails(Instant::now()) {
            return Ok(());
        }
        self.stats.set_healthy(false);
        self.failing_since.get_or_insert_with(Instant::now);
        self.failures = self.failures.saturating_add(1);
        if self.stop.borrow().is_some() {
            return Err(GaveUp);
        }
        let pause = pause(*verdict, self.failures, &self.upstream.retry, fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped(&mut self.stop) => {}
        }
        Ok(())
    }

    /// The upstream has given an answer that is about the records.
    fn answered(&mut self) {
        self.route.works();
        self.failures = 0;
        self.stats.set_healthy(true);
        let told = std::mem::take(&mut self.told);
        if let Some(since) = self.failing_since.take()
            && told
        {
            let endpoint = self.upstream.endpoints[self.route.current()].uri();
            tracing::info!(sink = %self.sink, %endpoint, after = ?since.elapsed(), "upstream answers again");
        }
    }

    fn accepted_whole(&mut self, mut group: Group, rejected: u64, text: &str) {
        let whole = group.whole();
        self.accepted(&mut group, &whole, rejected, text);
        group.settle();
    }

    /// A piece was accepted, but for `rejected` of its records.
    fn accepted(&mut self, group: &mut Group, piece: &Piece, rejected: u64, text: &str) {
        let rejected = group.fail(piece, rejected);
        self.stats.add_failed(Reason::PartialSuccess, rejected);
        if (rejected > 0 || !text.is_empty())
            && let Some(suppressed) = self.partial_log.due()
        {
            self.stats.set_last_error(text.to_owned());
            tracing::warn!(sink = %self.sink, rejected, text, suppressed, "upstream accepted a request in part");
        }
    }

    fn failed(&mut self, records: u64, failure: &Failure) {
        self.stats.add_failed(failure.reason, records);
        if records > 0
            && let Some(suppressed) = self.refused_log.due()
        {
            self.stats.set_last_error(failure.text.clone());
            let reason = failure.reason.as_str();
            tracing::warn!(sink = %self.sink, records, reason, error = failure.text, suppressed, "upstream refused records");
        }
    }
}

/// Requests in flight.
#[derive(Default)]
struct Flying {
    tasks: JoinSet<Answer>,
    /// With their places in the order of sending.
    groups: Vec<(Id, usize, Group)>,
    launched: usize,
}

impl Flying {
    fn bytes(&self) -> usize {
        self.groups.iter().map(|(.., group)| group.bytes()).sum()
    }

    /// The next answer and what it is about; `None` when nothing is in flight. Cancel-safe.
    async fn next(&mut self) -> Option<(usize, Group, Answer)> {
        let (id, answer) = match self.tasks.join_next_with_id().await? {
            Ok(answered) => answered,
            Err(error) => (error.id(), Answer::bug(error)),
        };
        let at = self.groups.iter().position(|(other, ..)| *other == id)?;
        let (_, place, group) = self.groups.swap_remove(at);
        Some((place, group, answer))
    }
}

/// Waits for the instant at which everything ends; for ever while logboom runs.
async fn expired(stop: &mut watch::Receiver<Option<Instant>>) {
    let end = stopped(stop).await;
    tokio::time::sleep_until(end).await;
}

/// Waits until logboom is to end.
async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) -> Instant {
    if let Ok(end) = stop.wait_for(Option::is_some).await
        && let Some(end) = *end
    {
        return end;
    }
    // Nobody is left who could end it.
    std::future::pending().await
}

/// Says the same thing at most once per pause.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Instant>,
    suppressed: u64,
}

impl Seldom {
    /// If it is to be said now: how often it has not been since the last time.
    fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|last| last.elapsed() < LOG_PAUSE) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.suppressed))
    }
}
