//! Limits of the OTLP endpoints of AWS. One item beyond them fails a whole request, so it is removed before.

use bytes::Bytes;
use prost::Message as _;

use super::split::{EncodedExport, RequestLimits, split};
use super::text;
use super::wire::{LogRecordHead, SpanHead, WireRequest};
use crate::model::budget::{Budget, BudgetExceeded};
use crate::model::rejection::Rejections;
use crate::model::shortened::shortened;

/// Limits of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct EndpointLimits {
    /// Word for an item in messages.
    pub noun: &'static str,
    /// Returns the parts of an item that limits apply to. `None` if it is not a valid message.
    pub head: fn(&Bytes) -> Option<ItemHead>,
    pub request: RequestLimits,
    /// Size of one item.
    pub item_bytes: usize,
    /// Size of a resource and a scope together, with their schema URLs: each request repeats them.
    pub resource_bytes: usize,
    /// How far the time of an item may be in the future and in the past.
    pub max_ahead_ms: i64,
    pub max_age_ms: i64,
    /// Time between the first and the last item of a request.
    pub max_spread_ms: i64,
}

/// Name and time of an item.
#[derive(Debug)]
pub struct ItemHead {
    name: Bytes,
    /// `None` if the item has no time.
    time_ms: Option<i64>,
}

/// Requests within the limits of an endpoint, and the items that are in none of them.
#[derive(Debug)]
#[must_use]
pub struct SplitExport {
    pub exports: Vec<EncodedExport>,
    pub rejected: Rejections,
}

/// Item that the endpoint would not accept, and the reason.
struct InvalidItem {
    name: Bytes,
    reason: &'static str,
    message: String,
}

impl EndpointLimits {
    /// Splits a request into requests that the endpoint accepts. Items for which it would reject a whole request are removed.
    ///
    /// # Errors
    /// Returns an error if the requests do not fit into the budget: each repeats the resource and the scope of its items.
    pub fn split(
        &self,
        mut request: WireRequest,
        now_ms: i64,
        budget: &dyn Budget,
    ) -> Result<SplitExport, BudgetExceeded> {
        let (rejected, times) = self.remove_invalid(&mut request, now_ms, budget)?;
        let Some(TimeRange { first_ms, last_ms }) = times else {
            return Ok(SplitExport { exports: Vec::new(), rejected });
        };
        if last_ms - first_ms < self.max_spread_ms {
            return Ok(SplitExport { exports: split(&request, self.request, budget, |_| true)?, rejected });
        }
        let mut exports = Vec::new();
        for window in 0..=(last_ms - first_ms) / self.max_spread_ms {
            let window_of = |item: &Bytes| {
                let time_ms = (self.head)(item).and_then(|head| head.time_ms).unwrap_or(now_ms);
                (time_ms - first_ms) / self.max_spread_ms
            };
            exports.extend(split(&request, self.request, budget, |item| window_of(item) == window)?);
        }
        Ok(SplitExport { exports, rejected })
    }

    /// Removes the items for which the endpoint would reject a request. Returns them and the times of the others; `None` if there
    /// are none.
    fn remove_invalid(
        &self,
        request: &mut WireRequest,
        now_ms: i64,
        budget: &dyn Budget,
    ) -> Result<(Rejections, Option<TimeRange>), BudgetExceeded> {
        let (mut rejected, mut times, mut exceeded) = (Rejections::default(), None, Ok(()));
        for resource in &mut request.resources {
            for scope in &mut resource.scopes {
                let urls = resource.schema_url.len() + scope.schema_url.len();
                let is_repeatable = resource.resource.len() + scope.scope.len() + urls <= self.resource_bytes;
                scope.items.retain(|item| match self.accepted_time_ms(item, is_repeatable, now_ms) {
                    _ if exceeded.is_err() => false,
                    Ok(time_ms) => {
                        exceeded = budget.check();
                        times = Some(TimeRange::including(times, time_ms));
                        true
                    }
                    Err(InvalidItem { name, reason, message }) => {
                        let name = text(&name);
                        rejected.add(reason, 1, || format!("{} \"{}\" {message}", self.noun, shortened(name)));
                        false
                    }
                });
            }
        }
        exceeded.map(|()| (rejected, times))
    }

