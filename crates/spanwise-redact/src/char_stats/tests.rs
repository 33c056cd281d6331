use super::*;
use crate::{byte_blocks::BLOCK_LEN, prefix_filter::Literal};

#[test]
fn stats_equal_those_read_by_byte() {
    let text = "a=1, b: 2.5 <c@example.org> 50%-ish, 127.0.0.1 \u{e9} [::1]";
    for from in 0..text.len() {
        for to in from..text.len() {
            let part = &text.as_bytes()[from..to];
            let (stats, counts) = (CharStats::from_text(part), classes_by_byte(part));
            assert_eq!(
                (stats.seen, stats.digits, stats.dots),
                (
                    counts.classes,
                    counts.last_class_count,
                    counts.second_last_class_count
                )
            );
        }
    }
}

#[test]
fn stats_of_a_block_equal_those_read_by_byte() {
    let literals = ["ghp_", "://", "token"].into_iter().enumerate();
    let literals = PrefixFilter::new(literals.map(|(bucket, text)| {
        let literal = Literal {
            text,
            next_class: None,
            any_case: true,
            bucket,
        };
        (bucket, literal)
    }));
    let text =
        "a=1: https://a-b.example <c@d.io> 50% ghp_Token 2.5 \u{e9} TOKEN://x ghp_ 7".repeat(2);
    for from in 0..text.len() {
        for to in from..text.len().min(from + BLOCK_LEN) {
            let part = &text.as_bytes()[from..to];
            let (stats, starts) = CharStats::from_block(part, &literals);
            assert_eq!(stats.seen, classes_by_byte(part).classes);
            assert_eq!(stats.digits, classes_by_byte(part).last_class_count);
            assert_eq!(stats.dots, classes_by_byte(part).second_last_class_count);
            let starts_by_byte = literals.starts_by_byte(part, 0);
            for at in 0..part.len() {
                let may_begin = literals.literals_at_start(&part[at..]).next().is_some();
                let is_required = may_begin && starts_by_byte >> at & 1 != 0;
                assert!(!is_required || starts >> at & 1 != 0, "{at} of {part:?}");
            }
        }
    }
}
