//! Holders of memory, by how much they hold: the largest is found, and any of them may leave,
//! without a search.

/// Lists of holders, one for each size.
#[derive(Debug)]
pub(crate) struct SizeRanking<T> {
    slots: Vec<Slot<T>>,
    vacant: Option<usize>,
    /// By the size of those in it.
    lists: Vec<List>,
    /// No list behind this one has a holder.
    largest: usize,
}

#[derive(Debug)]
struct Slot<T> {
    /// `None` in a vacant slot, whose `next` is the next one.
    value: Option<T>,
    size: usize,
    before: Option<usize>,
    next: Option<usize>,
}

/// The first in a list is the one that came to this size first.
#[derive(Debug, Clone, Copy, Default)]
struct List {
    first: Option<usize>,
    last: Option<usize>,
}

/// Where a holder is, until it is removed.
#[derive(Debug)]
pub(crate) struct Place(usize);

impl<T> SizeRanking<T> {
    /// Adds a holder of the size 1.
    pub(crate) fn push(&mut self, value: T) -> Place {
        let slot = Slot {
            value: Some(value),
            size: 1,
            before: None,
            next: None,
        };
        let at = match self.vacant {
            Some(at) => {
                self.vacant = self.slots[at].next;
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.link(at);
        Place(at)
    }

    /// A holder takes one more.
    pub(crate) fn grow(&mut self, place: &Place) {
        self.unlink(place.0);
        self.slots[place.0].size += 1;
        self.link(place.0);
    }

    /// Of those that hold most, the one that has held so much for the longest time.
    pub(crate) fn largest(&mut self) -> Option<&T> {
        loop {
            match self.lists.get(self.largest)?.first {
                Some(first) => return self.slots[first].value.as_ref(),
                None => self.largest = self.largest.checked_sub(1)?,
            }
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a place is good for one removal"
    )]
    pub(crate) fn remove(&mut self, place: Place) {
        let Place(at) = place;
        self.unlink(at);
        self.slots[at].value = None;
        self.slots[at].next = self.vacant;
        self.vacant = Some(at);
    }

    fn link(&mut self, at: usize) {
        let size = self.slots[at].size;
        if self.lists.len() <= size {
            self.lists.resize(size + 1, List::default());
        }
        self.largest = self.largest.max(size);
        let list = &mut self.lists[size];
        (self.slots[at].before, self.slots[at].next) = (list.last, None);
        match list.last.replace(at) {
            Some(before) => self.slots[before].next = Some(at),
            None => list.first = Some(at),
        }
    }

    fn unlink(&mut self, at: usize) {
        let Slot {
            size, before, next, ..
        } = self.slots[at];
        match before {
            Some(before) => self.slots[before].next = next,
            None => self.lists[size].first = next,
        }
        match next {
            Some(next) => self.slots[next].before = before,
            None => self.lists[size].last = before,
        }
    }
}

impl<T> Default for SizeRanking<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: None,
            lists: Vec::new(),
            largest: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Push,
        Grow(usize),
        Remove(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Push),
            any::<usize>().prop_map(Step::Grow),
            any::<usize>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        /// Against a list that is searched.
        #[test]
        fn the_largest_is_found(steps in prop::collection::vec(step(), 0..200)) {
            let mut by_size = SizeRanking::default();
            // In the order in which they came to their size.
            let mut expected: Vec<(usize, usize, Option<Place>)> = Vec::new();
            for (id, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push => expected.push((id, 1, Some(by_size.push(id)))),
                    Step::Grow(index) if !expected.is_empty() => {
                        let (id, size, place) = expected.remove(index % expected.len());
                        place.iter().for_each(|place| by_size.grow(place));
                        expected.push((id, size + 1, place));
                    }
                    Step::Remove(index) if !expected.is_empty() => {
                        let (.., place) = expected.remove(index % expected.len());
                        place.into_iter().for_each(|place| by_size.remove(place));
                    }
                    Step::Grow(_) | Step::Remove(_) => {}
                }
                let most = expected.iter().map(|(_, size, _)| *size).max();
                let largest = expected.iter().find(|(_, size, _)| Some(*size) == most);
                prop_assert_eq!(by_size.largest(), largest.map(|(id, ..)| id));
                prop_assert!(by_size.slots.len() <= 200);
            }
        }
    }
}
