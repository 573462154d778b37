//! The CloudWatch client: reads points of metrics with GetMetricData.
//!
//! It does not know which metrics are read, or what they become (`translate::cloudwatch`). The SDK client is not linked
//! (docs/decisions/0011-cloudwatch-without-its-sdk.md).
//! (Amazon CloudWatch API Reference, "GetMetricData"; botocore, `cloudwatch/2010-08-01/service-2.json`, for the JSON protocol.)

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::aws::client::{PostResult, SigV4Client};
use crate::aws::error::{AwsError, AwsErrorKind};
use crate::deadline::Deadline;
use crate::model::cloudwatch::{MetricQuery, Minutes, PERIOD_MS, Point, Statistic, StatisticPoints};

/// Service name of CloudWatch in SigV4.
const SERVICE: &str = "monitoring";

/// Operation in the JSON protocol.
const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";

/// Maximum number of queries in one call (Amazon CloudWatch API Reference, GetMetricData, `MetricDataQueries`).
const MAX_QUERIES: usize = 500;

/// Maximum number of pages of one response. A call reads at most 5,000 points, and a page may have 100,800: more pages are an
/// endless loop.
const MAX_PAGES: usize = 20;

/// Calls at the same time. The quota of the account is 500 calls per second ("CloudWatch service quotas").
const CONCURRENCY: usize = 4;

/// Client of CloudWatch in the region of the function.
#[derive(Clone, Debug)]
pub struct CloudWatchClient {
    endpoint: Url,
    post: SigV4Client,
}

/// Result of one call.
#[must_use]
#[derive(Debug, Default)]
pub struct MetricData {
    pub points: Vec<StatisticPoints>,
    /// Number of statistics that CloudWatch could not read. The next call may.
    pub failed: usize,
    /// Whether CloudWatch denies a statistic although the call is allowed.
    pub is_forbidden: bool,
}

impl CloudWatchClient {
    pub fn new(endpoint: Url, post: SigV4Client) -> Self {
        Self { endpoint, post }
    }

    /// Reads the points of metrics, in as few calls as possible. A failed call affects only the metrics in it.
    pub fn metric_data<'a>(
        &'a self,
        queries: &'a [MetricQuery],
        minutes: Minutes,
        deadline: &'a Deadline,
    ) -> impl Stream<Item = Result<MetricData, AwsError>> + 'a {
        let calls = calls(queries).into_iter();
        stream::iter(calls).map(move |call| self.call(queries, call, minutes, deadline)).buffer_unordered(CONCURRENCY)
    }

    /// Reads all pages of one call.
    async fn call(
        &self,
        queries: &[MetricQuery],
        call: Range<usize>,
        minutes: Minutes,
        deadline: &Deadline,
    ) -> Result<MetricData, AwsError> {
        let (mut results, mut token) = (Results::default(), None);
        for _ in 0..MAX_PAGES {
            let page = self.page(&request(queries, call.clone(), minutes, token.as_deref()), deadline).await?;
            results.add(page.metric_data_results);
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(results.into_data(queries, &call, minutes));
            }
        }
        Err(invalid_response(format!("the response of CloudWatch has more than {MAX_PAGES} pages")))
    }

    async fn page(&self, body: &Value, deadline: &Deadline) -> Result<Page, AwsError> {
        let mut headers = HeaderMap::with_capacity(6);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        headers.insert("x-amz-target", HeaderValue::from_static(TARGET));
        let body = Bytes::from(body.to_string());
        match self.post.post_with_retry(SERVICE, &self.endpoint, &headers, &body, deadline).await {
            PostResult::Success { body, .. } => serde_json::from_slice(&body)
                .map_err(|error| invalid_response(format!("the response of CloudWatch cannot be read: {error}"))),
            PostResult::Rejected { error, .. } | PostResult::Retryable { error, .. } => Err(error),
        }
    }
}

fn invalid_response(detail: String) -> AwsError {
    AwsError::new(AwsErrorKind::InvalidResponse, detail)
}

