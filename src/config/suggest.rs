//! "Did you mean": the accepted word nearest to the one written.

/// Longest word that is compared; the accepted words are all far shorter.
const WORD_CHARS_MAX: usize = 64;

/// `did you mean 'listen'? accepted: type, listen`, or without the question when nothing is near.
pub fn accepted(wrong: &str, words: &[&str]) -> String {
    let list = words.join(", ");
    match nearest(wrong, words) {
        Some(word) => format!("did you mean `{word}`? accepted: {list}"),
        None => format!("accepted: {list}"),
    }
}

/// The word with the fewest typing errors to `wrong`, if at most a third of its letters differ.
pub fn nearest<'a>(wrong: &str, words: &[&'a str]) -> Option<&'a str> {
    let wrong: Vec<char> = wrong.chars().take(WORD_CHARS_MAX + 1).flat_map(char::to_lowercase).collect();
    if wrong.len() > WORD_CHARS_MAX {
        return None;
    }
    words
        .iter()
        .map(|word| (distance(&wrong, &word.chars().flat_map(char::to_lowercase).collect::<Vec<_>>()), *word))
        .filter(|(errors, word)| *errors <= (word.chars().count().max(wrong.len()) / 3).max(1))
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, word)| word)
}

/// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1; b.len() + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = last[j] + usize::from(x != y);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wrong: &str, expected: Option<&str>) {
        assert_eq!(nearest(wrong, &["listen", "format", "line_max", "type", "null"]), expected, "{wrong}");
    }

    #[test]
    fn nearest_word() {
        check("lsiten", Some("listen"));
        check("Format", Some("format"));
        check("linemax", Some("line_max"));
        check("tpye", Some("type"));
        check("nul", Some("null"));
        check("password", None);
        check("", None);
        check(&"x".repeat(100_000), None);
    }
}
