//! Compressing a finished file: streaming, to a temporary name, synced, renamed, and only then is
//! the original removed. At any moment of a crash the records are in one complete file at least;
//! while both exist the original is the one that counts.

use std::fs::File;
use std::io::{self, IoSlice, Read as _, Write};

use crate::sink::disk::{Disk, Stat};
use crate::sink::file::Compression;
use crate::sink::rotate::{Finished, TEMPORARY};

/// Bytes read at a time. With the compressor's own window a compression takes below 8 MiB.
const BLOCK_BYTES: usize = 128 * 1024;

/// Compresses `plain` and removes it; returns the compressed file and its length. `go_on` is asked
/// after each block; when it says no the temporary file is removed and the error is
/// [`io::ErrorKind::Interrupted`].
pub fn compress(
    disk: &dyn Disk,
    plain: &Finished,
    packing: Compression,
    go_on: &dyn Fn() -> bool,
) -> io::Result<(Finished, u64)> {
    let packed = plain.packed(packing);
    let (from, to) = (plain.path(), packed.path());
    let temporary = format!("{to}{TEMPORARY}");
    let input = disk.read(&from)?;
    // Left over from a crash between renaming and removing, or from one while writing.
    for leftover in [&to, &temporary] {
        remove_if_there(disk, leftover)?;
    }
    let written = pack(disk, input, &temporary, packing, go_on).and_then(|len| {
        disk.rename(&temporary, &to)?;
        Ok(len)
    });
    let len = match written {
        Ok(len) => len,
        Err(error) => {
            // What cannot be removed now is swept at the next start.
            let _swept_later = disk.remove(&temporary);
            return Err(error);
        }
    };
    // IMPORTANT: the new name must be on the disk before the old one goes.
    disk.sync_dir_of(&to)?;
    disk.remove(&from)?;
    Ok((packed, len))
}

fn remove_if_there(disk: &dyn Disk, path: &str) -> io::Result<()> {
    match disk.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn pack(disk: &dyn Disk, input: File, path: &str, packing: Compression, go_on: &dyn Fn() -> bool) -> io::Result<u64> {
    let output = Output { disk, file: disk.create(path)? };
    let output = match packing {
        Compression::None => copy(input, output, go_on)?,
        Compression::Gzip => {
            let encoder = flate2::write::GzEncoder::new(output, flate2::Compression::default());
            copy(input, encoder, go_on)?.finish()?
        }
        Compression::Zstd => {
            let mut encoder = zstd::stream::write::Encoder::new(output, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            encoder.include_checksum(true)?;
            copy(input, encoder, go_on)?.finish()?
        }
    };
    disk.sync(&output.file)?;
    Ok(Stat::of(&output.file)?.len)
}

fn copy<W: Write>(mut input: File, mut output: W, go_on: &dyn Fn() -> bool) -> io::Result<W> {
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        if !go_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match input.read(&mut block) {
            Ok(0) => return Ok(output),
            Ok(n) => output.write_all(&block[..n])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

struct Output<'a> {
    disk: &'a dyn Disk,
    file: File,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.write(&self.file, &[IoSlice::new(bytes)])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
