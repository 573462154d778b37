//! Stub of GetMetricData in the JSON protocol: a point for each minute of each query, with paging, throttling and denials; and of the
//! OTLP endpoint.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{RecordedRequest, StubResponse};

const MINUTE_S: i64 = 60;

#[derive(Default)]
pub(crate) struct State {
    /// Bodies of all requests.
    pub(crate) requests: Vec<Value>,
    /// Number of calls that will be throttled.
    pub(crate) throttles: u32,
    /// Whether the permission is missing.
    pub(crate) is_denied: bool,
    /// Maximum number of results in a page. `None`: all are in one.
    pub(crate) page_size: Option<usize>,
    /// Starts of minutes without points, in seconds.
    pub(crate) missing: BTreeSet<i64>,
    /// Status of all results, in place of `Complete`.
    pub(crate) status: Option<&'static str>,
    /// Accepted requests to the OTLP endpoint.
    pub(crate) otlp: Vec<RecordedRequest>,
    /// Response of the OTLP endpoint instead of an empty one.
    pub(crate) otlp_response: Option<StubResponse>,
}

/// Returns the response; `None` if the request is not for CloudWatch.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    if request.path == "/v1/metrics" {
        assert!(request.header("authorization").contains("/eu-west-1/monitoring/aws4_request"));
        let mut state = state.lock().unwrap();
        state.otlp.push(request.clone());
        let accepted = || StubResponse::of(200, "application/x-protobuf", "");
        return Some(state.otlp_response.clone().unwrap_or_else(accepted));
    }
    let (_, operation) = request.header("x-amz-target").split_once("GraniteServiceVersion20100801.")?;
    assert_eq!(operation, "GetMetricData");
    assert_eq!(request.header("content-type"), "application/x-amz-json-1.0");
    assert!(request.header("authorization").contains("/eu-west-1/monitoring/aws4_request"));
    let body = serde_json::from_slice(&request.body).unwrap();
    Some(state.lock().unwrap().respond(body))
}

impl State {
    /// Returns the queries of all requests, as dimensions, metric and statistic. The dimension `ClusterName` is left out.
    pub(crate) fn queries(&self) -> BTreeSet<(String, String, String)> {
        let queries = self.requests.iter().flat_map(|request| request["MetricDataQueries"].as_array().unwrap());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let query = |query: &Value| {
            let stat = &query["MetricStat"];
            let dimensions = stat["Metric"]["Dimensions"].as_array().unwrap().iter();
            let dimensions = dimensions.filter(|dimension| dimension["Name"] != "ClusterName");
            let dimensions: Vec<_> = dimensions.map(|dimension| text(&dimension["Value"])).collect();
            (dimensions.join(" "), text(&stat["Metric"]["MetricName"]), text(&stat["Stat"]))
        };
        queries.map(query).collect()
    }

    fn respond(&mut self, body: Value) -> StubResponse {
        if self.throttles > 0 {
            self.throttles -= 1;
            return error("Throttling", "Rate exceeded");
        }
        if self.is_denied {
            return error("AccessDeniedException", "not authorized to perform: cloudwatch:GetMetricData");
        }
        let queries = body["MetricDataQueries"].as_array().unwrap().clone();
        assert!(queries.len() <= 500, "{} queries", queries.len());
        let seconds = |name: &str| body[name].as_i64().unwrap();
        let (start, end) = (seconds("StartTime"), seconds("EndTime"));
        assert!(start % MINUTE_S == 0 && end % MINUTE_S == 0 && start < end, "{start} to {end}");
        let times: Vec<i64> = (start..end).step_by(60).filter(|time| !self.missing.contains(time)).collect();
        let values: Vec<i64> = times.iter().map(|time| time / MINUTE_S % 100).collect();
        let status = self.status.unwrap_or("Complete");
        let result = |query: &Value| json!({"Id": query["Id"], "Label": "x", "Timestamps": times, "Values": values, "StatusCode": status});
        let from: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let to = (from + self.page_size.unwrap_or(usize::MAX / 2)).min(queries.len());
        let mut page =
            json!({"MetricDataResults": queries[from..to].iter().map(result).collect::<Vec<_>>(), "Messages": []});
        if to < queries.len() {
            page["NextToken"] = json!(to.to_string());
        }
        self.requests.push(body);
        StubResponse::of(200, "application/x-amz-json-1.0", page.to_string())
    }
}

fn error(kind: &str, message: &str) -> StubResponse {
    StubResponse::of(400, "application/x-amz-json-1.0", json!({"__type": kind, "message": message}).to_string())
}
