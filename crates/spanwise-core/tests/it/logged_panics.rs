//! The panic that an event refers to.

use spanwise_core::internal::logged_panic::{forget, location, note};

#[test]
fn logged_panic_is_found_by_its_payload() {
    let payload: Box<String> = Box::new("boom".to_owned());
    note(&payload, "src/price.rs:12:9");
    // A panic of another thread with the same message.
    assert_eq!(location(&"boom".to_owned()), None);
    note(&payload, "src/price.rs:12:9");
    // The payload moves, as when a panic is caught.
    let payload: Box<String> = Box::new(*payload);
    assert_eq!(location(&*payload).as_deref(), Some("src/price.rs:12:9"));
    assert_eq!(location(&*payload), None);

    note("boom", "src/price.rs:12:9");
    forget();
    assert_eq!(location(&"boom"), None);
}
