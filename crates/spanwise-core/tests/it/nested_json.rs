//! Marks around nested JSON.

use spanwise_core::internal::nested_json::{Mark, MarkTracker, begin, end, read_mark};

#[test]
fn marks_differ_from_other_empty_texts() {
    assert_eq!(read_mark(begin()), Mark::Begin);
    assert_eq!(read_mark(end()), Mark::End);
    assert_eq!(read_mark(""), Mark::None);
    assert_eq!(read_mark(&"text"[4..]), Mark::None);
}

#[test]
fn json_requires_marks_around_everything() {
    let check = |pieces: &[&str], expected: bool| {
        let mut tracker = MarkTracker::default();
        pieces.iter().for_each(|piece| tracker.observe(piece));
        assert_eq!(tracker.is_json(), expected, "{pieces:?}");
    };
    check(&["", begin(), "{", "", "}", end(), ""], true);
    check(&["a", begin(), "{}", end()], false);
    check(&[begin(), "{}", end(), "a"], false);
    check(&[begin(), "{}"], false);
    check(&["{}"], false);
    check(&[], false);
}