/// Distributes queries to calls. All statistics of a metric are in one call, because CloudWatch charges for each metric of a call.
fn calls(queries: &[MetricQuery]) -> Vec<Range<usize>> {
    let (mut calls, mut start, mut count) = (Vec::new(), 0, 0);
    for (index, query) in queries.iter().enumerate() {
        if count + query.statistics.len() > MAX_QUERIES && index > start {
            calls.push(start..index);
            (start, count) = (index, 0);
        }
        count += query.statistics.len();
    }
    if start < queries.len() {
        calls.push(start..queries.len());
    }
    calls
}

/// Returns the body of a request. The end time is exclusive.
fn request(queries: &[MetricQuery], call: Range<usize>, minutes: Minutes, token: Option<&str>) -> Value {
    let numbered = queries.iter().enumerate().take(call.end).skip(call.start);
    let statistics = numbered.flat_map(|(index, query)| query.statistics.iter().map(move |stat| (index, query, *stat)));
    let statistics: Vec<Value> = statistics
        .map(|(index, query, statistic)| {
            let dimensions = query.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": &**value}));
            let metric = json!({"Namespace": query.namespace, "MetricName": query.name, "Dimensions": dimensions.collect::<Vec<_>>()});
            let stat = json!({"Metric": metric, "Period": PERIOD_MS / 1_000, "Stat": statistic.as_str()});
            json!({"Id": id(index, statistic), "MetricStat": stat})
        })
        .collect();
    let mut body = json!({
        "StartTime": minutes.start_ms / 1_000, "EndTime": minutes.end_ms / 1_000,
        "ScanBy": "TimestampAscending", "MetricDataQueries": statistics,
    });
    if let Some(token) = token {
        body["NextToken"] = json!(token);
    }
    body
}

/// Returns the id of a query: it has to start with a lower-case letter.
fn id(index: usize, statistic: Statistic) -> String {
    format!("{}{index}", statistic.as_str().to_ascii_lowercase())
}

/// One page of a response.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    metric_data_results: Vec<PageResult>,
    next_token: Option<String>,
}

/// Points of one query in one page. Times are in seconds since the epoch.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageResult {
    id: String,
    #[serde(default)]
    timestamps: Vec<f64>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    status_code: StatusCode,
}

/// Status of one query. `PartialData`: the next page has the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum StatusCode {
    #[default]
    Complete,
    PartialData,
    InternalError,
    Forbidden,
    #[serde(other)]
    Unknown,
}

/// Points by query, from all pages of a call.
#[derive(Debug, Default)]
struct Results {
    by_id: HashMap<String, Vec<Point>>,
    failed: HashMap<String, StatusCode>,
}

