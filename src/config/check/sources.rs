//! Limits of sources.

use super::Findings;
use crate::config::Config;
use crate::config::units::ByteSize;
use crate::source::SourceConfig;

pub fn check(config: &Config, findings: &mut Findings<'_>) {
    for (name, source) in &config.sources {
        let at = |key| ["sources", name.as_str(), key];
        match source.reader() {
            Ok(reader) if reader.is_raw() && !config.redact.headers.is_empty() => findings.warn(
                &at("format"),
                "raw takes nothing apart, so redact.headers makes every text that is no JSON object REDACTED as a whole",
            ),
            Ok(_) => {}
            Err(error) => {
                let path: Vec<&str> = at("format").into_iter().chain(error.path.iter().map(String::as_str)).collect();
                findings.refuse(&path, error.message, error.help);
            }
        }
        match source {
            SourceConfig::Lines(lines) => {
                findings.within(&at("line_max"), lines.line_max, ByteSize(1 << 10), ByteSize::mib(64));
                if lines.line_max <= ByteSize::mib(64) && lines.line_max.0 > config.memory.0 / 8 {
                    let message =
                        format!("{} is more than an eighth of the memory ({})", lines.line_max, config.memory);
                    let help = format!("write at most {}, or a larger `memory:`", ByteSize(config.memory.0 / 8));
                    findings.refuse(&at("line_max"), message, help);
                }
                findings.within(&at("connections_max"), lines.connections_max, 1, 100_000);
            }
            SourceConfig::Otlp(otlp) => {
                findings.within(&at("message_max"), otlp.message_max, ByteSize(1 << 10), ByteSize::mib(64));
                findings.within(&at("records_max"), otlp.records_max, 1, 1_000_000);
                findings.within(&at("connections_max"), otlp.connections_max, 1, 100_000);
                if source.places().is_empty() {
                    let help = "write `grpc: 127.0.0.1:4317`, `http: 127.0.0.1:4318`, or both";
                    findings.refuse(&["sources", name], "an otlp source listens on `grpc` or `http`", help);
                }
            }
        }
    }
}

/// The source that accepts the largest requests.
pub fn largest_message(config: &Config) -> Option<(&str, ByteSize)> {
    let messages = config.sources.iter().filter_map(|(name, source)| match source {
        SourceConfig::Otlp(otlp) => Some((name.as_str(), otlp.message_max)),
        SourceConfig::Lines(_) => None,
    });
    messages.max_by_key(|(_, size)| *size)
}
