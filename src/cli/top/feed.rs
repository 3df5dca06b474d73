//! Asks the process again and again, beside the screen.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Wish;
use super::traffic::Traffic;
use crate::control::client::Client;

/// Answers that wait for the screen.
const WAITING_MAX: usize = 2;
/// Intervals that an answer may take, and seconds beyond.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What the screen hears.
#[derive(Debug)]
pub enum Message {
    /// Figures of now.
    Figures(Box<(Traffic, Value)>),
    /// It does not answer; it is asked again.
    Silence(String),
    /// Somebody wants this to end.
    End,
}

/// Asks until it is aborted, or nobody listens.
pub fn start(client: Client, wish: Wish) -> (JoinHandle<()>, Receiver<Message>) {
    let (sender, messages) = sync_channel(WAITING_MAX);
    let ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
    for mut end in ends.into_iter().filter_map(|kind| signal(kind).ok()) {
        let sender = sender.clone();
        tokio::spawn(async move { tell_end(&mut end, &sender).await });
    }
    (tokio::spawn(ask(client, wish, sender)), messages)
}

async fn tell_end(end: &mut Signal, sender: &SyncSender<Message>) {
    while end.recv().await.is_some() {
        let sender = sender.clone();
        // The screen may be behind with what it has.
        let told = tokio::task::spawn_blocking(move || sender.send(Message::End)).await;
        if !matches!(told, Ok(Ok(()))) {
            return;
        }
    }
}

async fn ask(client: Client, wish: Wish, sender: SyncSender<Message>) {
    let mut tick = interval(wish.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let path = wish.path();
    loop {
        tick.tick().await;
        let figures =
            async { anyhow::Ok((client.get::<Traffic>(&path).await?, client.get::<Value>("/api/health").await?)) };
        let message = match timeout(PATIENCE, figures).await {
            Ok(Ok(figures)) => Message::Figures(Box::new(figures)),
            Ok(Err(error)) => Message::Silence(format!("{error:#}")),
            Err(_) => Message::Silence("it does not answer".to_owned()),
        };
        // A screen that is behind gets the next one.
        if let Err(std::sync::mpsc::TrySendError::Disconnected(_)) = sender.try_send(message) {
            return;
        }
    }
}
