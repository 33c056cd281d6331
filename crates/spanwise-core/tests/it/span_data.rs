//! Data that spans inherit.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use spanwise_core::internal::{Inherit, SpanData, sync::Mutex};

/// The names of the span, then the inherited names.
struct Names {
    own: Vec<&'static str>,
    all: Vec<&'static str>,
}

impl Names {
    fn new(own: &[&'static str], parent: Option<&Self>) -> Self {
        let inherited = parent
            .map(|parent| parent.all.as_slice())
            .unwrap_or_default();
        Self {
            own: own.to_vec(),
            all: [own, inherited].concat(),
        }
    }
}

impl Inherit for Names {
    fn rebuild(&self, parent: Option<&Self>) -> Self {
        Self::new(&self.own, parent)
    }
}

fn node(own: &[&'static str], parent: Option<&Arc<SpanData<Names>>>) -> Arc<SpanData<Names>> {
    SpanData::new(parent, |parent| Names::new(own, parent))
}

#[test]
fn late_update_reaches_descendants_only() {
    let root = node(&["r"], None);
    let left = node(&["l"], Some(&root));
    let right = node(&["x"], Some(&root));
    let leaf = node(&["f"], Some(&left));

    left.update(|_, parent| Names::new(&["l", "late"], parent));
    assert_eq!(leaf.read(|names| names.all.join(" ")), "f l late r");
    assert_eq!(right.read(|names| names.all.join(" ")), "x r");
    root.update(|_, _| Names::new(&["R"], None));
    assert_eq!(leaf.read(|names| names.all.join(" ")), "f l late R");
    assert_eq!(root.read(|names| names.all.join(" ")), "R");
    assert_eq!(node(&["n"], Some(&leaf)).read(|names| names.all.len()), 5);
}

/// A value that counts how often it is rebuilt, and reads its span data at each step.
struct Counted {
    rebuilt: Arc<AtomicU32>,
    is_reading: Arc<AtomicBool>,
    node: Arc<Mutex<Option<Arc<SpanData<Self>>>>>,
}

impl Counted {
    /// Reads the span data, which locks it if there was a late record.
    fn read_node(&self) {
        let node = self.node.lock().clone();
        // The read may rebuild the value, which calls this function again.
        if let Some(node) = node
            && !self.is_reading.swap(true, Ordering::Relaxed)
        {
            node.read(|_| ());
            self.is_reading.store(false, Ordering::Relaxed);
        }
    }

    fn again(&self) -> Self {
        self.read_node();
        self.rebuilt.fetch_add(1, Ordering::Relaxed);
        Self {
            rebuilt: Arc::clone(&self.rebuilt),
            is_reading: Arc::clone(&self.is_reading),
            node: Arc::clone(&self.node),
        }
    }
}

impl Inherit for Counted {
    fn rebuild(&self, _: Option<&Self>) -> Self {
        self.again()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.read_node();
    }
}

fn counted(parent: Option<&Arc<SpanData<Counted>>>) -> (Arc<SpanData<Counted>>, Arc<AtomicU32>) {
    let rebuilt = Arc::new(AtomicU32::new(0));
    let node = SpanData::new(parent, |_| Counted {
        rebuilt: Arc::clone(&rebuilt),
        is_reading: Arc::default(),
        node: Arc::default(),
    });
    (node, rebuilt)
}

#[test]
fn late_record_rebuilds_only_descendants() {
    let (root, _) = counted(None);
    let (left, of_left) = counted(Some(&root));
    let (right, of_right) = counted(Some(&root));
    let (leaf, of_leaf) = counted(Some(&left));
    for _ in 0..10 {
        left.update(|own, _| own.again());
        for node in [&root, &left, &right, &leaf, &right, &leaf] {
            node.read(|_| ());
        }
    }
    let rebuilt = [of_left, of_right, of_leaf].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(rebuilt, [10, 0, 10]);
}

#[test]
fn building_and_dropping_hold_no_lock() {
    let (root, _) = counted(None);
    let (leaf, _) = counted(Some(&root));
    for node in [&root, &leaf] {
        let place = node.read(|value| Arc::clone(&value.node));
        *place.lock() = Some(Arc::clone(node));
    }
    for _ in 0..3 {
        root.update(|own, _| own.again());
        leaf.update(|own, _| own.again());
        leaf.read(|_| ());
    }
    for node in [root, leaf] {
        let place = node.read(|value| Arc::clone(&value.node));
        drop(node);
        // Breaks the cycle.
        let last = place.lock().take();
        drop(last);
    }
}

#[test]
fn recursive_update_terminates() {
    let root = node(&["r"], None);
    let changes = AtomicU32::new(0);
    root.update(|_, _| {
        let name = ["a", "b", "c"][changes.fetch_add(1, Ordering::Relaxed) as usize % 3];
        root.update(|_, _| Names::new(&[name], None));
        Names::new(&["last"], None)
    });
    assert_eq!(root.read(|names| names.all.join(" ")), "last");
    assert_eq!(
        changes.load(Ordering::Relaxed),
        4,
        "it is built again three times"
    );
}

#[test]
fn concurrent_updates_all_arrive() {
    struct Last {
        own: u32,
        /// The value of the span and the values of its ancestors.
        all: Vec<u32>,
    }
    impl Last {
        fn new(own: u32, parent: Option<&Self>) -> Self {
            let outer = parent
                .map(|parent| parent.all.as_slice())
                .unwrap_or_default();
            Self {
                own,
                all: [&[own], outer].concat(),
            }
        }
    }
    impl Inherit for Last {
        fn rebuild(&self, parent: Option<&Self>) -> Self {
            Self::new(self.own, parent)
        }
    }
    const LAST: u32 = 5_000;
    let root = SpanData::new(None, |parent| Last::new(0, parent));
    let child = SpanData::new(Some(&root), |parent| Last::new(0, parent));
    let leaf = SpanData::new(Some(&child), |parent| Last::new(0, parent));
    std::thread::scope(|scope| {
        for node in [&root, &child, &leaf] {
            scope.spawn(move || {
                for value in 1..=LAST {
                    node.update(|_, parent| Last::new(value, parent));
                    // A thread reads its own record immediately.
                    node.read(|last| assert_eq!((last.own, last.all[0]), (value, value)));
                }
            });
        }
        scope.spawn(|| {
            let mut before = vec![0; 3];
            while before != [LAST; 3] {
                let now = leaf.read(|last| last.all.clone());
                assert!(
                    now.iter().zip(&before).all(|(now, before)| now >= before),
                    "{before:?}, {now:?}"
                );
                before = now;
            }
        });
    });
}

#[test]
fn deep_tree_reads_and_drops_iteratively() {
    let root = node(&["r"], None);
    let mut leaf = Arc::clone(&root);
    for _ in 0..100_000 {
        leaf = node(&[], Some(&leaf));
    }
    root.update(|_, _| Names::new(&["R"], None));
    assert_eq!(leaf.read(|names| names.all.join(" ")), "R");
    drop(root);
    drop(leaf);
}
