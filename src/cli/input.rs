//! Where the configuration comes from: a file, flags, or neither.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::config::{Checked, ConfigErrors, Draft};

#[derive(Args, Debug)]
pub struct InputArgs {
    /// YAML file; without it flags or defaults: lines on 127.0.0.1:5000, OTLP on 127.0.0.1:4317 and 4318, records on stdout (`pretty` on a terminal, else `json`)
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A source: lines://HOST:PORT, lines+unix:///PATH, otlp://HOST:PORT or otlphttp://HOST:PORT, options behind `?` (?line_max=64KiB)
    #[arg(short, long, value_name = "SOURCE", conflicts_with = "config")]
    listen: Vec<String>,
    /// A sink: file:PATH, stdout[:ENCODING], otlp://HOST:PORT, otlps://HOST:PORT or null, options behind `?` (?encoding=raw&rotate.size=1MiB)
    #[arg(short, long, value_name = "SINK", conflicts_with = "config")]
    output: Vec<String>,
    /// Address of /metrics, /livez, /readyz and /status, or `off`; overrides the file
    #[arg(long, value_name = "HOST:PORT|off")]
    admin: Option<String>,
}

impl InputArgs {
    /// True when it is read from a file, which may be another one later.
    pub fn is_file(&self) -> bool {
        self.config.is_some()
    }

    /// Reads and checks.
    pub fn load(&self) -> Result<Checked, ConfigErrors> {
        let mut draft = match &self.config {
            Some(path) => Draft::file(path)?,
            None => Draft::defaults()?,
        };
        // Who starts it by hand reads the records; who redirects them has a program read them.
        if self.config.is_none() && std::io::stdout().is_terminal() {
            draft.set(&["sinks", "console", "encoding"], "pretty");
        }
        set_all(&mut draft, "sources", "-l", &self.listen, source)?;
        set_all(&mut draft, "sinks", "-o", &self.output, sink)?;
        if let Some(address) = &self.admin {
            draft.set(&["admin", "listen"], address);
        }
        draft.finish()
    }
}

/// A checked configuration from a file, or the defaults.
pub fn file(path: Option<&Path>) -> Result<Checked, ConfigErrors> {
    with_sinks(path, &[])
}

/// The same, with the sinks that flags ask for in the place of its own.
pub fn with_sinks(path: Option<&Path>, output: &[String]) -> Result<Checked, ConfigErrors> {
    let mut draft = path.map_or_else(Draft::defaults, Draft::file)?;
    set_all(&mut draft, "sinks", "-o", output, sink)?;
    draft.finish()
}

/// Keys and values of one source or sink; the first is its type.
type Settings = Vec<(String, String)>;

/// Puts each flag under a name of its own: the type, then `type-2`, `type-3`, …
fn set_all(
    draft: &mut Draft,
    part: &str,
    flag: &str,
    values: &[String],
    read: fn(&str) -> Option<Settings>,
) -> Result<(), ConfigErrors> {
    if values.is_empty() {
        return Ok(());
    }
    draft.clear(part);
    let mut names: Vec<String> = Vec::new();
    for value in values {
        let Some(settings) = read(value) else {
            // What follows the colon may hold a password.
            let scheme = value.split(':').next().unwrap_or_default();
            let what = format!("cannot read the {flag} that begins with '{scheme}'");
            return Err(ConfigErrors::plain("command line", &what, help(flag)));
        };
        let kind = settings.first().map(|(_, kind)| kind.as_str()).unwrap_or_default();
        let name = (1..)
            .map(|n| if n == 1 { kind.to_owned() } else { format!("{kind}-{n}") })
            .find(|name| !names.contains(name))
            .unwrap_or_default();
        for (key, value) in &settings {
            let path: Vec<&str> = [part, &name].into_iter().chain(key.split('.')).collect();
            draft.set(&path, value);
        }
        names.push(name);
    }
    Ok(())
}

fn help(flag: &str) -> &'static str {
    match flag {
        "-l" => {
            "write lines://HOST:PORT, lines+unix:///PATH, otlp://HOST:PORT or otlphttp://HOST:PORT; options are ?key=value&key=value, and & inside a value is %26"
        }
        _ => {
            "write file:PATH, stdout, stdout:pretty, otlp://HOST:PORT, otlps://HOST:PORT or null; options are ?key=value&key=value, and & inside a value is %26"
        }
    }
}