impl Results {
    fn add(&mut self, results: Vec<PageResult>) {
        for PageResult { id, timestamps, values, status_code } in results {
            if matches!(status_code, StatusCode::InternalError | StatusCode::Forbidden | StatusCode::Unknown) {
                self.failed.insert(id, status_code);
                continue;
            }
            let points = timestamps.into_iter().zip(values);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a time outside of the range is not one of the minutes"
            )]
            let points = points.map(|(seconds, value)| Point { start_ms: (seconds * 1_000.0) as i64, value });
            self.by_id.entry(id).or_default().extend(points);
        }
    }

    /// Returns the points of the queries of a call. A failed query has none, because points may be missing.
    fn into_data(mut self, queries: &[MetricQuery], call: &Range<usize>, minutes: Minutes) -> MetricData {
        let mut data = MetricData::default();
        for (index, query) in queries.iter().enumerate().take(call.end).skip(call.start) {
            for &statistic in query.statistics {
                let id = id(index, statistic);
                if let Some(status) = self.failed.get(&id) {
                    data.failed += 1;
                    data.is_forbidden |= *status == StatusCode::Forbidden;
                    continue;
                }
                let mut points = self.by_id.remove(&id).unwrap_or_default();
                points.retain(|point| minutes.contains(point.start_ms) && point.value.is_finite());
                points.sort_by_key(|point| point.start_ms);
                points.dedup_by_key(|point| point.start_ms);
                data.points.push(StatisticPoints { query: index, statistic, points });
            }
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[Statistic] = &[Statistic::Average, Statistic::Minimum, Statistic::Maximum];
    const MINUTES: Minutes = Minutes { start_ms: 1_772_611_200_000, end_ms: 1_772_611_320_000 };

    fn query(statistics: &'static [Statistic]) -> MetricQuery {
        let dimensions = vec![("ClusterName", "shop".into()), ("ServiceName", "cart".into())];
        MetricQuery { namespace: "AWS/ECS", name: "CPUUtilization", dimensions, statistics }
    }

    #[test]
    fn statistics_of_a_metric_are_in_one_call() {
        for (services, expected) in [(0, 0), (1, 1), (10, 1), (83, 1), (84, 2), (100, 2), (1_000, 13)] {
            let queries = vec![query(THREE); services * 2];
            let calls = calls(&queries);
            assert_eq!(calls.len(), expected, "{services} services");
            assert!(calls.iter().all(|call| call.len() * THREE.len() <= MAX_QUERIES));
            let all: Vec<usize> = calls.into_iter().flatten().collect();
            assert_eq!(all, Vec::from_iter(0..queries.len()), "each metric is in one call");
        }
    }

    #[test]
    fn request_has_one_query_for_each_statistic() {
        let body = request(&[query(THREE), query(&[Statistic::Average])], 1..2, MINUTES, Some("token"));
        let expected = json!({
            "StartTime": 1_772_611_200, "EndTime": 1_772_611_320, "ScanBy": "TimestampAscending", "NextToken": "token",
            "MetricDataQueries": [{"Id": "average1", "MetricStat": {"Period": 60, "Stat": "Average", "Metric": {
                "Namespace": "AWS/ECS", "MetricName": "CPUUtilization",
                "Dimensions": [{"Name": "ClusterName", "Value": "shop"}, {"Name": "ServiceName", "Value": "cart"}],
            }}}],
        });
        assert_eq!(body, expected);
    }

    fn read(pages: &[Value]) -> MetricData {
        let mut results = Results::default();
        for page in pages {
            let page: Page = serde_json::from_value(page.clone()).unwrap();
            results.add(page.metric_data_results);
        }
        results.into_data(&[query(THREE)], &(0..1), MINUTES)
    }

    #[test]
    fn points_of_all_pages_are_joined_in_order_of_time() {
        let data = read(&[
            json!({"MetricDataResults": [{"Id": "average0", "Label": "x", "StatusCode": "PartialData",
                "Timestamps": [1_772_611_260.0], "Values": [2.5]}], "NextToken": "2"}),
            json!({"MetricDataResults": [{"Id": "average0", "StatusCode": "Complete",
                "Timestamps": [1_772_611_200], "Values": [1]}, {"Id": "other", "Timestamps": [1], "Values": [1]}]}),
        ]);
        let points = |query: &StatisticPoints| query.points.iter().map(|point| point.value).collect::<Vec<_>>();
        assert_eq!(data.points.iter().map(points).collect::<Vec<_>>(), [vec![1.0, 2.5], vec![], vec![]]);
        assert_eq!((data.failed, data.is_forbidden), (0, false), "a metric without points is no error");
    }

    #[test]
    fn failed_statistics_have_no_points() {
        for (status, is_forbidden) in [("InternalError", false), ("Forbidden", true), ("New", false)] {
            let data = read(&[json!({"MetricDataResults": [{"Id": "average0", "StatusCode": status,
                "Timestamps": [1_772_611_200], "Values": [1]}]})]);
            assert_eq!((data.failed, data.is_forbidden, data.points.len()), (1, is_forbidden, 2), "{status}");
        }
    }

    #[test]
    fn points_outside_of_the_minutes_are_ignored() {
        let times = [1_772_611_140.0, 1_772_611_200.0, 1_772_611_200.0, 1_772_611_320.0, 1e300, -1e300];
        let data = read(&[
            json!({"MetricDataResults": [{"Id": "average0", "Timestamps": times, "Values": [1, 2, 3, 4, 5, 6]}]}),
        ]);
        assert_eq!(data.points[0].points, [Point { start_ms: 1_772_611_200_000, value: 2.0 }]);
    }
}
