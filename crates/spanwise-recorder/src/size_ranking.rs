//! Ranks the holders of memory by size, and finds the largest holder without a search.

use spanwise_core::internal::{LinkedSlots, SlotId, SlotList};

/// One list of holders per size.
#[derive(Debug, Default)]
pub(crate) struct SizeRanking<T> {
    holders: LinkedSlots<Holder<T>>,
    /// The lists, indexed by size. Within a list, the holder that reached the size first is in
    /// front.
    lists: Vec<SlotList>,
    /// No holder is larger than this. After a removal, all may be smaller.
    max_size: usize,
}

#[derive(Debug, Default)]
struct Holder<T> {
    value: T,
    size: usize,
}

/// Identifies a holder in the ranking, until the holder is removed.
#[derive(Debug)]
pub(crate) struct HolderId(SlotId);

impl<T: Default> SizeRanking<T> {
    /// Adds a holder of size 1.
    pub(crate) fn push(&mut self, value: T) -> HolderId {
        self.reserve(1);
        let holder = Holder { value, size: 1 };
        HolderId(self.holders.push_back(&mut self.lists[1], holder))
    }

    /// Increments the size of a holder, and moves it to the end of the list of its new size.
    pub(crate) fn grow(&mut self, id: &HolderId) {
        let holder = &mut self.holders[id.0];
        let size = holder.size;
        holder.size += 1;
        self.reserve(size + 1);
        let (smaller, larger) = self.lists.split_at_mut(size + 1);
        self.holders
            .move_to(&mut smaller[size], &mut larger[0], id.0);
    }

    /// Returns the largest holder. If several are equally large, returns the one that reached the
    /// size first.
    pub(crate) fn largest(&mut self) -> Option<&T> {
        loop {
            match self.lists.get(self.max_size)?.front() {
                Some(front) => return Some(&self.holders[front].value),
                None => self.max_size = self.max_size.checked_sub(1)?,
            }
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "an id is good for one removal"
    )]
    pub(crate) fn remove(&mut self, id: HolderId) {
        let size = self.holders[id.0].size;
        self.holders.remove(&mut self.lists[size], id.0);
    }

    /// Adds missing lists up to this size, which a holder now has.
    fn reserve(&mut self, size: usize) {
        if self.lists.len() <= size {
            self.lists.resize(size + 1, SlotList::default());
        }
        self.max_size = self.max_size.max(size);
    }
}
