//! `show`: the whole effective configuration.

use super::{Exit, complain, input, print, refuse};

/// Prints YAML that is itself a configuration, except for secrets, which are `***`.
pub fn show(args: &input::InputArgs) -> Exit {
    let checked = match args.load() {
        Ok(checked) => checked,
        Err(errors) => return refuse(&errors),
    };
    match serde_saphyr::to_string(checked.config()) {
        Ok(yaml) => print(&yaml),
        Err(error) => {
            complain(&format!("error: cannot write the configuration as YAML: {error}"));
            Exit::Failure
        }
    }
}
