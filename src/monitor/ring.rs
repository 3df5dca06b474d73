//! The last steps of time, each with what came in it.

/// Values by step. A step is a number that grows with time; only the last `N` are kept.
#[derive(Clone, Debug)]
pub struct Ring<T, const N: usize> {
    slots: Vec<Option<Box<(u64, T)>>>,
}

impl<T: Default, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Ring { slots: Vec::new() }
    }
}

impl<T: Default, const N: usize> Ring<T, N> {
    /// The value of a step, new where there is none. It takes the place of the one that is `N` steps
    /// older.
    pub fn at(&mut self, step: u64) -> &mut T {
        if self.slots.is_empty() {
            self.slots.resize_with(N, || None);
        }
        let slot = &mut self.slots[(step % N as u64) as usize];
        if slot.as_ref().is_some_and(|it| it.0 != step) {
            *slot = None;
        }
        &mut slot.get_or_insert_with(|| Box::new((step, T::default()))).1
    }

    /// The value of a step, if it is kept.
    #[must_use]
    pub fn get(&self, step: u64) -> Option<&T> {
        let slot = self.slots.get((step % N as u64) as usize)?.as_ref()?;
        (slot.0 == step).then_some(&slot.1)
    }

    /// The values from a step on, in no order.
    pub fn since(&self, step: u64) -> impl Iterator<Item = (u64, &T)> {
        self.slots.iter().flatten().filter(move |it| it.0 >= step).map(|it| (it.0, &it.1))
    }

    /// Frees what is older than a step. False when nothing is left.
    pub fn forget_before(&mut self, step: u64) -> bool {
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|it| it.0 < step) {
                *slot = None;
            }
        }
        self.slots.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_steps_are_kept() {
        let mut ring = Ring::<u32, 3>::default();
        assert_eq!(ring.get(0), None);
        for step in 5..9 {
            *ring.at(step) += step as u32;
        }
        *ring.at(8) += 100;
        let all: Vec<_> = (4..10).map(|step| ring.get(step).copied()).collect();
        assert_eq!(all, [None, None, Some(6), Some(7), Some(108), None]);
        assert_eq!(ring.since(7).map(|(_, it)| *it).sum::<u32>(), 115);
        assert!(ring.forget_before(8));
        assert_eq!((ring.get(7), ring.get(8)), (None, Some(&108)));
        assert!(!ring.forget_before(9));
    }
}
