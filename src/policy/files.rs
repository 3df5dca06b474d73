//! Which files hold policies, and their text.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file, and largest text on standard input.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Most files at once.
const FILES_MAX: usize = 256;
/// Entries looked at for one pattern.
const ENTRIES_MAX: usize = 100_000;

/// One file with policies.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// As the user named it.
    pub name: String,
    /// Its text, without a byte order mark.
    pub text: String,
}

/// Why policies cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FilesError {
    /// What is wrong, with the name of the file.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl FilesError {
    fn new(message: String, help: &str) -> FilesError {
        FilesError { message, help: help.to_owned() }
    }
}

impl PolicyFile {
    /// A text; `name` stands for the file in messages.
    #[must_use]
    pub fn new(name: &str, text: &str) -> PolicyFile {
        PolicyFile { name: name.to_owned(), text: text.strip_prefix('\u{feff}').unwrap_or(text).to_owned() }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, is larger than 4 MiB, or is not UTF-8.
    pub fn read(path: &Path) -> Result<PolicyFile, FilesError> {
        PolicyFile::read_from(&path.display().to_string(), File::open(path))
    }

    /// Reads standard input.
    ///
    /// # Errors
    /// As for a file.
    pub fn stdin() -> Result<PolicyFile, FilesError> {
        PolicyFile::read_from("standard input", Ok(std::io::stdin().lock()))
    }

    fn read_from(name: &str, from: std::io::Result<impl Read>) -> Result<PolicyFile, FilesError> {
        let mut bytes = Vec::new();
        let read = from.and_then(|from| from.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|error| {
            FilesError::new(format!("cannot read {name}: {error}"), "name a readable file with mesh policies")
        })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let message = format!("{name} has more than {FILE_BYTES_MAX} bytes");
            return Err(FilesError::new(message, "give the policies alone: MeshAccessLog and what it refers to"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(PolicyFile::new(name, &text)),
            Err(error) => {
                let message = format!("{name} is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
                Err(FilesError::new(message, "give a YAML file"))
            }
        }
    }
}

/// The files that a path or pattern names, sorted: `*` and `?` stand for letters within one part of
/// the path, and not for the dot of a hidden file. A relative path is relative to the working
/// directory.
///
/// # Errors
/// When nothing is found, when a directory cannot be read, or for more than 256 files.
pub fn find(pattern: &str) -> Result<Vec<PathBuf>, FilesError> {
    if !pattern.contains(['*', '?']) {
        return Ok(vec![PathBuf::from(pattern)]);
    }
    let root = if pattern.starts_with('/') { "/" } else { "" };
    let mut found = vec![PathBuf::from(root)];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        found = match part.contains(['*', '?']) {
            false => found.into_iter().map(|path| path.join(part)).filter(|path| path.exists()).collect(),
            true => expand(&found, part)?,
        };
    }
    found.retain(|path| path.is_file());
    found.sort();
    match found.len() {
        0 => Err(FilesError::new(format!("no file matches '{pattern}'"), "name files with mesh policies")),
        1..=FILES_MAX => Ok(found),
        count => Err(FilesError::new(format!("{count} files match '{pattern}'"), "name at most 256")),
    }
}

fn expand(directories: &[PathBuf], part: &str) -> Result<Vec<PathBuf>, FilesError> {
    let mut found = Vec::new();
    let mut looked_at = 0_usize;
    for directory in directories.iter().filter(|it| it.as_os_str().is_empty() || it.is_dir()) {
        let here = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let unreadable = |error: std::io::Error| {
            FilesError::new(format!("cannot read the directory {}: {error}", here.display()), "name readable files")
        };
        for entry in std::fs::read_dir(here).map_err(unreadable)? {
            looked_at += 1;
            if looked_at > ENTRIES_MAX {
                let message = format!("more than {ENTRIES_MAX} names to compare with '{part}'");
                return Err(FilesError::new(message, "name the files more closely"));
            }
            let name = entry.map_err(unreadable)?.file_name();
            let matches = name.to_str().is_some_and(|name| {
                (!name.starts_with('.') || part.starts_with('.')) && matches(part.as_bytes(), name.as_bytes())
            });
            if matches {
                found.push(directory.join(name));
            }
        }
    }
    Ok(found)
}

/// `*` stands for any letters, `?` for one. The last star is the only one that need be tried again,
/// so this takes no more than the product of the two lengths.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((star, taken)) = retry else { return false };
                retry = Some((star, taken + 1));
                p = star + 1;
                n = taken + 1;
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        };
        check("*.yaml", "mal.yaml", true);
        check("*.yaml", ".yaml", true);
        check("*.yaml", "mal.yml", false);
        check("m?l*", "mal.yaml", true);
        check("*a*a*", "banana", true);
        check("*a*ab", "banana", false);
        check("", "", true);
        check("", "a", false);
        check("a", "", false);
        check("**", "", true);
        check(&"*a".repeat(30), &"a".repeat(200), true);
        check(&"*a".repeat(30), &"b".repeat(200), false);
    }

    #[test]
    fn files_are_found_sorted() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", ".c.yaml", "d.txt"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = |pattern: &str| {
            let found = find(&dir.path().join(pattern).display().to_string());
            found.map(|it| it.iter().map(|it| it.file_name().unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(found("*.yaml").unwrap(), ["a.yaml", "b.yaml"]);
        assert_eq!(found("?.txt").unwrap(), ["d.txt"]);
        assert_eq!(found("named.yaml").unwrap(), ["named.yaml"]);
        assert!(found("*.json").unwrap_err().message.contains("no file matches"));
        assert!(found("no*where/*.yaml").is_err());
    }
}
