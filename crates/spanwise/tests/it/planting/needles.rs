//! Many secrets looked for in raw bytes, in each form that a sink may have written them in.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Planting;

/// What is looked for: pieces of secrets, so that a secret of which a part is left is found, too.
pub struct Needles {
    /// By their first bytes.
    by_head: HashMap<[u8; HEAD], Vec<(Vec<u8>, usize)>>,
    /// A bit for each hash of a head.
    hashes: Vec<bool>,
}

const HEAD: usize = 8;

/// The characters of a piece. No two secrets have a piece in common.
const PIECE: usize = 10;

impl Needles {
    pub fn new(plan: &[Planting]) -> Self {
        let mut needles = Self {
            by_head: HashMap::new(),
            hashes: vec![false; 1 << HASH],
        };
        for (index, planting) in plan.iter().enumerate() {
            for core in &planting.cores {
                needles.add_pieces(core, index);
            }
        }
        needles
    }

    fn add_pieces(&mut self, core: &str, index: usize) {
        let characters: Vec<char> = core.chars().collect();
        let mut pieces: HashSet<String> = characters
            .chunks_exact(PIECE)
            .map(|piece| piece.iter().collect())
            .collect();
        pieces.insert(
            characters[characters.len().saturating_sub(PIECE)..]
                .iter()
                .collect(),
        );
        for piece in pieces {
            let bytes = piece.as_bytes();
            let list = |separator: &str, byte: &dyn Fn(&u8) -> String| {
                let all: Vec<String> = bytes.iter().map(byte).collect();
                all.join(separator)
            };
            let json = serde_json::to_string(&piece).expect("a string");
            let debug = format!("{piece:?}");
            let forms = [
                piece.clone(),
                json[1..json.len() - 1].to_owned(),
                debug[1..debug.len() - 1].to_owned(),
                // Bytes, as `JsonLayer` writes them in each format, and as `Debug` does.
                list("", &|byte| format!("{byte:02x}")),
                list(" ", &|byte| format!("{byte:02x}")),
                list(",", &|byte| byte.to_string()),
                list(", ", &|byte| byte.to_string()),
            ];
            for form in HashSet::from(forms) {
                let form = form.into_bytes();
                let head: [u8; HEAD] = form[..HEAD].try_into().expect("its head");
                self.hashes[hash(head)] = true;
                self.by_head.entry(head).or_default().push((form, index));
            }
        }
    }

    /// The numbers in the plan of the secrets that are in `bytes`, each with the first place where
    /// it is.
    pub fn found_in(&self, bytes: &[u8]) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        let mut head = [0; HEAD];
        for (end, byte) in bytes.iter().enumerate() {
            head = push(head, *byte);
            if !self.hashes[hash(head)] || end + 1 < HEAD {
                continue;
            }
            let at = end + 1 - HEAD;
            let here = self.by_head.get(&head).into_iter().flatten();
            for (_, index) in here.filter(|(needle, _)| bytes[at..].starts_with(needle)) {
                found.entry(*index).or_insert(at);
            }
        }
        found
    }
}

fn push(head: [u8; HEAD], byte: u8) -> [u8; HEAD] {
    (u64::from_be_bytes(head) << 8 | u64::from(byte)).to_be_bytes()
}

fn hash(head: [u8; HEAD]) -> usize {
    (u64::from_be_bytes(head).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - HASH)) as usize
}

const HASH: u32 = 22;

/// The numbers of the events that reached a sink.
pub fn events_in(bytes: &[u8]) -> HashSet<u64> {
    let digits = bytes.split(|byte| !byte.is_ascii_digit());
    digits
        .filter(|run| run.len() == 7 && run[0] == b'7')
        .filter_map(|run| std::str::from_utf8(run).ok()?.parse().ok())
        .collect()
}
