//! Encoded remote write requests, read and changed without decoding them.
//!
//! A spooled request comes from a queue. An empty series takes two bytes in protobuf and a hundred in memory, so a message of a
//! megabyte could decode to almost a gigabyte. These functions walk over the fields instead. They return `None` for invalid protobuf.

use std::collections::BTreeSet;

use prost::encoding::{decode_varint, encode_varint};

use super::remote_write::TIMESERIES_TAG;
use super::series::decode_labels;

/// `WriteRequest.timeseries`.
const TIMESERIES: u64 = 1;
/// Fields of `TimeSeries`.
const LABELS: u64 = 1;
const SAMPLES: u64 = 2;
const EXEMPLARS: u64 = 3;
const HISTOGRAMS: u64 = 4;
/// `timestamp` of `Sample`, `Exemplar` and `Histogram`.
const TIMESTAMPS: [(u64, u64); 3] = [(SAMPLES, 2), (EXEMPLARS, 3), (HISTOGRAMS, 15)];

/// A field of a message.
struct Field<'a> {
    number: u64,
    /// Value of a varint.
    varint: u64,
    /// Content of a length-delimited field.
    content: &'a [u8],
    /// The field with its tag.
    encoded: &'a [u8],
}

/// A part of a request, and the number of its samples and native histograms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedPart {
    pub body: Vec<u8>,
    pub points: u64,
}

/// Returns the request without the points and exemplars from before `oldest_ms`, and without the series that then have no points.
pub fn since(body: &[u8], oldest_ms: i64) -> Option<EncodedPart> {
    let (mut kept, mut series) = (EncodedPart::default(), Vec::new());
    for field in fields(body) {
        let field = field?;
        if field.number != TIMESERIES {
            kept.body.extend_from_slice(field.encoded);
            continue;
        }
        series.clear();
        let mut points = 0;
        for part in fields(field.content) {
            let part = part?;
            if timestamp_ms(&part)?.is_none_or(|at_ms| at_ms >= oldest_ms) {
                points += u64::from(is_point(&part));
                series.extend_from_slice(part.encoded);
            }
        }
        if points > 0 {
            kept.body.push(TIMESERIES_TAG);
            encode_varint(series.len() as u64, &mut kept.body);
            kept.body.extend_from_slice(&series);
            kept.points += points;
        }
    }
    Some(kept)
}

/// Divides a request into halves of its series; a request with one series into the series and the metadata; a request of metadata
/// into halves of it. Returns `None` also if there is nothing to divide.
pub fn halves(body: &[u8]) -> Option<[EncodedPart; 2]> {
    let (mut series, mut others) = (0_usize, 0_usize);
    for field in fields(body) {
        *if field?.number == TIMESERIES { &mut series } else { &mut others } += 1;
    }
    // Number of series and of other fields in the first half.
    let (first_series, first_others) = match series {
        0 => (0, others / 2),
        1 => (1, 0),
        _ => (series / 2, others),
    };
    let mut halves = [EncodedPart::default(), EncodedPart::default()];
    let (mut series, mut others) = (0, 0);
    for field in fields(body) {
        let field = field?;
        let is_series = field.number == TIMESERIES;
        let (count, in_first) = if is_series { (&mut series, first_series) } else { (&mut others, first_others) };
        let [first, second] = &mut halves;
        let half = if *count < in_first { first } else { second };
        *count += 1;
        half.body.extend_from_slice(field.encoded);
        if is_series {
            for part in fields(field.content) {
                half.points += u64::from(is_point(&part?));
            }
        }
    }
    halves.iter().all(|half| !half.body.is_empty()).then_some(halves)
}

/// Returns up to `max` metric names of a request.
pub fn metric_names(body: &[u8], max: usize) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for series in fields(body).map_while(|field| field).filter(|field| field.number == TIMESERIES) {
        if names.len() >= max {
            break;
        }
        let labels = fields(series.content).map_while(|part| part).filter(|part| part.number == LABELS);
        let name = labels.flat_map(|label| decode_labels(label.encoded)).find(|&(name, _)| name == "__name__");
        names.extend(name.map(|(_, value)| value.to_owned()));
    }
    names
}

/// Returns the number of fields of a message.
pub fn count_fields(body: &[u8]) -> usize {
    fields(body).map_while(|field| field).count()
}

fn is_point(part: &Field<'_>) -> bool {
    matches!(part.number, SAMPLES | HISTOGRAMS)
}

/// Returns the time of a sample, exemplar or histogram. `None` for invalid protobuf, `Some(None)` for other fields.
fn timestamp_ms(part: &Field<'_>) -> Option<Option<i64>> {
    let Some(&(_, number)) = TIMESTAMPS.iter().find(|&&(field, _)| field == part.number) else { return Some(None) };
    let mut at_ms = 0;
    for field in fields(part.content) {
        let field = field?;
        if field.number == number {
            at_ms = field.varint.cast_signed();
        }
    }
    Some(Some(at_ms))
}

