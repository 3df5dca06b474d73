//! Sink `null`: counts and drops, for measuring.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inbox::{Inbox, Outcome};

/// Settings of a `null` sink: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullConfig {}

/// Settles whatever arrives until the inbox is closed and empty.
pub async fn run(inbox: Arc<Inbox>) {
    while let Some(deliveries) = inbox.take(usize::MAX).await {
        for delivery in deliveries {
            delivery.settle(Outcome::Done);
        }
    }
}
