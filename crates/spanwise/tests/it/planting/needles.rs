//! Searches raw bytes for many secrets, in each form in which a sink may write them.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Planting;

/// The search texts. They are pieces of secrets, so that a partly hidden secret is found too.
pub struct Needles {
    /// The needles by their first bytes.
    by_head: HashMap<[u8; HEAD], Vec<(Vec<u8>, usize)>>,
    /// A bit for each hash of a head.
    hashes: Vec<bool>,
    /// The secrets of each planting.
    cores: Vec<Vec<String>>,
}

const HEAD: usize = 8;

/// The characters of a piece. No two secrets have a piece in common.
const PIECE: usize = 10;

impl Needles {
    pub fn new(plan: &[Planting]) -> Self {
        let mut needles = Self {
            by_head: HashMap::new(),
            hashes: vec![false; 1 << HASH],
            cores: plan.iter().map(|planting| planting.cores.clone()).collect(),
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
                // Bytes as `JsonLayer` writes them in each format, and as `Debug` writes them.
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

    /// Returns the secrets in `bytes`, as their numbers in the plan, each with its first position.
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
            for (needle, index) in here.filter(|(needle, _)| bytes[at..].starts_with(needle)) {
                if !self.is_in_id(bytes, at, needle, *index) {
                    found.entry(*index).or_insert(at);
                }
            }
        }
        found
    }

    /// Returns whether the needle at `at` is part of a random trace or span id, which may contain
    /// the digits of a secret by chance. Hex digits that are all of one secret are not an id.
    fn is_in_id(&self, bytes: &[u8], at: usize, needle: &[u8], index: usize) -> bool {
        const ID_LENGTHS: [usize; 2] = [32, 16];
        let end = at + needle.len();
        let is_end = |byte: &u8| !byte.is_ascii_hexdigit();
        let from = bytes[..at].iter().rposition(is_end);
        let from = from.map_or(0, |before| before + 1);
        let to = bytes[end..].iter().position(is_end);
        let to = to.map_or(bytes.len(), |after| end + after);
        let is_in = |part: &[u8]| {
            let mut cores = self.cores[index].iter();
            cores.any(|core| core.as_bytes().windows(part.len()).any(|of| of == part))
        };
        let is_alone = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
        ID_LENGTHS.contains(&(to - from))
            && needle.iter().all(u8::is_ascii_hexdigit)
            && is_alone(bytes[..from].last())
            && is_alone(bytes.get(to))
            && is_in(needle)
            && !is_in(&bytes[from..to])
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
