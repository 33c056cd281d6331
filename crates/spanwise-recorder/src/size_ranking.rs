//! Ranks the holders of memory by size. Finds the largest one without a search.

use spanwise_core::internal::{LinkedSlots, SlotId, SlotList};

/// One list of holders per size.
#[derive(Debug, Default)]
pub(crate) struct SizeRanking<T> {
    holders: LinkedSlots<Holder<T>>,
    /// The lists, by size. Within a list, the holder that reached the size first is in front.
    lists: Vec<SlotList>,
    /// Lists at higher indexes are empty.
    largest: usize,
}

#[derive(Debug, Default)]
struct Holder<T> {
    value: T,
    size: usize,
}

/// The position of a holder in the ranking, until the holder is removed.
#[derive(Debug)]
pub(crate) struct Place(SlotId);

impl<T: Default> SizeRanking<T> {
    /// Adds a holder of size 1.
    pub(crate) fn push(&mut self, value: T) -> Place {
        self.reserve(1);
        let holder = Holder { value, size: 1 };
        Place(self.holders.push_back(&mut self.lists[1], holder))
    }

    /// Increments the size of a holder.
    pub(crate) fn grow(&mut self, place: &Place) {
        let holder = &mut self.holders[place.0];
        let size = holder.size;
        holder.size += 1;
        self.reserve(size + 1);
        let (smaller, larger) = self.lists.split_at_mut(size + 1);
        self.holders
            .move_to(&mut smaller[size], &mut larger[0], place.0);
    }

    /// Returns the largest holder. If several are equally large, returns the one that reached the
    /// size first.
    pub(crate) fn largest(&mut self) -> Option<&T> {
        loop {
            match self.lists.get(self.largest)?.front() {
                Some(front) => return Some(&self.holders[front].value),
                None => self.largest = self.largest.checked_sub(1)?,
            }
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a place is good for one removal"
    )]
    pub(crate) fn remove(&mut self, place: Place) {
        let size = self.holders[place.0].size;
        self.holders.remove(&mut self.lists[size], place.0);
    }

    fn reserve(&mut self, size: usize) {
        if self.lists.len() <= size {
            self.lists.resize(size + 1, SlotList::default());
        }
        self.largest = self.largest.max(size);
    }
}
