//! `schema`: the JSON Schema of the configuration.

use super::{Exit, print};
use crate::config::Config;

/// Prints the schema, for editors and for checks in pipelines.
pub fn schema() -> Exit {
    print(&format!("{:#}\n", schemars::schema_for!(Config).as_value()))
}
