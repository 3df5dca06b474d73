//! Tables and numbers for people.

use crate::explain::tame;

/// Columns that are as wide as what stands in them; `right` are numbers.
#[derive(Debug)]
pub struct Columns<'a> {
    heads: &'a [(&'a str, Side)],
    rows: Vec<Vec<String>>,
}

/// Where a column begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl<'a> Columns<'a> {
    /// No rows yet.
    pub fn new(heads: &'a [(&'a str, Side)]) -> Columns<'a> {
        Columns { heads, rows: Vec::new() }
    }

    /// Adds a row. Nothing in it drives a terminal.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().map(|it| tame(&it)).collect());
    }

    /// All of it, a line each. Nothing when there are no rows.
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| (*head).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&heads).chain(&self.rows).collect();
        let width = |column: usize| all.iter().filter_map(|row| row.get(column)).map(|it| it.chars().count()).max();
        let widths: Vec<usize> = (0..self.heads.len()).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        for row in all {
            let cells = row.iter().zip(&widths).zip(self.heads).map(|((cell, width), (_, side))| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text.push('\n');
        }
        text
    }
}

/// A count in four characters or so: `0`, `0.5`, `12`, `1.2k`, `34M`.
pub fn count(value: f64) -> String {
    scaled(value, 1000.0, &["", "k", "M", "G", "T"])
}

/// Bytes: `512B`, `1.2KiB`.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let mut value = value.max(0.0);
    let mut unit = 0;
    // What would be rounded to a whole step is one of the next unit.
    while value >= step - 0.5 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = if value < 9.95 && value.fract() > 0.0 { 1 } else { 0 };
    let text = format!("{value:.digits$}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text}{}", units[unit])
}

/// Milliseconds: `3ms`, `1.2s`.
pub fn millis(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(ms) if ms < 1000.0 => format!("{ms:.0}ms"),
        Some(ms) if ms < 60_000.0 => format!("{:.1}s", ms / 1000.0),
        Some(ms) => format!("{:.0}m", ms / 60_000.0),
    }
}

/// A share: `0`, `0.4%`, `12%`.
pub fn percent(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    match share {
        0.0 => "0".to_owned(),
        share if share < 0.1 => "<0.1%".to_owned(),
        share if share < 10.0 => format!("{share:.1}%"),
        share => format!("{share:.0}%"),
    }
}

/// Seconds: `12s`, `3m 4s`, `5h 6m`, `7d 8h`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (value, expected) in [
            (0.0, "0"),
            (0.04, "0"),
            (0.5, "0.5"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1k"),
            (1234.0, "1.2k"),
            (34_567_890.0, "35M"),
            (1e20, "100000000T"),
        ] {
            assert_eq!(count(value), expected, "{value}");
        }
        assert_eq!((bytes(512.0), bytes(1536.0), bytes(5e9)), ("512B".into(), "1.5KiB".into(), "4.7GiB".into()));
        assert_eq!(
            (percent(0.0, 0.0), percent(1.0, 3.0), percent(1.0, 5000.0)),
            ("0".into(), "33%".into(), "<0.1%".into())
        );
        assert_eq!(
            (millis(None), millis(Some(12.0)), millis(Some(1250.0))),
            ("-".into(), "12ms".into(), "1.2s".into())
        );
        assert_eq!((duration(59), duration(3661), duration(90_000)), ("59s".into(), "1h 1m".into(), "1d 1h".into()));
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be_and_harmless() {
        let heads = [("NAME", Side::Left), ("RATE", Side::Right)];
        let mut columns = Columns::new(&heads);
        assert_eq!(columns.text(), "");
        columns.push(["a\u{1b}[31m".to_owned(), "1".to_owned()]);
        columns.push(["bc".to_owned(), "12345".to_owned()]);
        assert_eq!(columns.text(), "NAME          RATE\na\\u001b[31m      1\nbc           12345\n");
    }
}