fn source(text: &str) -> Option<Settings> {
    let (place, options) = split_options(text)?;
    let own = if let Some(path) = place.strip_prefix("lines+unix://") {
        [("type", "lines".to_owned()), ("listen", format!("unix:{path}"))]
    } else if let Some(address) = place.strip_prefix("lines://") {
        [("type", "lines".to_owned()), ("listen", address.to_owned())]
    } else if let Some(address) = place.strip_prefix("otlphttp://") {
        [("type", "otlp".to_owned()), ("http", address.to_owned())]
    } else {
        [("type", "otlp".to_owned()), ("grpc", place.strip_prefix("otlp://")?.to_owned())]
    };
    Some(join(own, options))
}

fn sink(text: &str) -> Option<Settings> {
    let (place, options) = split_options(text)?;
    let (kind, key, value) = match place.split_once(':') {
        None if place == "stdout" || place == "null" => return Some(join([("type", place.to_owned())], options)),
        Some(("file", path)) => ("file", "path", path.to_owned()),
        Some(("stdout", encoding)) => ("stdout", "encoding", encoding.to_owned()),
        Some(("otlp", rest)) if rest.starts_with("//") => ("otlp", "endpoint", format!("http:{rest}")),
        Some(("otlps", rest)) if rest.starts_with("//") => ("otlp", "endpoint", format!("https:{rest}")),
        _ => return None,
    };
    Some(join([("type", kind.to_owned()), (key, value)], options))
}

/// `place?key=value&key=value`; a key may have dots, and in a value `%26` is `&`, `%25` is `%`.
fn split_options(text: &str) -> Option<(&str, Settings)> {
    let Some((place, options)) = text.split_once('?') else {
        return Some((text, Vec::new()));
    };
    let pairs = options.split('&').map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (!key.is_empty()).then(|| Some((key.to_owned(), percent_decoded(value)?)))?
    });
    Some((place, pairs.collect::<Option<Settings>>()?))
}

/// `None` when the bytes are no text. A percent sign that no two hex digits follow is itself.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|hex| byte == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
        let decoded = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn join<const N: usize>(own: [(&str, String); N], options: Settings) -> Settings {
    own.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(options).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: fn(&str) -> Option<Settings>, text: &str, expected: &str) {
        let got = match read(text) {
            Some(settings) => settings.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
            None => "refused".to_owned(),
        };
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn sources() {
        check(source, "lines://127.0.0.1:5000", "type=lines listen=127.0.0.1:5000");
        check(source, "lines+unix:///run/x.sock", "type=lines listen=unix:/run/x.sock");
        check(source, "otlp://[::1]:4317?records_max=5", "type=otlp grpc=[::1]:4317 records_max=5");
        check(source, "otlphttp://127.0.0.1:4318", "type=otlp http=127.0.0.1:4318");
        check(source, "tcp://127.0.0.1:5000", "refused");
        check(source, "lines://127.0.0.1:5000?x", "refused");
        check(source, "", "refused");
    }

    #[test]
    fn sinks() {
        check(sink, "file:access.log", "type=file path=access.log");
        check(sink, "file:a?encoding=raw&rotate.size=1MiB", "type=file path=a encoding=raw rotate.size=1MiB");
        check(sink, "file:a?when=status>=500", "type=file path=a when=status>=500");
        check(
            sink,
            "file:a?when=status==500%26%26flags!=''&sample=1/2",
            "type=file path=a when=status==500&&flags!='' sample=1/2",
        );
        check(sink, "file:a?when=a%20%3D%25%2", "type=file path=a when=a =%%2");
        check(sink, "file:a?when=status==500&&flags!=''", "refused");
        check(sink, "file:a?when=%ff", "refused");
        check(sink, "stdout", "type=stdout");
        check(sink, "stdout:pretty", "type=stdout encoding=pretty");
        check(sink, "null?inbox=1MiB", "type=null inbox=1MiB");
        check(sink, "otlp://collector:4317", "type=otlp endpoint=http://collector:4317");
        check(sink, "otlps://collector:4317", "type=otlp endpoint=https://collector:4317");
        check(sink, "otlp:collector", "refused");
        check(sink, "kafka://x", "refused");
    }
}
