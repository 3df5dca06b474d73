//! Where a configuration that was made goes.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Exit, complain, print};

#[derive(Args, Debug)]
pub struct MadeArgs {
    /// Write the configuration to a new file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file of --output if it exists
    #[arg(long, requires = "output")]
    force: bool,
}

impl MadeArgs {
    /// Writes a configuration. Exit 1 when it cannot be written, or when a file is there and nobody said that it may go:
    /// it may have been edited since.
    pub fn write(&self, yaml: &str) -> Exit {
        let Some(path) = &self.output else { return print(yaml) };
        match self.open(path).and_then(|mut file| file.write_all(yaml.as_bytes())) {
            Ok(()) => Exit::Clean,
            Err(error) => {
                let path = path.display();
                complain(&match error.kind() {
                    ErrorKind::AlreadyExists => {
                        format!(
                            "error: {path} exists, nothing is written\nhelp: name another file, or replace it with --force"
                        )
                    }
                    _ => format!("error: cannot write {path}: {error}"),
                });
                Exit::Failure
            }
        }
    }

    fn open(&self, path: &Path) -> io::Result<std::fs::File> {
        let mut options = OpenOptions::new();
        options.write(true);
        // A pipe or a terminal is there before, and keeps nothing that could be lost.
        let is_stream = std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        match self.force || is_stream {
            true => options.create(true).truncate(true),
            false => options.create_new(true),
        };
        options.open(path)
    }
}
