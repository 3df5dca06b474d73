//! Syncs that are held, and fail, when a test says so.

use std::io;
use std::sync::{Condvar, Mutex};

use rustix::io::Errno;

/// Where every sync passes.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    /// So many of the next that pass fail.
    failing: usize,
    /// Device and inode of each file that came, in order.
    came: Vec<(u64, u64)>,
}

impl Gate {
    /// Comes, waits until the gate is open, and fails when it is one of those that are to fail.
    pub fn pass(&self, identity: (u64, u64)) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.came.push(identity);
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.is_shut).unwrap();
        let is_failing = state.failing > 0;
        state.failing = state.failing.saturating_sub(1);
        if is_failing { Err(Errno::IO.into()) } else { Ok(()) }
    }

    pub fn shut(&self) {
        self.state.lock().unwrap().is_shut = true;
    }

    /// Lets them pass, the next `failing` of them to fail.
    pub fn open(&self, failing: usize) {
        let mut state = self.state.lock().unwrap();
        (state.is_shut, state.failing) = (false, failing);
        self.changed.notify_all();
    }

    /// Waits until so many syncs have come, and returns the files.
    pub fn wait_for(&self, syncs: usize) -> Vec<(u64, u64)> {
        let state = self.state.lock().unwrap();
        self.changed.wait_while(state, |state| state.came.len() < syncs).unwrap().came.clone()
    }

    /// The files that have come so far.
    pub fn came(&self) -> Vec<(u64, u64)> {
        self.wait_for(0)
    }
}
