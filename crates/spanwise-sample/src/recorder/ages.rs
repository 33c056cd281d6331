//! A queue that anything can leave from its middle.

/// In the order in which they came.
#[derive(Debug)]
pub(crate) struct Ages<T> {
    slots: Vec<Slot<T>>,
    vacant: Option<usize>,
    oldest: Option<usize>,
    newest: Option<usize>,
}

#[derive(Debug)]
struct Slot<T> {
    /// `None` in a vacant slot, whose `next` is the next one.
    value: Option<T>,
    before: Option<usize>,
    next: Option<usize>,
}

/// Where a value is, until it is removed.
#[derive(Debug)]
pub(crate) struct Place(usize);

impl<T> Ages<T> {
    pub(crate) fn push(&mut self, value: T) -> Place {
        let slot = Slot {
            value: Some(value),
            before: self.newest,
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
        match self.newest {
            Some(newest) => self.slots[newest].next = Some(at),
            None => self.oldest = Some(at),
        }
        self.newest = Some(at);
        Place(at)
    }

    pub(crate) fn oldest(&self) -> Option<&T> {
        self.slots[self.oldest?].value.as_ref()
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a place is good for one removal"
    )]
    pub(crate) fn remove(&mut self, place: Place) {
        let Place(at) = place;
        let Slot { before, next, .. } = self.slots[at];
        match before {
            Some(before) => self.slots[before].next = next,
            None => self.oldest = next,
        }
        match next {
            Some(next) => self.slots[next].before = before,
            None => self.newest = before,
        }
        self.slots[at] = Slot {
            value: None,
            before: None,
            next: self.vacant,
        };
        self.vacant = Some(at);
    }
}

impl<T> Default for Ages<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            vacant: None,
            oldest: None,
            newest: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_the_first_that_is_left() {
        let mut ages = Ages::default();
        let mut places: Vec<_> = (0..4).map(|n| Some(ages.push(n))).collect();
        let mut leave = |ages: &mut Ages<i32>, n: usize| {
            ages.remove(places[n].take().expect("it is there"));
        };
        leave(&mut ages, 1);
        assert_eq!(ages.oldest(), Some(&0));
        leave(&mut ages, 0);
        assert_eq!(ages.oldest(), Some(&2));
        let five = ages.push(5);
        leave(&mut ages, 3);
        leave(&mut ages, 2);
        assert_eq!(ages.oldest(), Some(&5));
        ages.remove(five);
        assert_eq!(ages.oldest(), None);
        ages.push(6);
        assert_eq!((ages.oldest(), ages.slots.len()), (Some(&6), 4));
    }
}
