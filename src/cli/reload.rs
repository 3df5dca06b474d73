//! `reload`: as SIGHUP, and says what came of it.

use anyhow::Context as _;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::instance::InstanceArgs;
use super::{Exit, complain, print};
use crate::explain::tame;

#[derive(Args, Debug)]
pub struct ReloadArgs {
    #[command(flatten)]
    instance: InstanceArgs,
    /// Print the JSON that the process answers
    #[arg(long)]
    json: bool,
}

/// Exit 0 when everything is in force, 1 when the process stops, 2 when the configuration or a certificate is
/// refused or nobody answers.
pub fn reload(args: &ReloadArgs) -> Exit {
    args.instance.run(async |client| {
        let (status, body) = client.ask(Method::POST, "/api/reload").await?;
        let answer: Value = serde_json::from_slice(&body).context("cannot read the answer")?;
        let said = |key: &str| -> Vec<String> {
            let all = answer[key].as_array().into_iter().flatten();
            all.filter_map(|it| Some(tame(it.as_str()?))).collect()
        };
        let certificates = said("certificates_refused");
        let outcome = answer["outcome"].as_str();
        let exit = match outcome {
            Some("refused") => Exit::Usage,
            Some(_) if !certificates.is_empty() => Exit::Usage,
            Some(_) if status.is_success() => Exit::Clean,
            _ => Exit::Failure,
        };
        if args.json {
            return Ok(if print(&format!("{answer:#}\n")) == Exit::Clean { exit } else { Exit::Failure });
        }
        let is_in_force = matches!(outcome, Some("reloaded" | "unchanged"));
        let printed = if is_in_force {
            let mut text = match outcome {
                Some("unchanged") => "the configuration has not changed; output files were opened anew\n".to_owned(),
                _ => "reloaded\n".to_owned(),
            };
            said("changes").iter().for_each(|it| text += &format!("  {it}\n"));
            said("warnings").iter().for_each(|it| text += &format!("warning: {it}\n"));
            said("needs_restart").iter().for_each(|it| text += &format!("`{it}` has changed, which needs a restart\n"));
            print(&text)
        } else {
            // A report has lines of its own.
            let error = answer["error"].as_str().unwrap_or("it does not say why");
            let error: Vec<String> = error.lines().map(tame).collect();
            complain(&error.join("\n"));
            if exit == Exit::Usage {
                complain("the new configuration is refused, that of before runs on");
            }
            Exit::Clean
        };
        certificates.iter().for_each(|it| complain(&format!("error: {it}")));
        Ok(if printed == Exit::Clean { exit } else { printed })
    })
}