    /// Returns the time of an item that the endpoint accepts.
    fn accepted_time_ms(&self, item: &Bytes, is_repeatable: bool, now_ms: i64) -> Result<i64, InvalidItem> {
        let Some(ItemHead { name, time_ms }) = (self.head)(item) else {
            let message = "is not a valid protobuf message".into();
            return Err(InvalidItem { name: Bytes::new(), reason: "malformed", message });
        };
        // An item without a time gets the time at which it is received.
        let time_ms = time_ms.unwrap_or(now_ms);
        let (reason, message) = if !is_repeatable {
            let limit_kb = self.resource_bytes / 1_000;
            ("too_large", format!("has a resource and a scope that are larger than {limit_kb} kB"))
        } else if time_ms > now_ms.saturating_add(self.max_ahead_ms) {
            ("too_far_in_future", format!("is more than {} hours in the future", self.max_ahead_ms / 3_600_000))
        } else if time_ms < now_ms.saturating_sub(self.max_age_ms) {
            ("too_old", format!("is more than {} days old", self.max_age_ms / 86_400_000))
        } else if item.len() > self.item_bytes {
            ("too_large", format!("is larger than {} kB", self.item_bytes / 1_000))
        } else {
            return Ok(time_ms);
        };
        Err(InvalidItem { name, reason, message })
    }
}

/// Times of the first and the last item.
#[derive(Clone, Copy)]
struct TimeRange {
    first_ms: i64,
    last_ms: i64,
}

impl TimeRange {
    fn including(range: Option<Self>, time_ms: i64) -> Self {
        let Self { first_ms, last_ms } = range.unwrap_or(Self { first_ms: time_ms, last_ms: time_ms });
        Self { first_ms: first_ms.min(time_ms), last_ms: last_ms.max(time_ms) }
    }
}

/// Returns the name and the start time of a span.
pub fn span_head(span: &Bytes) -> Option<ItemHead> {
    let SpanHead { name, start_time_unix_nano } = SpanHead::decode(span.clone()).ok()?;
    Some(ItemHead { name, time_ms: Some(milliseconds(start_time_unix_nano)) })
}

/// Returns the event name, which most log records do not have, and the time of a log record.
pub fn log_record_head(record: &Bytes) -> Option<ItemHead> {
    let LogRecordHead { time_unix_nano, observed_time_unix_nano, event_name, .. } =
        LogRecordHead::decode(record.clone()).ok()?;
    let time = [time_unix_nano, observed_time_unix_nano].into_iter().find(|time| *time > 0);
    Some(ItemHead { name: event_name, time_ms: time.map(milliseconds) })
}

