//! The values of histograms, and their addition.
//!
//! A snapshot adds the values of series whose attributes become equal by redaction.

use opentelemetry_sdk::metrics::data::ExponentialBucket;

use super::readers::MAX_BUCKETS;

/// The value of a histogram whose buckets have explicit bounds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    pub(crate) summary: Summary,
    pub(crate) bounds: Vec<f64>,
    /// The count of each bucket. There is one bucket more than there are bounds.
    pub(crate) counts: Vec<u64>,
}

/// The value of a histogram whose bounds are powers of the base 2^(2^-scale).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExponentialDistribution {
    pub(crate) summary: Summary,
    pub(crate) scale: i32,
    pub(crate) zero_count: u64,
    pub(crate) zero_threshold: f64,
    pub(crate) positive: Buckets,
    pub(crate) negative: Buckets,
}

/// Consecutive buckets: the one with the index `offset + i` has the count `counts[i]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Buckets {
    pub(crate) offset: i32,
    pub(crate) counts: Vec<u64>,
}

/// The number, the sum and the extremes of the recorded values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) sum: f64,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl Summary {
    pub(super) fn add(&mut self, other: &Self) {
        let merged = |a: Option<f64>, b: Option<f64>, choose: fn(f64, f64) -> f64| match (a, b) {
            (Some(a), Some(b)) => Some(choose(a, b)),
            (a, b) => a.or(b),
        };
        self.count += other.count;
        self.sum += other.sum;
        self.min = merged(self.min, other.min, f64::min);
        self.max = merged(self.max, other.max, f64::max);
    }
}

impl Distribution {
    pub(super) fn add(&mut self, other: &Self) {
        self.summary.add(&other.summary);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }
}

impl ExponentialDistribution {
    pub(super) fn add(&mut self, other: &Self) {
        let scale = self.common_scale(other);
        self.summary.add(&other.summary);
        self.zero_count += other.zero_count;
        self.zero_threshold = self.zero_threshold.max(other.zero_threshold);
        let merged = |a: &Buckets, b: &Buckets| {
            let a = a.counts_by_index(self.scale - scale);
            Buckets::from_counts(a.chain(b.counts_by_index(other.scale - scale)))
        };
        self.positive = merged(&self.positive, &other.positive);
        self.negative = merged(&self.negative, &other.negative);
        self.scale = scale;
    }

    /// Returns the highest scale at which the merged distribution fits into [`MAX_BUCKETS`]. It may
    /// be lower than both scales: a distribution of similar values has a high scale, so its buckets
    /// are narrow. Between one around 5 ms and one around 5 s, there would be millions of them.
    fn common_scale(&self, other: &Self) -> i32 {
        let fits = |a: &Buckets, b: &Buckets, scale: i32| {
            let a = a.index_range(self.scale - scale);
            match (a, b.index_range(other.scale - scale)) {
                (Some((first, last)), Some((other_first, other_last))) => {
                    last.max(other_last) - first.min(other_first) < i64::from(MAX_BUCKETS)
                }
                _ => true,
            }
        };
        let mut scale = self.scale.min(other.scale);
        // The loop ends, because each step halves the range of indexes.
        while !fits(&self.positive, &other.positive, scale)
            || !fits(&self.negative, &other.negative, scale)
        {
            scale -= 1;
        }
        scale
    }
}

impl Buckets {
    pub(super) fn new(bucket: &ExponentialBucket) -> Self {
        Self {
            offset: bucket.offset(),
            counts: bucket.counts().collect(),
        }
    }

    /// Returns the index and count of each bucket that is not empty, at a scale lower by `steps`.
    /// Each step merges two neighbouring buckets, so an index may occur several times.
    pub(super) fn counts_by_index(
        &self,
        steps: i32,
    ) -> impl DoubleEndedIterator<Item = (i64, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        let counts = counts.filter(|(_, count)| *count > 0);
        counts.map(move |(position, count)| {
            // Indexes have 32 bits, but their sums and differences may have more.
            let index = i64::from(self.offset) + position as i64;
            (index >> steps.clamp(0, 63), count)
        })
    }

    /// Returns the lowest and the highest index of [`counts_by_index`](Self::counts_by_index).
    fn index_range(&self, steps: i32) -> Option<(i64, i64)> {
        let mut indexes = self.counts_by_index(steps).map(|(index, _)| index);
        let first = indexes.next()?;
        Some((first, indexes.next_back().unwrap_or(first)))
    }

    /// Creates buckets from pairs of an index and a count. Adds up the counts of an equal index.
    pub(super) fn from_counts(counts: impl Iterator<Item = (i64, u64)>) -> Self {
        let counts: Vec<_> = counts.collect();
        let indexes = || counts.iter().map(|(index, _)| *index);
        let (Some(first), Some(last)) = (indexes().min(), indexes().max()) else {
            return Self::default();
        };
        let mut buckets = Self {
            // Fits into `i32`: the index of a bucket does, and a lower scale brings it closer to 0.
            offset: first as i32,
            counts: vec![0; (last - first) as usize + 1],
        };
        for (index, count) in counts {
            buckets.counts[(index - first) as usize] += count;
        }
        buckets
    }
}
