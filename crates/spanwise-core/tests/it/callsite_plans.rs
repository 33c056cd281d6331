//! The cache of plans by callsite.

use std::thread;

use spanwise_core::internal::CallsitePlans;
use tracing_core::{
    Interest, Kind, Level, Metadata, callsite::Callsite, field::FieldSet, identify_callsite,
};

fn callsites(count: usize) -> &'static [Metadata<'static>] {
    struct Site;
    impl Callsite for Site {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            unreachable!("never registered")
        }
    }
    static SITE: Site = Site;
    let one = |_| {
        let fields = FieldSet::new(&[], identify_callsite!(&SITE));
        Metadata::new("c", "t", Level::INFO, None, None, None, fields, Kind::EVENT)
    };
    (0..count).map(one).collect::<Vec<_>>().leak()
}

#[test]
fn each_callsite_keeps_its_plan() {
    for count in [1_000, 30_000] {
        let (plans, all) = (CallsitePlans::default(), callsites(count));
        for (number, callsite) in all.iter().enumerate() {
            assert_eq!(*plans.get(callsite, |_| number), number);
        }
        for (number, callsite) in all.iter().enumerate() {
            assert_eq!(*plans.get(callsite, |_| unreachable!("planned")), number);
        }
        let mut seen: Vec<usize> = plans.iter().copied().collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..count));
    }
}

#[test]
fn concurrent_lookups_get_one_plan() {
    let (plans, all) = (CallsitePlans::default(), callsites(2_000));
    let address = |callsite| std::ptr::from_ref(plans.get(callsite, |_| 0_usize)) as usize;
    let find = || all.iter().map(address).collect::<Vec<_>>();
    let found = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(find)).collect();
        let found = threads.into_iter().map(|thread| thread.join().unwrap());
        found.collect::<Vec<_>>()
    });
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(plans.iter().count(), all.len());
}
