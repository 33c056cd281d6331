//! Divides literals into the buckets of [`PrefixTables`], by their first three bytes.

use crate::byte_blocks::{PREFIX_LEN, PrefixTables};

/// The first three bytes of each literal, in the 16 buckets of [`PrefixTables`]. The prefixes of a
/// bucket are joined into one string.
///
/// Any division into buckets is correct. The tables also find mixtures of the prefixes in a bucket,
/// such as the first byte of one and the last two of another. Each mixture costs a second test.
/// This division was found by moving prefixes between buckets until logs, JSON, source code and
/// English prose had the fewest mixtures: at 6 % of their positions.
#[rustfmt::skip] // a row for each bucket
const BUCKETS: [&str; PrefixTables::BUCKETS] = [
    "@tcfm1fo1gskhc-hcahooiadicoipmis-ngopscwakxsmyto",
    " --'-----.g.GR1NRAPMASG.TT3sk.sl.",
    ".atEZAEZTNRJe-Lertetxgitult",
    "FFFFLWHRKcmVdckfm2ghpghrghsglcgldglfglsglwhcxhvbhvrhvslftlsvpcsphxsbpsgpshpsmbsshsswtfptskwhs",
    "$2a$2b$2y$ap$ar:AA:APdapdopdorelmghoglagligloglpglrobo",
    "AKCAKIGOCa.id.ck.ek.ok.upyps-psqa",
    "8Q~bkughuhf_pnur8_rk_xoxy0_",
    "AAAAIzAQVEAAFwoIQoawseyJmqcmyst1.v1.",
    ".ifLTA_pa_pwdt0fightpldalinnpmntnodmotptifttpzip",
    "CCICFPbasksunfpnssopssqpsquxap",
    "\"--A3TABSACCr.lrdmrmos-ds-ssb_sdksk-sk_snt",
    "$6$-ke1//://:54:64ckecoddoosecskotok",
    "ABIAGEATBNRI_kep8epiexaixkeya2",
    ":*:aclbeafeikeymc ",
    "\npi pi\"pi'piASIapib3Boy2rsi",
    "7Q~7z @unaz cqlcurdp.dutpp.pplpulrubsq0sql",
];

/// The bucket of each prefix, sorted by prefix. The prefixes are in lower case.
#[derive(Debug)]
pub(crate) struct PrefixBuckets(Vec<([u8; PREFIX_LEN], usize)>);

impl PrefixBuckets {
    pub(crate) fn new() -> Self {
        let prefixes = |(bucket, prefixes): (usize, &&str)| {
            let (prefixes, _) = prefixes.as_bytes().as_chunks();
            let prefixes = prefixes
                .iter()
                .map(move |prefix| (to_lowercase(*prefix), bucket));
            prefixes.collect::<Vec<_>>()
        };
        let mut all: Vec<_> = BUCKETS.iter().enumerate().flat_map(prefixes).collect();
        all.sort_unstable();
        Self(all)
    }

    /// Returns the bucket of a literal, by its first three bytes.
    pub(crate) fn bucket(&self, literal: &str) -> Option<usize> {
        let prefix = to_lowercase(*literal.as_bytes().first_chunk()?);
        let found = self.0.binary_search_by_key(&prefix, |(prefix, _)| *prefix);
        Some(self.0[found.ok()?].1)
    }
}

fn to_lowercase(prefix: [u8; PREFIX_LEN]) -> [u8; PREFIX_LEN] {
    prefix.map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens;

    #[test]
    fn each_literal_has_a_bucket() {
        let buckets = PrefixBuckets::new();
        for token in tokens::tokens() {
            assert!(buckets.bucket(token.literal).is_some(), "{}", token.literal);
        }
    }
}
