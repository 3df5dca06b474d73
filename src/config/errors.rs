//! Why a configuration is refused.

use std::fmt;

use super::problem::{Located, Problem, Report};
use crate::tls::files::Mistake;

/// Places that are named where many have the same mistake.
const PLACES_MAX: usize = 3;

/// Everything that is wrong with one configuration, and with the policies it is derived from.
#[derive(Clone, Debug)]
pub struct ConfigErrors {
    own: Report,
    policies: Vec<Report>,
}

impl ConfigErrors {
    pub(super) fn new(own: Report, policies: Vec<Report>) -> ConfigErrors {
        ConfigErrors { own, policies }
    }

    /// One problem that is not in the text, such as a file that cannot be opened.
    #[must_use]
    pub fn plain(name: &str, message: &str, help: &str) -> ConfigErrors {
        ConfigErrors::new(Report::new(name, "", &[], vec![Problem::at(None, message).help(help)]), Vec::new())
    }

    /// Problems with files that are named below these places of the configuration `name`; what is wrong with one file is
    /// told once, with all places that name it.
    pub(super) fn of_files(name: &str, mistakes: Vec<(String, Mistake)>) -> ConfigErrors {
        let mut files: Vec<(Vec<String>, Mistake)> = Vec::new();
        for (place, mistake) in mistakes {
            let place = format!("{place}.tls.{}", mistake.key);
            match files.iter_mut().find(|(_, other)| other.message == mistake.message) {
                Some((places, _)) => places.push(place),
                None => files.push((vec![place], mistake)),
            }
        }
        let problem = |(mut places, Mistake { message, help, .. }): (Vec<String>, Mistake)| {
            // A message has an end.
            if let Some(more) = places.len().checked_sub(PLACES_MAX).filter(|more| *more > 0) {
                places.truncate(PLACES_MAX);
                places.push(format!("{more} more"));
            }
            Problem::at(None, format!("{}: {message}", places.join(", "))).help(help)
        };
        let problems = files.into_iter().map(problem).collect();
        ConfigErrors::new(Report::new(name, "", &[], problems), Vec::new())
    }

    /// The file as the user named it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.own.name()
    }

    /// The problems in the order of the file, then those of the policies.
    pub fn problems(&self) -> impl Iterator<Item = Located> + '_ {
        let of_policies = self.policies.iter().flat_map(|report| {
            report.problems().map(|problem| Located { file: Some(report.name().to_owned()), ..problem })
        });
        self.own.problems().chain(of_policies)
    }

    /// All problems with the lines they are in, coloured or not.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let reports = std::iter::once(&self.own).chain(&self.policies);
        reports.map(|report| report.render(colour)).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigErrors {}
