//! `--format`: a name, or a format string of one's own.

use std::ffi::OsStr;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use clap::builder::{EnumValueParser, PossibleValue, TypedValueParser};
use clap::error::ErrorKind;

use crate::decode::format::{Format as Compiled, FormatError};

/// What the records look like.
#[derive(Clone, Debug)]
pub enum Format {
    /// One that is known by name.
    Named(NamedFormat),
    /// Lines of a format string, which has no line feed inside.
    Own(Arc<Compiled>),
}

/// What the records look like, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum NamedFormat {
    /// The default HTTP format of MeshAccessLog: 20 fields
    KumaHttp,
    /// The default TCP format of MeshAccessLog
    KumaTcp,
    /// The JSON fields of the MeshAccessLog documentation, as kuma-dp writes them
    KumaJson,
    /// The default format of Envoy
    Envoy,
    /// The default format of Istio
    Istio,
    /// OTLP requests as Envoy sends them
    Otlp,
    /// kuma-http, kuma-json and kuma-tcp on one connection, as kuma-dp interleaves them; to an OTLP
    /// target both kinds of bodies
    Mixed,
}

/// Reads `--format`. A name has no percent sign, a format string that says anything has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct FormatParser;

impl TypedValueParser for FormatParser {
    type Value = Format;

    fn parse_ref(&self, cmd: &clap::Command, arg: Option<&clap::Arg>, value: &OsStr) -> Result<Format, clap::Error> {
        match value.to_str().filter(|text| text.contains('%')) {
            Some(text) => compile(text).map(|format| Format::Own(Arc::new(format))).map_err(|error| {
                clap::Error::raw(ErrorKind::ValueValidation, shown(text, &error) + "\n").with_cmd(cmd)
            }),
            None => EnumValueParser::<NamedFormat>::new().parse_ref(cmd, arg, value).map(Format::Named),
        }
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let names = <NamedFormat as clap::ValueEnum>::value_variants().iter();
        Some(Box::new(names.filter_map(clap::ValueEnum::to_possible_value)))
    }
}

fn compile(text: &str) -> Result<Compiled, FormatError> {
    let format = Compiled::compile(text)?;
    match text.trim_end_matches('\n').find('\n') {
        // Envoy takes it, but then nobody can count the records.
        Some(at) => Err(FormatError {
            at: at..at + 1,
            message: "a line feed inside of the format makes several lines of one record".to_owned(),
            help: "remove it".to_owned(),
        }),
        None => Ok(format),
    }
}

/// A mistake at its place, and what to do. Whoever prints it puts `error: ` before.
fn shown(text: &str, error: &FormatError) -> String {
    let place = Snippet::source(text).path("--format").annotation(AnnotationKind::Primary.span(error.at.clone()));
    let group = Level::ERROR
        .primary_title(error.message.as_str())
        .element(place)
        .element(Level::HELP.message(error.help.as_str()));
    let shown = Renderer::plain().render(&[group]);
    shown.strip_prefix("error: ").unwrap_or(&shown).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_format_is_shown_at_its_place() {
        let check = |text: &str, message: &str, underlined: &str| {
            let shown = shown(text, &compile(text).unwrap_err());
            assert!(shown.starts_with(message), "{shown}");
            let marks = shown.lines().find(|line| line.contains('^')).unwrap();
            assert_eq!(marks.matches('^').count(), underlined.chars().count(), "{shown}");
            assert!(shown.contains("help: "), "{shown}");
        };
        check("é %START_TIME% 100 % %PROTOCOL%", "a percent sign that begins no operator", "%");
        check("%PROTOCOL% %DURATION(x)%", "%DURATION% takes nothing in parentheses", "%DURATION(x)%");
        check("%PROTOCOL%\n%DURATION%", "a line feed inside of the format", "^");
        check("%", "a percent sign that begins no operator", "%");
    }
}
