use super::*;
use crate::tokens::tokens;

/// Returns a filter for the literals of all tokens. Each seed puts the literals into other buckets.
fn filter(seed: usize) -> PrefixFilter {
    PrefixFilter::new(tokens().enumerate().map(|(index, token)| {
        let literal = Literal {
            text: token.literal,
            next_class: token.next_class(),
            any_case: token.any_case(),
            bucket: index * seed,
        };
        (index, literal)
    }))
}

/// Returns the indices and the positions of the literals that a search byte by byte finds.
fn naive_search(text: &[u8], positions: Range<usize>) -> Vec<(usize, usize)> {
    let is_at = |at: usize| {
        let all = tokens().enumerate();
        let found = all.filter(move |(_, token)| {
            let after = text.get(at + token.literal.len());
            let class = token
                .next_class()
                .filter(|_| token.literal.len() == PREFIX_LEN);
            token.is_at(text, at) && class.is_none_or(|class| after.is_some_and(|b| class.has(*b)))
        });
        found.map(move |(index, _)| (index, at)).collect::<Vec<_>>()
    };
    positions.flat_map(is_at).collect()
}

#[test]
fn filter_finds_what_a_naive_search_finds() {
    let literals: Vec<&str> = tokens().map(|token| token.literal).collect();
    let mut random: u64 = 7;
    let mut random_below = |limit: usize| {
        random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        (random >> 33) as usize % limit
    };
    let filters = [1, 5, 7].map(filter);
    for round in 0..600 {
        let mut text = String::new();
        for _ in 0..1 + random_below(12) {
            let literal = literals[random_below(literals.len())];
            match random_below(6) {
                0 => text.push_str(&literal.to_uppercase()),
                1 => text.push_str(&literal[random_below(literal.len())..]),
                2 => text
                    .push_str(["a", "\u{e9}", "0", " ", "the order ", "_", "x7Q"][random_below(7)]),
                3 => text.extend(std::iter::repeat_n(
                    char::from(b'a' + random_below(26) as u8),
                    random_below(40),
                )),
                _ => text.push_str(literal),
            }
        }
        let text = text.as_bytes();
        let from = random_below(text.len() + 1).saturating_sub(60);
        let positions = from..text.len().saturating_sub(random_below(4) + 2).max(from);
        let mut found = Vec::new();
        let tokens: Vec<_> = tokens().collect();
        let filter = &filters[round % filters.len()];
        let result: Option<()> = filter.find_map(text, positions.clone(), |_, at| {
            assert!(positions.contains(&at));
            None
        });
        assert_eq!(result, None);
        let mut candidates = filter.candidates(text, positions.clone());
        let mut next = from;
        while let Some(at) = candidates.next_from(next) {
            assert!(at >= next, "{at} before {next}");
            found.extend(
                filter
                    .literals_at_start(&text[at..])
                    .filter(|index| tokens[*index].is_at(text, at))
                    .map(|index| (index, at)),
            );
            next = at + 1;
        }
        found.sort_by_key(|(index, at)| (*at, *index));
        for expected in naive_search(text, positions.clone()) {
            let text = String::from_utf8_lossy(text);
            assert!(
                found.contains(&expected),
                "{expected:?} of {text:?} in {positions:?}"
            );
        }
    }
}

#[test]
fn vector_search_finds_what_byte_search_finds() {
    let filter = filter(1);
    let text = "the order of a customer with a token, key-ghp_ and ssword ".repeat(9);
    let text = text.as_bytes();
    for base in 0..text.len() {
        let by_byte = filter.starts_by_byte(text, base);
        let mut ahead = [0];
        let tables = filter.tables.as_ref().unwrap();
        if tables.find_in(&text[base..], &mut ahead) == 1 {
            for at in 0..BLOCK_LEN {
                let has_prefix = filter
                    .literals_at_start(&text[base + at..])
                    .next()
                    .is_some();
                let is_start = by_byte >> at & 1 != 0 && has_prefix;
                assert!(!is_start || ahead[0] >> at & 1 != 0, "{at} from {base}");
            }
        }
    }
}

#[test]
fn jump_beyond_blocks_skips_them() {
    let filter = filter(1);
    let text = "ghp_".repeat(600);
    let mut candidates = filter.candidates(text.as_bytes(), 0..text.len() - 3);
    let mut next = 0;
    for jump in [0, 1, 63, 64, 65, 200, 511, 512, 513, 3, 900] {
        let at = candidates.next_from(next + jump);
        let expected = (next + jump).next_multiple_of(4);
        assert_eq!(at, (expected < text.len()).then_some(expected));
        next = at.unwrap_or(text.len());
    }
}
