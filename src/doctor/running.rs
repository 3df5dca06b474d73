//! A logboom that runs with the same configuration holds its ports and its files, and should.

use std::path::{Path, PathBuf};

use super::Surroundings;

/// Who holds something.
pub enum Holder {
    /// It runs with the configuration that is looked at.
    Ours(u32),
    /// Somebody else: a name and a number.
    Other(String, u32),
}

/// Who a process is to this configuration.
pub fn holder(name: String, process: u32, around: &Surroundings) -> Holder {
    match name == "logboom" && around.config.as_deref().is_some_and(|config| runs_with(process, config, around)) {
        true => Holder::Ours(process),
        false => Holder::Other(name, process),
    }
}

fn runs_with(process: u32, config: &Path, around: &Surroundings) -> bool {
    let proc = around.root.join(format!("proc/{process}"));
    let Ok(bytes) = std::fs::read(proc.join("cmdline")) else { return false };
    let words: Vec<&str> = bytes.split(|it| *it == 0).filter_map(|it| std::str::from_utf8(it).ok()).collect();
    let Some(named) = named(&words) else { return false };
    let directory = std::fs::read_link(proc.join("cwd")).unwrap_or_default();
    let same = |path: PathBuf| std::fs::canonicalize(path).ok();
    same(directory.join(named)).is_some_and(|it| Some(it) == same(config.to_owned()))
}

/// The file behind `-c` or `--config`.
fn named<'a>(words: &[&'a str]) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| match *word {
        "-c" | "--config" => words.get(at + 1).copied(),
        word => word.strip_prefix("--config=").or_else(|| word.strip_prefix("-c").filter(|it| !it.is_empty())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let check = |line: &str, expected: Option<&str>| {
            assert_eq!(named(&line.split(' ').collect::<Vec<_>>()), expected, "{line}");
        };
        check("logboom run -c a.yaml", Some("a.yaml"));
        check("logboom --config a.yaml run", Some("a.yaml"));
        check("logboom run --config=a.yaml", Some("a.yaml"));
        check("logboom run -ca.yaml", Some("a.yaml"));
        check("logboom run -c", None);
        check("logboom", None);
    }
}
