//! Linked lists in one vector.

use std::collections::VecDeque;

use proptest::prelude::*;
use spanwise_core::internal::{LinkedSlots, SlotId, SlotList};

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    ToBack(usize, usize),
    ToOther(usize, usize),
    Remove(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (list, at) = (0_usize..2, 0_usize..50);
    prop_oneof![
        list.clone().prop_map(Step::Push),
        (list.clone(), at.clone()).prop_map(|(list, at)| Step::ToBack(list, at)),
        (list.clone(), at.clone()).prop_map(|(list, at)| Step::ToOther(list, at)),
        (list, at).prop_map(|(list, at)| Step::Remove(list, at)),
    ]
}

proptest! {
    #[test]
    fn lists_agree_with_deques(steps in prop::collection::vec(step(), 0..200)) {
        let mut slots = LinkedSlots::default();
        let mut lists = [SlotList::default(), SlotList::default()];
        let mut expected = [VecDeque::new(), VecDeque::new()];
        for (number, step) in steps.into_iter().enumerate() {
            let [one, other] = &mut lists;
            let take = |expected: &mut [VecDeque<(SlotId, usize)>; 2], list: usize, at: usize| {
                let len = expected[list].len();
                expected[list].remove(at % len.max(1))
            };
            match step {
                Step::Push(list) => {
                    let id = slots.push_back(&mut lists[list], number);
                    expected[list].push_back((id, number));
                }
                Step::ToBack(list, at) => if let Some(value) = take(&mut expected, list, at) {
                    slots.move_to_back(&mut lists[list], value.0);
                    expected[list].push_back(value);
                },
                Step::ToOther(list, at) => if let Some(value) = take(&mut expected, list, at) {
                    let (from, to) = if list == 0 { (one, other) } else { (other, one) };
                    slots.move_to(from, to, value.0);
                    expected[1 - list].push_back(value);
                },
                Step::Remove(list, at) => if let Some((id, value)) = take(&mut expected, list, at) {
                    prop_assert_eq!(slots.remove(&mut lists[list], id), value);
                },
            }
            for (list, expected) in lists.iter().zip(&expected) {
                prop_assert_eq!(list.len(), expected.len());
                prop_assert_eq!(list.front(), expected.front().map(|(id, _)| *id));
                prop_assert_eq!(list.back(), expected.back().map(|(id, _)| *id));
                for (id, value) in expected {
                    prop_assert_eq!(slots[*id], *value);
                }
            }
        }
        prop_assert!(slots.slots() <= 200);
    }
}
