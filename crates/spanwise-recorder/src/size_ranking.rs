//! Ranks the holders of memory by size, so that the pool finds the largest unit without a search
//! when it has no chunk left.

use spanwise_core::internal::{LinkedSlots, SlotId, SlotList};

/// The holders, in one list per size. A size is a number of chunks.
#[derive(Debug, Default)]
pub(crate) struct SizeRanking<T> {
    holders: LinkedSlots<Holder<T>>,
    /// The lists, indexed by size. Within a list, the holder that reached the size first is in
    /// front.
    lists: Vec<SlotList>,
    /// An upper bound of the sizes. After a removal, all holders may be smaller.
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
        self.prepare_size(1);
        let holder = Holder { value, size: 1 };
        HolderId(self.holders.push_back(&mut self.lists[1], holder))
    }

    /// Increments the size of a holder, and moves it to the end of the list of its new size.
    pub(crate) fn grow(&mut self, id: &HolderId) {
        let holder = &mut self.holders[id.0];
        let old_size = holder.size;
        holder.size += 1;
        self.prepare_size(old_size + 1);
        let (smaller, larger) = self.lists.split_at_mut(old_size + 1);
        self.holders
            .move_to(&mut smaller[old_size], &mut larger[0], id.0);
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

    /// Removes a holder.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an id must not be used after the removal"
    )]
    pub(crate) fn remove(&mut self, id: HolderId) {
        let size = self.holders[id.0].size;
        self.holders.remove(&mut self.lists[size], id.0);
    }

    /// Adds missing lists up to this size, and raises `max_size` to it. Call it before a holder
    /// gets this size.
    fn prepare_size(&mut self, size: usize) {
        if self.lists.len() <= size {
            self.lists.resize(size + 1, SlotList::default());
        }
        self.max_size = self.max_size.max(size);
    }
}