/// Returns the fields of a message. The last is `None` if the message is invalid.
fn fields(mut message: &[u8]) -> impl Iterator<Item = Option<Field<'_>>> {
    std::iter::from_fn(move || {
        (!message.is_empty()).then(|| {
            let field = next_field(&mut message);
            if field.is_none() {
                message = &[];
            }
            field
        })
    })
}

fn next_field<'a>(message: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *message;
    let key = decode_varint(message).ok()?;
    let (mut varint, mut content) = (0, &[][..]);
    let length = match key & 7 {
        0 => {
            varint = decode_varint(message).ok()?;
            0
        }
        1 => 8,
        5 => 4,
        2 => usize::try_from(decode_varint(message).ok()?).ok()?,
        _ => return None,
    };
    let (bytes, rest) = message.split_at_checked(length)?;
    if key & 7 == 2 {
        content = bytes;
    }
    *message = rest;
    let encoded = start.get(..start.len() - rest.len())?;
    Some(Field { number: key >> 3, varint, content, encoded })
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::model::remote_write::{
        ExemplarMessage, HistogramMessage, Label, MetricMetadata, Sample, TimeSeries, WriteRequest,
    };

    fn series(name: &str, times: &[i64]) -> TimeSeries {
        let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
        TimeSeries {
            labels: vec![label("__name__", name), label("job", "shop")],
            samples: times.iter().map(|&timestamp| Sample { value: 1.5, timestamp }).collect(),
            exemplars: times
                .iter()
                .map(|&timestamp| ExemplarMessage { timestamp, ..ExemplarMessage::default() })
                .collect(),
            histograms: times
                .iter()
                .map(|&timestamp| HistogramMessage { timestamp, ..HistogramMessage::default() })
                .collect(),
        }
    }

    fn request(timeseries: Vec<TimeSeries>, families: &[&str]) -> WriteRequest {
        let metadata =
            families.iter().map(|&family| MetricMetadata { family: family.into(), ..MetricMetadata::default() });
        WriteRequest { timeseries, metadata: metadata.collect() }
    }

    fn decoded(part: &EncodedPart) -> WriteRequest {
        WriteRequest::decode(part.body.as_slice()).unwrap()
    }

    #[test]
    fn points_from_before_a_time_are_removed() {
        let full =
            request(vec![series("old", &[-5, 0, 1]), series("both", &[1, 7]), series("new", &[7, i64::MAX])], &["f"]);
        let kept = since(&full.encode_to_vec(), 7).unwrap();
        assert_eq!(kept.points, 6);
        assert_eq!(decoded(&kept), request(vec![series("both", &[7]), series("new", &[7, i64::MAX])], &["f"]));
        let all = since(&full.encode_to_vec(), i64::MIN).unwrap();
        assert_eq!((decoded(&all), all.points), (full, 14));
    }

    #[test]
    fn halves_contain_everything_once() {
        let one = |name| series(name, &[1]);
        for (full, first, second) in [
            (
                request(vec![one("a"), one("b"), one("c")], &["f"]),
                request(vec![one("a")], &["f"]),
                request(vec![one("b"), one("c")], &[]),
            ),
            (request(vec![one("a")], &["f", "g"]), request(vec![one("a")], &[]), request(vec![], &["f", "g"])),
            (request(vec![], &["f", "g", "h"]), request(vec![], &["f"]), request(vec![], &["g", "h"])),
        ] {
            let [left, right] = halves(&full.encode_to_vec()).unwrap();
            assert_eq!((decoded(&left), decoded(&right)), (first, second));
            assert_eq!(left.points + right.points, 2 * full.timeseries.len() as u64);
        }
        for single in [request(vec![one("a")], &[]), request(vec![], &["f"]), request(vec![], &[])] {
            assert_eq!(halves(&single.encode_to_vec()), None);
        }
    }

    #[test]
    fn names_are_unique_and_limited() {
        let full = request(["y", "x", "y", "z"].map(|name| series(name, &[1])).into(), &[]).encode_to_vec();
        assert_eq!(metric_names(&full, 2).into_iter().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(metric_names(&full, 9).len(), 3);
    }

    #[test]
    fn invalid_requests_are_not_changed() {
        for body in [&[0x0a][..], &[0x0a, 0x05, 0x12], &[0xff; 20], &[0x0b, 0x0a], &[0x0a, 0x02, 0x12, 0x7f]] {
            assert_eq!(since(body, 0), None, "{body:?}");
            assert_eq!(halves(body), None, "{body:?}");
            assert!(metric_names(body, 9).is_empty(), "{body:?}");
        }
    }
}
