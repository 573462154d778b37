//! Series of a scrape, which the next scrape of the same target compares with its own.

use std::sync::Arc;

use super::layout::{LabelPart, Line, PageLayout};
use super::page::ScrapedPage;
use super::staleness::SeriesSet;
use crate::model::series::{Labels, STALE_NAN, SeriesBatch, decode_labels, encode_label, encoded_label_len};

/// Series of one scrape. If its page is regular, they are known from its layout, which the page of the next scrape is compared with in
/// any case: a line that both pages have is no series that ends. Only the series of other lines are looked up.
#[derive(Clone, Debug, Default)]
pub struct ScrapedSeries {
    layout: Option<Arc<PageLayout>>,
    /// Encoded labels of the target.
    target: Box<[u8]>,
    /// Series of a page that is not regular, such as one with timestamps.
    set: Option<SeriesSet>,
}

impl ScrapedSeries {
    /// Returns the series of `out` starting at number `from`, which a scrape that started at `at_ms` added; `None` if they take
    /// more than `max_bytes`. `page` is `None` if its layout is not to be kept.
    pub fn new(
        page: Option<&ScrapedPage>,
        target_labels: &Labels,
        out: &SeriesBatch,
        from: usize,
        at_ms: i64,
        max_bytes: usize,
    ) -> Option<Self> {
        let mut target = Vec::new();
        target_labels.iter().for_each(|(name, value)| encode_label(&mut target, name, value));
        let set = match page {
            Some(page) if page.is_regular => None,
            _ => Some(SeriesSet::from_batch(out, from, at_ms, max_bytes)?),
        };
        Some(Self { layout: page.map(|page| Arc::clone(&page.layout)), target: target.into(), set })
    }

    /// Returns the layout of the page.
    pub fn layout(&self) -> Option<&Arc<PageLayout>> {
        self.layout.as_ref()
    }

    /// Shares an equal layout.
    pub fn set_layout(&mut self, layout: Arc<PageLayout>) {
        self.layout = Some(layout);
    }

    /// Returns the size in bytes, without the layout.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.target.len() + self.set.as_ref().map_or(0, SeriesSet::size)
    }

    /// Writes staleness markers for the series that `out` does not contain. Returns the number that it does contain. `page` is the
    /// next page of the target, whose series are in `out`; `None` if there is none.
    pub fn mark_missing_stale(
        &self,
        page: Option<&ScrapedPage>,
        target_labels: &Labels,
        at_ms: i64,
        out: &mut SeriesBatch,
    ) -> u64 {
        if let Some(set) = &self.set {
            return set.mark_missing_stale(at_ms, out);
        }
        let Some(layout) = &self.layout else { return 0 };
        let is_same_target = decode_labels(&self.target).eq(target_labels.iter());
        let was_compared = |page: &&ScrapedPage| {
            page.is_complete && page.known.as_ref().is_some_and(|known| Arc::ptr_eq(known, layout))
        };
        let ended = match page.filter(|_| is_same_target).filter(was_compared) {
            Some(page) => self.end(layout.missing(&page.missing), at_ms, out),
            None => self.end(layout.lines(), at_ms, out),
        };
        (layout.len() as u64).saturating_sub(ended)
    }

    /// Writes staleness markers for those of the lines whose series `out` does not contain. Returns their number.
    fn end<'l>(&self, lines: impl Iterator<Item = Line<'l>>, at_ms: i64, out: &mut SeriesBatch) -> u64 {
        let (mut ends, mut encoded, mut ended) = (Vec::new(), Vec::new(), 0);
        for line in lines {
            if ends.is_empty() {
                ends = label_ends(&self.target);
            }
            encoded.clear();
            for part in line.labels() {
                encoded.extend_from_slice(match part {
                    LabelPart::Sample(labels) => labels,
                    LabelPart::Target(range) => {
                        let offset = |at: usize| ends.get(at).copied().unwrap_or_default();
                        self.target.get(offset(range.start)..offset(range.end)).unwrap_or_default()
                    }
                });
            }
            if !out.contains_encoded(&encoded) {
                let id = out.series_encoded(&encoded);
                out.add_sample(id, at_ms, f64::from_bits(STALE_NAN));
                ended += 1;
            }
        }
        ended
    }
}

/// Returns 0 and the end of each label.
fn label_ends(encoded: &[u8]) -> Vec<usize> {
    let mut end = 0;
    let ends = decode_labels(encoded).map(|(name, value)| {
        end += encoded_label_len(name, value);
        end
    });
    std::iter::once(0).chain(ends).collect()
}
