//! What is in the directory of a journal, found out without changing anything.

use std::io;
use std::sync::Arc;

use super::Seq;
use super::cursor_file::{self, CursorFound, Slot};
use super::disk::{Disk, DiskFile};
use super::segment::{self, Footer, HeaderFound, SegmentHeader};
use super::settings::OpenError;
use super::sync::NEW_SUFFIX;

/// What is in the directory of a journal.
#[derive(Debug, Default)]
pub struct Survey {
    /// Oldest first.
    pub segments: Vec<Found>,
    /// File name, and what is in it; `None` when it is damaged.
    pub cursors: Vec<(String, Option<Slot>)>,
    /// Files that were being made when the process ended.
    pub unfinished: Vec<String>,
}

/// A segment on the disk.
#[derive(Clone, Debug)]
pub struct Found {
    pub base: Seq,
    pub file: Arc<dyn DiskFile>,
    /// Length of the file.
    pub len: u64,
    /// `None` when it is damaged.
    pub header: Option<SegmentHeader>,
    /// `None` when it was not sealed, or its footer is damaged.
    pub footer: Option<Footer>,
}

impl Found {
    /// Where the entries end at the latest.
    pub fn limit(&self) -> u64 {
        self.footer.as_ref().map_or(self.len, |footer| footer.offset)
    }

    pub fn salt(&self) -> Option<u64> {
        self.header.map(|header| header.salt).or(self.footer.as_ref().map(|footer| footer.salt))
    }
}

impl Survey {
    /// Looks at the directory.
    ///
    /// # Errors
    /// When a file was written by a later version, or one cannot be read.
    pub fn of(disk: &dyn Disk, write: bool) -> Result<Survey, OpenError> {
        let failed = |what| move |error| OpenError::Disk { what, error };
        let mut survey = Survey::default();
        for file in disk.list("").map_err(failed("list the directory of the journal"))? {
            if let Some(base) = segment::base_of(&file.name) {
                if let Some(found) = found(disk, base, &file.name, write).map_err(failed("read a segment"))? {
                    survey.segments.push(refuse_newer(found, &file.name)?);
                }
            } else if file.name.ends_with(NEW_SUFFIX) && is_ours(file.name.trim_end_matches(NEW_SUFFIX)) {
                survey.unfinished.push(file.name);
            } else if cursor_file::sink_of(&file.name).is_some() {
                let slot = match disk.open(&file.name, false).and_then(|file| Slot::of(&*file)) {
                    Ok(CursorFound::Newer(found)) => return Err(newer(&file.name, found)),
                    Ok(CursorFound::Known(slot)) => Some(slot),
                    Ok(CursorFound::Damaged) | Err(_) => None,
                };
                survey.cursors.push((file.name, slot));
            }
        }
        survey.segments.sort_by_key(|segment| segment.base);
        survey.cursors.sort();
        Ok(survey)
    }

    /// Where a sink stands; `None` when that is not known.
    pub fn cursor(&self, sink: &str) -> Option<Slot> {
        let name = cursor_file::file_name(sink);
        self.cursors.iter().find(|(known, _)| *known == name).and_then(|(_, slot)| *slot)
    }
}

fn is_ours(stem: &str) -> bool {
    segment::base_of(&format!("{stem}.seg")).is_some() || cursor_file::sink_of(stem).is_some()
}

/// `None` when it is gone, or says that it is another one: somebody has renamed it.
fn found(disk: &dyn Disk, base: Seq, name: &str, write: bool) -> io::Result<Option<Result<Found, u32>>> {
    let file = match disk.open(name, write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let len = file.size()?;
    let header = match SegmentHeader::of(&*file) {
        Ok(HeaderFound::Newer(version)) => return Ok(Some(Err(version))),
        Ok(HeaderFound::Known(header)) if header.base != base => return Ok(None),
        Ok(HeaderFound::Known(header)) => Some(header),
        // What cannot be read is as good as damaged, and no reason not to start.
        Ok(HeaderFound::Damaged) | Err(_) => None,
    };
    let footer = Footer::of(&*file, len).ok().flatten().filter(|footer| footer.base == base);
    Ok(Some(Ok(Found { base, file, len, header, footer })))
}

fn refuse_newer(found: Result<Found, u32>, name: &str) -> Result<Found, OpenError> {
    found.map_err(|version| newer(name, version))
}

fn newer(name: &str, found: u32) -> OpenError {
    OpenError::Newer { file: name.to_owned(), found, known: segment::VERSION }
}
