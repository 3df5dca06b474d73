//! The deliveries in hand of a file sink: what is being written, and what was and lacks its end.
//!
//! Each is settled once all of it is written. The end of the last one may wait for the next ones, see
//! [`super::direct::Direct::leaves`]; so the first in hand may be written in part.

use super::job::{Job, jobs};
use crate::inbox::{Delivery, Outcome};

/// Deliveries in the order they were taken.
#[derive(Debug, Default)]
pub struct Hand {
    deliveries: Vec<Delivery>,
    /// So much of the first is written, all of it whole lines.
    written: usize,
}

impl Hand {
    /// True when nothing is in hand.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// Takes deliveries, behind those that are there; what is to be written of all of them. What no route covers goes to
    /// `otherwise`. With `may_leave` the end may be left unwritten; only where all goes to one file.
    pub fn hold(&mut self, taken: Vec<Delivery>, otherwise: &str, may_leave: bool) -> Vec<Job> {
        self.deliveries.extend(taken);
        let mut jobs = jobs(self.deliveries.iter().map(|it| &it.batch), otherwise);
        // Where something was left there is one file.
        if let Some(job) = jobs.first_mut() {
            job.written = self.written;
            job.may_leave = may_leave;
        }
        jobs
    }

    /// Settles what is written in whole; `jobs` are those of [`Hand::hold`].
    pub fn settle(&mut self, jobs: &[Job]) {
        let left: usize = jobs.iter().map(Job::rest).sum();
        let len = |delivery: &Delivery| delivery.batch.payload.len();
        let mut written = self.deliveries.iter().map(len).sum::<usize>() - left;
        let mut count = 0;
        while let Some(len) = self.deliveries.get(count).map(len).filter(|len| *len <= written) {
            written -= len;
            count += 1;
        }
        self.written = written;
        for delivery in self.deliveries.drain(..count) {
            delivery.settle(Outcome::Done);
        }
    }

    /// Drops all of them unsettled: they count as failed.
    pub fn abandon(&mut self) {
        *self = Hand::default();
    }
}
