//! Counts lost, repeated, partial and reordered records from outside.

use std::{collections::HashMap, fmt};

use super::record::{NOTICE, record};

/// The contents of an output.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Records whose call returned, and that are missing.
    pub lost: u64,
    /// Records that occur more than once.
    pub doubled: u64,
    /// Lines that are neither a record nor about the log itself.
    pub torn: u64,
    /// Lines that start as one record and continue as another, because a whole record follows a
    /// partial one.
    pub glued: u64,
    /// Records after a later one of the same thread.
    pub out_of_order: u64,
    /// Records in the output, each counted once.
    pub found: u64,
    /// Records in the output whose call did not return.
    pub beyond: u64,
    /// Missing records with a later one of the same thread.
    pub gaps: u64,
    /// The lost records, by thread and number.
    pub missing: Vec<(u64, u64)>,
    /// The lines about the log itself.
    pub notices: Vec<String>,
}

/// Judges records of `size` bytes, where `accepted` has the number of calls of each thread that
/// returned.
pub fn judge(output: &[u8], size: usize, accepted: &[(u64, u64)]) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen: HashMap<u64, Vec<u8>> = HashMap::new();
    let mut last: HashMap<u64, u64> = HashMap::new();
    for line in output.split_inclusive(|byte| *byte == b'\n') {
        let Some((thread, number)) = whole(line, size) else {
            match std::str::from_utf8(line) {
                Ok(text) if text.starts_with(NOTICE) && text.ends_with("\"}\n") => {
                    verdict.notices.push(text.trim_end().to_owned());
                }
                _ => {
                    println!(
                        "torn: {:?}",
                        String::from_utf8_lossy(&line[..line.len().min(300)])
                    );
                    verdict.torn += 1;
                    verdict.glued += u64::from(count(line, br#"{"t":"#) > 1);
                }
            }
            continue;
        };
        let times = seen.entry(thread).or_default();
        let index = usize::try_from(number).expect("small");
        if times.len() <= index {
            times.resize(index + 1, 0);
        }
        times[index] += 1;
        if times[index] > 1 {
            verdict.doubled += 1;
            continue;
        }
        verdict.found += 1;
        let latest = last.entry(thread).or_insert(number);
        verdict.out_of_order += u64::from(number < *latest);
        *latest = number.max(*latest);
    }
    let mut returned = 0;
    for (thread, accepted) in accepted {
        returned += accepted;
        let times = seen.remove(thread).unwrap_or_default();
        let accepted = usize::try_from(*accepted).expect("small");
        let there = |times: &[u8]| times.iter().filter(|times| **times > 0).count() as u64;
        let missing =
            (0..accepted).filter(|number| times.get(*number).is_none_or(|times| *times == 0));
        verdict
            .missing
            .extend(missing.map(|number| (*thread, number as u64)));
        let in_time = there(&times[..times.len().min(accepted)]);
        verdict.beyond += there(&times) - in_time;
        verdict.gaps += times.len() as u64 - there(&times);
    }
    verdict.lost = verdict.missing.len() as u64;
    // Records of threads that do not exist.
    for times in seen.values() {
        verdict.beyond += times.iter().filter(|times| **times > 0).count() as u64;
    }
    assert_eq!(
        verdict.found + verdict.lost,
        returned + verdict.beyond,
        "the judge cannot count"
    );
    verdict
}

impl Verdict {
    /// Asserts that no record is lost, except those with these numbers.
    #[track_caller]
    pub fn assert_lost_only(&self, numbers: std::ops::Range<u64>) {
        let elsewhere: Vec<_> = self
            .missing
            .iter()
            .filter(|(_, number)| !numbers.contains(number))
            .collect();
        assert!(
            elsewhere.is_empty(),
            "lost outside of {numbers:?}: {elsewhere:?}; {self}"
        );
    }

    /// Asserts that every record occurs once, whole and in order.
    #[track_caller]
    pub fn assert_perfect(&self) {
        assert_eq!(self.lost, 0, "lost: {self}");
        self.assert_sound();
    }

    /// Asserts that the found records occur once, whole and in order.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.torn, 0, "torn: {self}");
        self.assert_in_order();
    }

    /// Asserts that each record occurs at most once, and in order. Partial records may occur, each
    /// on a separate line.
    #[track_caller]
    pub fn assert_in_order(&self) {
        assert_eq!(
            (self.doubled, self.glued, self.out_of_order),
            (0, 0, 0),
            "doubled, glued, out of order: {self}"
        );
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            doubled,
            torn,
            glued,
            out_of_order,
            found,
            beyond,
            gaps,
            missing: _,
            notices,
        } = self;
        write!(
            f,
            "{found} found, {lost} lost, {doubled} doubled, {torn} torn, {glued} glued, {out_of_order} out of order, {gaps} gaps, \
             {beyond} of calls that did not return, {} notices",
            notices.len()
        )
    }
}

/// Returns the number of dropped lines that an event reports.
pub fn shed_of(notice: &str) -> u64 {
    let words = notice.split([' ', '"']);
    let counts = words.filter_map(|word| word.strip_prefix("shed."));
    counts
        .map(|count| count.split_once('=').unwrap().1.parse::<u64>().unwrap())
        .sum()
}

/// Returns the thread and the number of a record that is exactly as written.
fn whole(line: &[u8], size: usize) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(line).ok()?;
    let (thread, rest) = text.strip_prefix(r#"{"t":"#)?.split_once(r#","n":"#)?;
    let (number, _) = rest.split_once(',')?;
    let (thread, number) = (thread.parse().ok()?, number.parse().ok()?);
    (record(thread, number, size) == text).then_some((thread, number))
}

fn count(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len())
        .filter(|window| *window == part)
        .count()
}

#[test]
fn judge_counts_each_kind_of_damage() {
    let line = |number| record(7, number, 60);
    let output = [
        line(0),
        line(2),
        line(1),
        line(1),
        line(3)[..20].to_owned(),
        line(4),
        format!("{NOTICE}told\"}}\n"),
        line(9)[..10].to_owned(),
    ];
    let verdict = judge(output.concat().as_bytes(), 60, &[(7, 6)]);
    let expected = Verdict {
        lost: 3,
        doubled: 1,
        torn: 2,
        glued: 1,
        out_of_order: 1,
        found: 3,
        beyond: 0,
        gaps: 0,
        missing: vec![(7, 3), (7, 4), (7, 5)],
        notices: vec![format!("{NOTICE}told\"}}")],
    };
    assert_eq!(verdict, expected);
}
