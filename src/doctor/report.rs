//! What was found, for people and for programs.

use super::{Finding, Verdict};

/// A line for each finding, what to do below it; in colour for a terminal.
#[must_use]
pub fn table(findings: &[Finding], colour: bool) -> String {
    let width = |of: fn(&Finding) -> &str| findings.iter().map(|it| of(it).chars().count()).max().unwrap_or(0).min(48);
    let (check, subject) = (width(|it| it.check), width(|it| &it.subject));
    let mut out = String::new();
    for it in findings {
        let (word, code) = match it.verdict {
            Verdict::Ok => ("ok  ", 32),
            Verdict::Warn => ("warn", 33),
            Verdict::Fail => ("FAIL", 31),
        };
        let word = if colour { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() };
        out.push_str(&format!("{word}  {:check$}  {:subject$}  {}\n", it.check, tame(&it.subject), tame(&it.message)));
        if !it.help.is_empty() {
            out.push_str(&format!("      {:check$}  {:subject$}  -> {}\n", "", "", tame(&it.help)));
        }
    }
    let count = |verdict| findings.iter().filter(|it| it.verdict == verdict).count();
    let (ok, warn, fail) = (count(Verdict::Ok), count(Verdict::Warn), count(Verdict::Fail));
    out.push_str(&format!("{ok} ok, {warn} to know, {fail} to mend\n"));
    out
}

/// One object.
#[must_use]
pub fn json(findings: &[Finding]) -> serde_json::Value {
    let worst = findings.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Ok);
    serde_json::json!({"verdict": worst, "findings": findings})
}

/// Names and answers come from outside: nothing of them may reach a terminal as a control.
fn tame(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let findings = [
            Finding::ok("listen", "mesh", "free"),
            Finding::fail("file", "files", "bad\u{1b}[0m", "mend it"),
            Finding::warn("clock", "clock", "late", ""),
        ];
        assert_eq!(
            table(&findings, false),
            "ok    listen  mesh   free\n\
             FAIL  file    files  bad\\u{1b}[0m\n                     -> mend it\n\
             warn  clock   clock  late\n\
             1 ok, 1 to know, 1 to mend\n"
        );
        assert!(table(&findings, true).starts_with("\u{1b}[32mok  \u{1b}[0m  listen"));
        assert_eq!(json(&findings)["verdict"], "fail");
        assert_eq!(json(&findings)["findings"][2]["help"], serde_json::Value::Null);
    }
}
