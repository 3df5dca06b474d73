//! Sink `null`: counts and drops, for measuring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of a `null` sink: none.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NullConfig {}