fn milliseconds(unix_nano: u64) -> i64 {
    i64::try_from(unix_nano / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::budget::Unlimited;
    use crate::model::otlp::{
        ExportLogsServiceRequest, ExportTraceServiceRequest, LogRecord, Resource, ResourceLogs, ResourceSpans,
        ScopeLogs, ScopeSpans, Span,
    };

    const NOW_MS: i64 = 1_795_389_900_000;
    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    const LIMITS: EndpointLimits = EndpointLimits {
        noun: "span",
        head: span_head,
        request: RequestLimits { items: 100, bytes: 1 << 20 },
        item_bytes: 200_000,
        resource_bytes: 16_000,
        max_ahead_ms: 2 * HOUR_MS,
        max_age_ms: 14 * DAY_MS,
        max_spread_ms: DAY_MS,
    };

    fn nanos(ms: i64) -> u64 {
        u64::try_from(ms).unwrap() * 1_000_000
    }

    fn span(age_ms: i64, name: &str) -> Span {
        let (name, start_time_unix_nano) = (Bytes::copy_from_slice(name.as_bytes()), nanos(NOW_MS - age_ms));
        Span { name, start_time_unix_nano, ..Span::default() }
    }

    fn resource(spans: Vec<Span>, attribute_bytes: u32) -> ResourceSpans {
        let mut resource = Resource { attributes: Vec::new(), dropped_attributes_count: 0 };
        for _ in 0..attribute_bytes / 2 {
            // Two bytes each: a tag and a length.
            resource.attributes.push(crate::model::otlp::KeyValue::default());
        }
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ResourceSpans { resource: Some(resource), scope_spans, schema_url: Bytes::new() }
    }

    fn wire(request: &impl prost::Message) -> WireRequest {
        WireRequest::decode(request.encode_to_vec().as_slice()).unwrap()
    }

    /// Returns the names of the spans of each export, and the count of each reason.
    fn split_spans(resource_spans: Vec<ResourceSpans>) -> (Vec<Vec<String>>, Vec<(&'static str, u64)>) {
        let request = wire(&ExportTraceServiceRequest { resource_spans });
        let SplitExport { exports, rejected } = LIMITS.split(request, NOW_MS, &Unlimited).unwrap();
        let names = exports.iter().map(|export| {
            let request = ExportTraceServiceRequest::decode(export.body.clone()).unwrap();
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            scopes.flat_map(|scope| &scope.spans).map(|span| text(&span.name).into_owned()).collect()
        });
        (names.collect(), rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect())
    }

    #[test]
    fn span_beyond_the_limits_is_removed_alone() {
        let spans = vec![
            span(0, "now"),
            span(14 * DAY_MS + 1, "too old"),
            span(1 - 2 * HOUR_MS, "ahead"),
            span(-1 - 2 * HOUR_MS, "too far ahead"),
            span(0, &"x".repeat(200_000)),
        ];
        let large = resource(vec![span(0, "large"), span(0, "resource")], 16_002);
        let full = resource(vec![span(0, "full")], 16_000);
        let mut with_urls = resource(vec![span(0, "schema URLs")], 0);
        with_urls.schema_url = "u".repeat(8_000).into();
        with_urls.scope_spans[0].schema_url = "u".repeat(8_001).into();
        let (names, reasons) = split_spans(vec![resource(spans, 0), large, full, with_urls]);
        assert_eq!(names, [["now", "ahead", "full"]]);
        assert_eq!(reasons, [("too_old", 1), ("too_far_in_future", 1), ("too_large", 4)]);
    }

    #[test]
    fn spans_of_more_than_a_day_are_in_several_requests() {
        let ages = [("a", 0), ("b", DAY_MS), ("c", 13 * DAY_MS), ("d", DAY_MS - 1), ("e", 12 * DAY_MS + HOUR_MS)];
        let spans = |names: &[(&str, i64)]| names.iter().map(|&(name, age_ms)| span(age_ms, name)).collect();
        let (names, reasons) = split_spans(vec![resource(spans(&ages), 0)]);
        assert_eq!(names, [vec!["c", "e"], vec!["b", "d"], vec!["a"]]);
        assert_eq!(reasons, []);
        let (names, _) = split_spans(vec![resource(spans(&ages[3..4]), 0), resource(spans(&ages[..1]), 0)]);
        assert_eq!(names, [["d", "a"]], "less than a day");
    }

    #[test]
    fn log_record_has_the_first_known_time() {
        let record = |time_ms: i64, observed_ms: i64, name: &str| LogRecord {
            time_unix_nano: nanos(time_ms),
            observed_time_unix_nano: nanos(observed_ms),
            event_name: Bytes::copy_from_slice(name.as_bytes()),
            ..LogRecord::default()
        };
        let records = vec![
            record(0, 0, "without a time"),
            record(0, NOW_MS, "observed"),
            record(NOW_MS, 1, "known"),
            record(1, NOW_MS, "old"),
        ];
        let scope_logs = vec![ScopeLogs { log_records: records, ..ScopeLogs::default() }];
        let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
        let mut request = wire(&ExportLogsServiceRequest { resource_logs });
        request.resources[0].scopes[0].items.push(Bytes::from_static(b"\x09\x00"));
        let limits = EndpointLimits { noun: "log record", head: log_record_head, ..LIMITS };
        let SplitExport { exports, rejected } = limits.split(request, NOW_MS, &Unlimited).unwrap();
        assert_eq!(exports.iter().map(|export| export.items).collect::<Vec<_>>(), [3]);
        assert_eq!(
            rejected.to_string(),
            "1 too_old: log record \"old\" is more than 14 days old; 1 malformed: log record \"\" is not a valid protobuf message"
        );
    }
}
