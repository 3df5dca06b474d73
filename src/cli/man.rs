//! `man`: the manual page.

use super::{Exit, complain, print};

/// Prints the page as roff: `logboom man | man -l -`.
pub fn man(command: clap::Command) -> Exit {
    let mut page = Vec::new();
    match clap_mangen::Man::new(command).render(&mut page) {
        Ok(()) => print(&String::from_utf8_lossy(&page)),
        Err(error) => {
            complain(&format!("error: cannot write the manual page: {error}"));
            Exit::Failure
        }
    }
}
