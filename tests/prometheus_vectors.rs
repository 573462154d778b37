//! Translation of each kind of OTLP metric, one rule in each row: the input, and the series in Prometheus notation. The
//! expected series are the same in both modes, unless a row has other options.

use sidecarless::model::budget::Unlimited;
use sidecarless::model::otlp::{ExportMetricsServiceRequest, Metric, MetricsRequest, Temporality};
use sidecarless::model::series::{STALE_NAN, SeriesBatch, SeriesView};
use sidecarless::translate::Compat;
use sidecarless::translate::limits::LongLabels;
use sidecarless::translate::metrics::{
    ClientIdentity, DeltaPolicy, ExponentialHistogramFormat, Options, TranslationResult, series,
};
use sidecarless::translate::names::{Naming, Strategy};
use std::io::Write as _;

use crate::otlp_builder::{
    self, Point, attributes, exemplar, exponential, gauge, histogram, number, request, resource, scope, sum, summary,
};

const NOW_MS: i64 = 1_700_000_000_500;

fn best() -> Options {
    Options { metadata: false, resource_labels: false, ..Options::default() }
}

fn adot() -> Options {
    Options { naming: Naming { compat: Compat::Adot, ..Naming::default() }, ..best() }
}

fn utf8(strategy: Strategy) -> Options {
    Options { naming: Naming { strategy, ..Naming::default() }, ..best() }
}

fn number_text(value: f64) -> String {
    if value.to_bits() == STALE_NAN { "stale".to_owned() } else { value.to_string() }
}

/// `name{label="value"} 5 @1700000000123`, native histograms and exemplars behind.
fn line(series: SeriesView<'_>) -> String {
    let labels: Vec<String> = series
        .labels()
        .filter(|(name, _)| *name != "__name__")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    let mut line = series.label("__name__").unwrap_or_default().to_owned();
    if !labels.is_empty() {
        line.push_str(&format!("{{{}}}", labels.join(",")));
    }
    for sample in series.samples() {
        line.push_str(&format!(" {}", number_text(sample.value)));
        if sample.timestamp_ms != 1_700_000_000_123 {
            line.push_str(&format!("@{}", sample.timestamp_ms));
        }
    }
    for native in series.histograms() {
        line.push_str(&format!(
            " schema={} count={} sum={} zero={} spans={:?} deltas={:?}",
            native.schema,
            if native.count == STALE_NAN { "stale".to_owned() } else { native.count.to_string() },
            number_text(native.sum),
            native.zero_count,
            native.positive.spans,
            native.positive.deltas
        ));
    }
    for exemplar in series.exemplars() {
        let labels: Vec<String> = exemplar.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        line.push_str(&format!(" # {{{}}} {}", labels.join(","), exemplar.value));
    }
    line
}

fn translate(request: &ExportMetricsServiceRequest, options: &Options) -> (Vec<String>, TranslationResult) {
    let mut batch = SeriesBatch::default();
    let request = MetricsRequest::from(request);
    let outcome =
        series(&request, options, &ClientIdentity::default(), NOW_MS, &Unlimited, &mut batch).expect("no limit");
    assert_eq!(outcome.received, outcome.written + outcome.rejected.total(), "every point is counted");
    let mut lines: Vec<String> = batch.iter().map(line).collect();
    lines.sort();
    (lines, outcome)
}

struct Row {
    case: &'static str,
    request: ExportMetricsServiceRequest,
    options: Options,
    expected: Vec<&'static str>,
}

fn row(case: &'static str, metric: Metric, expected: &[&'static str]) -> Row {
    of_request(case, request(vec![], None, vec![metric]), expected)
}

fn of_request(case: &'static str, request: ExportMetricsServiceRequest, expected: &[&'static str]) -> Row {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    Row { case, request, options: best(), expected }
}

fn with(options: Options, row: Row) -> Row {
    Row { options, ..row }
}

fn names() -> Vec<Row> {
    let one = || vec![number(7.0, &[])];
    let simple = |case, metric: Metric, expected| row(case, metric, &[expected]);
    vec![
        row(
            "gauge in bytes",
            gauge("system.memory.usage", "By", vec![number(5.0, &[("state", "used".into())])]),
            &["system_memory_usage_bytes{state=\"used\"} 5"],
        ),
        simple("gauge of 1 is a ratio", gauge("system.cpu.utilization", "1", one()), "system_cpu_utilization_ratio 7"),
        simple("counter of 1 is none", sum("requests", "1", true, one()), "requests_total 7"),
        simple("total is said once", sum("http.requests_total", "", true, one()), "http_requests_total 7"),
        simple("total goes to the end", sum("foo.total.bar", "", true, one()), "foo_bar_total 7"),
        simple("an annotation is no unit", sum("queue.size", "{items}", false, one()), "queue_size 7"),
        simple("a rate", gauge("network.rate", "By/s", one()), "network_rate_bytes_per_second 7"),
        simple(
            "a rate with the unit in its name",
            gauge("network.bytes_per_second", "By/s", one()),
            "network_bytes_per_second 7",
        ),
        with(
            adot(),
            simple(
                "... which the exporter writes twice",
                gauge("network.bytes_per_second", "By/s", one()),
                "network_bytes_per_second_per_second 7",
            ),
        ),
        simple("a rate of annotations", gauge("req", "{request}/s", one()), "req_per_second 7"),
        simple("a leading digit", gauge("5xx.count", "", one()), "_5xx_count 7"),
        simple("runs of underscores", gauge("foo__bar_", "", one()), "foo_bar 7"),
        simple("a leading underscore", gauge("_foo", "", one()), "foo 7"),
        simple("colons stay", gauge("job:foo:rate5m", "", one()), "job:foo:rate5m 7"),
        of_request(
            "a metric without a name costs itself",
            request(vec![], None, vec![gauge("...", "", one()), gauge("g", "", one())]),
            &["g 7"],
        ),
        simple("ECS memory", gauge("ecs.task.memory.utilized", "MiB", one()), "ecs_task_memory_utilized_MiB 7"),
        simple("ECS cpu", gauge("ecs.task.cpu.utilized", "None", one()), "ecs_task_cpu_utilized_None 7"),
        simple(
            "ECS network",
            gauge("ecs.task.network.rate.rx", "Bytes/Second", one()),
            "ecs_task_network_rate_rx_Bytes_per_Second 7",
        ),
        simple("ECS duration", gauge("container.duration", "Seconds", one()), "container_duration_Seconds 7"),
        simple(
            "ECS storage",
            sum("ecs.task.storage.read_bytes", "Bytes", false, one()),
            "ecs_task_storage_read_bytes_Bytes 7",
        ),
        with(
            Options { naming: Naming { namespace: "app".into(), ..Naming::default() }, ..best() },
            simple("a namespace", gauge("5xx", "", one()), "app_5xx 7"),
        ),
        with(
            Options {
                naming: Naming { strategy: Strategy::UnderscoreEscapingWithoutSuffixes, ..Naming::default() },
                ..best()
            },
            simple("without suffixes", gauge("a.b__c", "s", one()), "a_b__c 7"),
        ),
        with(
            utf8(Strategy::NoUtf8EscapingWithSuffixes),
            simple("UTF-8 counter", sum("http.server.time", "s", true, one()), "http.server.time_seconds_total 7"),
        ),
        with(
            Options { resource_labels: true, ..utf8(Strategy::NoTranslation) },
            of_request(
                "names without translation",
                request(
                    otlp_builder::resource(),
                    Some(scope("lib", "1", &[("a.b", "c".into())])),
                    vec![gauge("größe.x", "s", vec![number(7.0, &[("a.b", "1".into()), ("a_b", "2".into())])])],
                ),
                &[
                    "größe.x{a.b=\"1\",a_b=\"2\",cloud.region=\"eu\",instance=\"i1\",job=\"shop/cart\",\
                     otel_scope_a.b=\"c\",otel_scope_name=\"lib\",otel_scope_version=\"1\",\
                     service.instance.id=\"i1\",service.name=\"cart\",service.namespace=\"shop\"} 7",
                    "target_info{cloud.region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1",
                ],
            ),
        ),
    ]
}

/// Returns a request with one scope of this schema.
fn with_schema(schema_url: &'static str, metric: Metric) -> ExportMetricsServiceRequest {
    let mut request = request(vec![], Some(scope("lib", "", &[])), vec![metric]);
    request.resource_metrics[0].scope_metrics[0].schema_url = schema_url.into();
    request
}

fn labels() -> Vec<Row> {
    let point = |attributes| gauge("g", "", vec![number(1.0, attributes)]);
    let shop = || {
        attributes(&[
            ("service.namespace", "shop".into()),
            ("service.name", "cart".into()),
            ("service.instance.id", "i1".into()),
        ])
    };
    let cloud = || [shop(), attributes(&[("cloud.region", "eu".into())])].concat();
    let later =
        || vec![number(1.0, &[]), Point { nanos: 1_700_000_001_123_456_789, ..number(2.0, &[("a", "b".into())]) }];
    let r2t = || Options { resource_labels: true, ..best() };
    vec![
        row(
            "two attributes of one label are joined in the order of their keys",
            point(&[("a_b", "2".into()), ("a.b", "1".into())]),
            &["g{a_b=\"1;2\"} 1"],
        ),
        row("equal values are not said twice", point(&[("a_b", "1".into()), ("a.b", "1".into())]), &["g{a_b=\"1\"} 1"]),
        row(
            "values of every type",
            point(&[("x", "".into()), ("y", true.into()), ("z", 1.5.into()), ("k", vec![1.into(), "a".into()].into())]),
            &["g{k=\"[1,\\\"a\\\"]\",y=\"true\",z=\"1.5\"} 1"],
        ),
        row(
            "doubles beyond plain decimals",
            point(&[("l", 1e21.into()), ("s", 1e-7.into())]),
            &["g{l=\"1e+21\",s=\"1e-7\"} 1"],
        ),
        row("a key without a name costs itself", point(&[("____", "v".into()), ("a", "b".into())]), &["g{a=\"b\"} 1"]),
        row(
            "keys that cannot begin a label",
            point(&[("_private", "1".into()), ("5xx", "2".into())]),
            &["g{key_5xx=\"2\",key_private=\"1\"} 1"],
        ),
        with(
            r2t(),
            of_request(
                "the point precedes the resource",
                request(attributes(&[("host.name", "h".into())]), None, vec![point(&[("host.name", "d".into())])]),
                &["g{host_name=\"d\"} 1"],
            ),
        ),
        with(
            Options { resource_labels: true, ..adot() },
            of_request(
                "... but not for the exporter",
                request(attributes(&[("host.name", "h".into())]), None, vec![point(&[("host.name", "d".into())])]),
                &["g{host_name=\"h\"} 1"],
            ),
        ),
        with(
            r2t(),
            of_request(
                "the point precedes the resource with another key of the same label",
                request(
                    attributes(&[("host.name", "h".into()), ("x", "r".into())]),
                    None,
                    vec![point(&[("host_name", "d".into()), ("y", "p".into())])],
                ),
                &["g{host_name=\"d\",x=\"r\",y=\"p\"} 1"],
            ),
        ),
        with(
            r2t(),
            of_request(
                "joined values of a point precede the resource",
                request(
                    attributes(&[("a.b", "r".into()), ("c", "r".into())]),
                    None,
                    vec![point(&[("a_b", "2".into()), ("a-b", "1".into())])],
                ),
                &["g{a_b=\"1;2\",c=\"r\"} 1"],
            ),
        ),
        with(
            Options { resource_labels: true, ..adot() },
            of_request(
                "the exporter joins the values of a point and of the resource",
                request(attributes(&[("a.b", "r".into())]), None, vec![point(&[("a_b", "2".into())])]),
                &["g{a_b=\"r;2\"} 1"],
            ),
        ),
        with(
            r2t(),
            of_request(
                "an empty attribute of a point leaves the one of the resource",
                request(attributes(&[("host.name", "h".into())]), None, vec![point(&[("host.name", "".into())])]),
                &["g{host_name=\"h\"} 1"],
            ),
        ),
        of_request(
            "job and instance",
            request(shop(), None, vec![point(&[])]),
            &["g{instance=\"i1\",job=\"shop/cart\"} 1"],
        ),
        of_request(
            "target_info once, at the newest time",
            request(cloud(), None, vec![gauge("g", "", later())]),
            &[
                "g{a=\"b\",instance=\"i1\",job=\"shop/cart\"} 2@1700000001123",
                "g{instance=\"i1\",job=\"shop/cart\"} 1",
                "target_info{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1@1700000001123",
            ],
        ),
        of_request(
            "no target_info without job and instance",
            request(attributes(&[("cloud.region", "eu".into())]), None, vec![point(&[])]),
            &["g 1"],
        ),
        with(
            r2t(),
            of_request(
                "attributes as labels beside job and instance",
                request(cloud(), None, vec![point(&[])]),
                &[
                    "g{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\",service_instance_id=\"i1\",service_name=\"cart\",service_namespace=\"shop\"} 1",
                    "target_info{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1",
                ],
            ),
        ),
        with(
            Options { exclude_service_attributes: true, ..r2t() },
            of_request(
                "... without their values",
                request(cloud(), None, vec![point(&[])]),
                &[
                    "g{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1",
                    "target_info{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1",
                ],
            ),
        ),
        with(
            Options { external_labels: vec![("job".into(), "x".into()), ("env".into(), "prod".into())], ..best() },
            of_request(
                "external labels give way",
                request(shop(), None, vec![point(&[])]),
                &["g{env=\"prod\",instance=\"i1\",job=\"shop/cart\"} 1"],
            ),
        ),
        of_request(
            "scope labels",
            request(
                vec![],
                Some(scope("lib", "1", &[("lang", "go".into()), ("name", "zz".into()), ("e", "".into())])),
                vec![point(&[])],
            ),
            &["g{otel_scope_lang=\"go\",otel_scope_name=\"lib\",otel_scope_version=\"1\"} 1"],
        ),
        of_request(
            "a schema URL is a label of the scope",
            with_schema("https://a/1", point(&[])),
            &["g{otel_scope_name=\"lib\",otel_scope_schema_url=\"https://a/1\"} 1"],
        ),
        of_request(
            "a schema URL of a scope without a name",
            {
                let mut request = with_schema("https://a/2", point(&[]));
                request.resource_metrics[0].scope_metrics[0].scope = None;
                request
            },
            &["g{otel_scope_schema_url=\"https://a/2\"} 1"],
        ),
        with(
            adot(),
            of_request(
                "... which the exporter does not write",
                with_schema("https://a/1", point(&[])),
                &["g{otel_scope_name=\"lib\"} 1"],
            ),
        ),
        with(
            Options { scope_labels: false, ..best() },
            of_request("... nor a function without scope labels", with_schema("https://a/1", point(&[])), &["g 1"]),
        ),
        of_request(
            "an empty namespace is none",
            request(
                attributes(&[("service.namespace", "".into()), ("service.name", "cart".into())]),
                None,
                vec![point(&[])],
            ),
            &["g{job=\"cart\"} 1"],
        ),
        with(
            adot(),
            of_request(
                "... but for the exporter",
                request(
                    attributes(&[("service.namespace", "".into()), ("service.name", "cart".into())]),
                    None,
                    vec![point(&[])],
                ),
                &["g{job=\"/cart\"} 1"],
            ),
        ),
        row(
            "an attribute __name__ is kept aside",
            point(&[("__name__", "evil".into())]),
            &["g{exported___name__=\"evil\"} 1"],
        ),
    ]
}

fn histograms() -> Vec<Row> {
    let base = || histogram(&[0.005, 10.0], &[1, 2, 3], 6, Some(12.5));
    let family =
        |point| otlp_builder::histograms("http.server.request.duration", "s", Temporality::Cumulative, vec![point]);
    let all = [
        "http_server_request_duration_seconds_sum 12.5",
        "http_server_request_duration_seconds_count 6",
        "http_server_request_duration_seconds_bucket{le=\"0.005\"} 1",
        "http_server_request_duration_seconds_bucket{le=\"10\"} 3",
        "http_server_request_duration_seconds_bucket{le=\"+Inf\"} 6",
    ];
    let mut counted = base();
    counted.count = 7;
    let mut without_sum = base();
    without_sum.sum = None;
    let mut ended = base();
    ended.flags = 1;
    let mut traced = base();
    traced.exemplars = vec![exemplar(0.7, true, &[])];
    let mut long = base();
    long.exemplars = vec![exemplar(0.7, true, &[("k", "x".repeat(69).into())])];
    let mut bare = base();
    bare.exemplars = vec![exemplar(0.7, false, &[])];
    let mut le = base();
    le.attributes = attributes(&[("le", "5".into())]);
    let mut infinite = base();
    infinite.explicit_bounds = vec![0.005, f64::INFINITY];
    let ids = "trace_id=\"0102030405060708090a0b0c0d0e0f10\",span_id=\"0102030405060708\"";
    let with_exemplar = |labels: &str| {
        let line = format!("http_server_request_duration_seconds_bucket{{le=\"10\"}} 3 # {{{labels}}} 0.7");
        let line: &'static str = line.leak();
        [all[0], all[1], all[2], line, all[4]]
    };
    vec![
        row("a histogram", family(base()), &all),
        row(
            "its count is unchanged",
            family(counted),
            &[
                "http_server_request_duration_seconds_sum 12.5",
                "http_server_request_duration_seconds_count 7",
                all[2],
                all[3],
                "http_server_request_duration_seconds_bucket{le=\"+Inf\"} 7",
            ],
        ),
        row("one without sum", family(without_sum), &all[1..]),
        row(
            "one that has ended",
            family(ended),
            &[
                "http_server_request_duration_seconds_sum stale",
                "http_server_request_duration_seconds_count stale",
                "http_server_request_duration_seconds_bucket{le=\"0.005\"} stale",
                "http_server_request_duration_seconds_bucket{le=\"10\"} stale",
                "http_server_request_duration_seconds_bucket{le=\"+Inf\"} stale",
            ],
        ),
        row("an exemplar stands at its bucket", family(traced), &with_exemplar(ids)),
        row("an exemplar over 128 characters keeps its ids", family(long), &with_exemplar(ids)),
        row("an exemplar without labels is left out", family(bare), &all),
        row(
            "an attribute le is kept aside",
            family(le),
            &[
                "http_server_request_duration_seconds_sum{exported_le=\"5\"} 12.5",
                "http_server_request_duration_seconds_count{exported_le=\"5\"} 6",
                "http_server_request_duration_seconds_bucket{exported_le=\"5\",le=\"0.005\"} 1",
                "http_server_request_duration_seconds_bucket{exported_le=\"5\",le=\"10\"} 3",
                "http_server_request_duration_seconds_bucket{exported_le=\"5\",le=\"+Inf\"} 6",
            ],
        ),
        row("a bound of +Inf is no second bucket", family(infinite), &[all[0], all[1], all[2], all[4]]),
        row(
            "a summary",
            summary("rpc", 4, 20.0, &[(0.5, 3.0), (0.99, 9.0)]),
            &["rpc_sum 20", "rpc_count 4", "rpc{quantile=\"0.5\"} 3", "rpc{quantile=\"0.99\"} 9"],
        ),
    ]
}

fn exponentials() -> Vec<Row> {
    let native = |scale, offset, counts: &[u64], count, zero| exponential("e", (scale, offset), counts, count, zero);
    let classic = || Options { exponential: ExponentialHistogramFormat::Classic, ..best() };
    vec![
        row(
            "scale 0",
            native(0, 0, &[1, 2, 3], 10, 4),
            &["e schema=0 count=10 sum=20 zero=4 spans=[(1, 3)] deltas=[1, 1, 1]"],
        ),
        row(
            "a wide gap is a new span",
            native(0, -2, &[4, 2, 0, 0, 0, 0, 7], 13, 0),
            &["e schema=0 count=13 sum=20 zero=0 spans=[(-1, 2), (4, 1)] deltas=[4, -2, 5]"],
        ),
        row(
            "a gap of two is bridged",
            native(0, 0, &[4, 0, 0, 7], 11, 0),
            &["e schema=0 count=11 sum=20 zero=0 spans=[(1, 4)] deltas=[4, -4, 0, 7]"],
        ),
        row(
            "a gap of three is not",
            native(0, 0, &[4, 0, 0, 0, 7], 11, 0),
            &["e schema=0 count=11 sum=20 zero=0 spans=[(1, 1), (3, 1)] deltas=[4, 3]"],
        ),
        row(
            "scale 10 is merged",
            native(10, -3, &[1; 8], 8, 0),
            &["e schema=8 count=8 sum=20 zero=0 spans=[(0, 3)] deltas=[3, 1, -3]"],
        ),
        row(
            "empty buckets are merged where they belong",
            native(9, 0, &[0, 0, 1, 2, 3, 4], 10, 0),
            &["e schema=8 count=10 sum=20 zero=0 spans=[(2, 2)] deltas=[3, 4]"],
        ),
        row("scale -5 is refused, without an empty series", native(-5, 0, &[1], 1, 0), &[]),
        row(
            "a count that its buckets belie is corrected",
            native(0, 0, &[1, 2], 9, 0),
            &["e schema=0 count=3 sum=20 zero=0 spans=[(1, 2)] deltas=[1, 1]"],
        ),
        with(
            classic(),
            row(
                "as classic buckets",
                native(0, 0, &[1, 2, 3], 10, 4),
                &[
                    "e_sum 20",
                    "e_count 10",
                    "e_bucket{le=\"0\"} 4",
                    "e_bucket{le=\"1\"} 4",
                    "e_bucket{le=\"2\"} 5",
                    "e_bucket{le=\"4\"} 7",
                    "e_bucket{le=\"8\"} 10",
                    "e_bucket{le=\"+Inf\"} 10",
                ],
            ),
        ),
    ]
}

fn deltas() -> Vec<Row> {
    let delta = || {
        otlp_builder::with_temporality(
            sum("d", "", true, vec![Point { nanos: 1_700_000_001_123_456_789, ..number(3.0, &[]) }]),
            Temporality::Delta,
        )
    };
    let resource = || resource();
    vec![
        of_request(
            "a refused delta still makes target_info current",
            request(resource(), None, vec![delta(), gauge("g", "", vec![number(1.0, &[])])]),
            &[
                "g{instance=\"i1\",job=\"shop/cart\"} 1",
                "target_info{cloud_region=\"eu\",instance=\"i1\",job=\"shop/cart\"} 1@1700000001123",
            ],
        ),
        with(
            Options { delta: DeltaPolicy::Keep, ..best() },
            row("a delta as it is", delta(), &["d_total{otel_metric_temporality=\"delta\"} 3@1700000001123"]),
        ),
    ]
}

#[test]
fn every_row_has_the_expected_series() {
    let rows: Vec<Row> = [names(), labels(), histograms(), exponentials(), deltas()].into_iter().flatten().collect();
    for row in &rows {
        let (lines, _) = translate(&row.request, &row.options);
        assert_eq!(lines, row.expected, "{}", row.case);
    }
    let _ = writeln!(std::io::stderr(), "{} vectors", rows.len());
}

#[test]
fn long_label_costs_itself_and_is_named() {
    let long = || -> crate::otlp_builder::Value { "x".repeat(3_000).into() };
    let options = |long_labels| Options { resource_labels: true, long_labels, ..best() };
    let (drop, cut, reject) = (options(LongLabels::Drop), options(LongLabels::Cut), options(LongLabels::Reject));
    let cut_text = "x".repeat(2_048);
    fn point(attributes: &[(&str, crate::otlp_builder::Value)]) -> Metric {
        gauge("g", "", vec![number(1.0, attributes), number(2.0, &[("k", "v".into())])])
    }
    let named = |label: &str, result: &str| {
        format!("label_value_too_long: label {label} has a value of 3000 bytes, and the limit is 2048: {result}")
    };
    let (dropped, is_cut, rejected) =
        ("the label is dropped", "its value is cut", "SIDECARLESS_LONG_LABELS can drop or cut it");
    let of_resource =
        |key, attributes| request(crate::otlp_builder::attributes(&[(key, long())]), None, vec![point(attributes)]);
    let of_point = || request(vec![], None, vec![point(&[("a.b", long()), ("c", "d".into())])]);
    let of_scope = || request(vec![], Some(scope("lib", "", &[("a", long())])), vec![point(&[])]);
    for (case, request, options, expected, told) in [
        (
            "of a resource",
            of_resource("process.command_line", &[]),
            &drop,
            vec!["g 1".to_owned(), "g{k=\"v\"} 2".into()],
            format!("2 {}", named("process_command_line", dropped)),
        ),
        (
            "of a resource, cut",
            of_resource("a", &[]),
            &cut,
            vec![format!("g{{a=\"{cut_text}\",k=\"v\"}} 2"), format!("g{{a=\"{cut_text}\"}} 1")],
            format!("2 {}", named("a", is_cut)),
        ),
        (
            "of a resource, rejected",
            of_resource("a", &[]),
            &reject,
            vec![],
            format!("2 {} (a point of g)", named("a", rejected)),
        ),
        (
            "of a point",
            of_point(),
            &drop,
            vec!["g{c=\"d\"} 1".into(), "g{k=\"v\"} 2".into()],
            format!("1 {}", named("a_b", dropped)),
        ),
        (
            "of a point, cut",
            of_point(),
            &cut,
            vec![format!("g{{a_b=\"{cut_text}\",c=\"d\"}} 1"), "g{k=\"v\"} 2".into()],
            format!("1 {}", named("a_b", is_cut)),
        ),
        (
            "of a point, rejected",
            of_point(),
            &reject,
            vec!["g{k=\"v\"} 2".into()],
            format!("1 {} (a point of g)", named("a_b", rejected)),
        ),
        (
            "of a scope",
            of_scope(),
            &drop,
            vec!["g{k=\"v\",otel_scope_name=\"lib\"} 2".into(), "g{otel_scope_name=\"lib\"} 1".into()],
            format!("2 {}", named("otel_scope_a", dropped)),
        ),
        (
            "of a scope, rejected",
            of_scope(),
            &reject,
            vec![],
            format!("2 {} (a point of g)", named("otel_scope_a", rejected)),
        ),
    ] {
        let (lines, outcome) = translate(&request, options);
        assert_eq!(lines, expected, "{case}");
        let told_by = if options.long_labels == LongLabels::Reject && outcome.rejected.total() > 0 {
            outcome.rejected
        } else {
            outcome.warnings
        };
        assert_eq!(told_by.to_string(), told, "{case}");
    }
    let service = request(
        crate::otlp_builder::attributes(&[("service.name", long())]),
        None,
        vec![gauge("g", "", vec![number(1.0, &[])])],
    );
    let (lines, _) = translate(&service, &drop);
    assert_eq!(lines, [format!("g{{job=\"{cut_text}\"}} 1")], "job is cut, because it tells targets apart");
}

#[test]
fn dropped_label_is_not_replaced_by_another_value() {
    let long = || -> crate::otlp_builder::Value { "x".repeat(3_000).into() };
    let external = || Options { external_labels: vec![("env".into(), "prod".into())], ..best() };
    let with_resource = || Options { resource_labels: true, ..external() };
    let adot = || Options { resource_labels: true, ..adot() };
    let prod = || attributes(&[("env", "prod".into())]);
    let of_point = |resource, attributes: &[(&str, crate::otlp_builder::Value)]| {
        request(resource, None, vec![gauge("g", "", vec![number(1.0, attributes)])])
    };
    for (case, request, options, expected) in [
        ("resource", of_point(prod(), &[("env", long())]), with_resource(), "g 1"),
        ("resource, adot", of_point(attributes(&[("e.v", "prod".into())]), &[("e_v", long())]), adot(), "g 1"),
        ("external label", of_point(vec![], &[("env", long())]), external(), "g 1"),
        ("long resource", of_point(attributes(&[("env", long())]), &[]), with_resource(), "g 1"),
        ("same label", of_point(vec![], &[("e.v", long()), ("e_v", "short".into())]), best(), "g 1"),
        (
            "job is fixed",
            of_point(attributes(&[("service.name", "cart".into())]), &[("job", long())]),
            best(),
            "g{job=\"cart\"} 1",
        ),
    ] {
        assert_eq!(translate(&request, &options).0, [expected], "{case}");
    }
}

#[test]
fn exemplar_without_a_value_is_dropped_and_counted() {
    let mut point = histogram(&[1.0], &[1, 2], 3, Some(12.5));
    point.exemplars = vec![exemplar(0.7, true, &[]), exemplar(0.8, true, &[])];
    point.exemplars[0].value = None;
    let metric = otlp_builder::histograms("h", "", Temporality::Cumulative, vec![point]);
    for (options, exemplars, told) in
        [(best(), vec![0.8], "1 exemplar_dropped: an exemplar without a value"), (adot(), vec![0.0, 0.8], "")]
    {
        let mut batch = SeriesBatch::default();
        let request = request(vec![], None, vec![metric.clone()]);
        let outcome = series(
            &MetricsRequest::from(&request),
            &options,
            &ClientIdentity::default(),
            NOW_MS,
            &Unlimited,
            &mut batch,
        )
        .expect("no limit");
        let found: Vec<f64> = batch.iter().flat_map(|series| series.exemplars()).map(|one| one.value).collect();
        assert_eq!((found, outcome.warnings.to_string()), (exemplars, told.to_owned()));
    }
}

#[test]
fn rejections_have_a_reason_and_an_example() {
    let delta = otlp_builder::with_temporality(
        sum("orders", "", true, vec![number(1.0, &[]), number(2.0, &[])]),
        Temporality::Delta,
    );
    let old = gauge("old", "", vec![Point { nanos: 1_600_000_000_000_000_000, ..number(1.0, &[]) }]);
    let ahead = gauge("ahead", "", vec![Point { nanos: 1_700_001_000_000_000_000, ..number(1.0, &[]) }]);
    let timeless = gauge("timeless", "", vec![Point { nanos: 0, ..number(1.0, &[]) }]);
    let nan =
        otlp_builder::histograms("n", "", Temporality::Cumulative, vec![histogram(&[f64::NAN], &[1, 1], 2, None)]);
    let mismatched = otlp_builder::histograms("m", "", Temporality::Cumulative, vec![histogram(&[1.0], &[1], 1, None)]);
    let bomb = gauge("bomb", "", vec![number(1.0, &[("k", "x".repeat(3000).into())])]);
    let metrics = vec![delta, old, ahead, timeless, nan, mismatched, bomb, gauge("...", "", vec![number(1.0, &[])])];
    let options = Options { long_labels: LongLabels::Reject, ..best() };
    let (lines, outcome) = translate(&request(vec![], None, metrics), &options);
    assert!(lines.is_empty(), "{lines:?}");
    let refused: Vec<(&str, u64)> = outcome.rejected.iter().map(|refusal| (refusal.reason, refusal.count)).collect();
    assert_eq!(
        refused,
        [
            ("delta_temporality", 2),
            ("too_old", 1),
            ("too_far_in_future", 1),
            ("no_timestamp", 1),
            ("nan_bounds", 1),
            ("mismatched_buckets", 1),
            ("label_value_too_long", 1),
            ("empty_name", 1)
        ]
    );
    let example = &outcome.rejected.iter().next().expect("a rejection").example;
    assert_eq!(
        example,
        "metric orders has delta temporality: set OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative in the application"
    );
}

#[test]
fn malformed_point_costs_only_itself() {
    let cumulative = Temporality::Cumulative;
    let delta = otlp_builder::with_temporality(sum("d", "", true, vec![number(1.0, &[])]), Temporality::Delta);
    let histogram = histogram(&[1.0], &[1, 2], 3, Some(12.5));
    let metrics = [
        (0x2a, gauge("g", "", vec![number(1.0, &[])]), Some(1)),
        (0x3a, sum("c", "", true, vec![number(2.0, &[])]), Some(1)),
        (0x4a, otlp_builder::histograms("h", "", cumulative, vec![histogram]), Some(4)),
        (0x52, otlp_builder::exponential("e", (0, 0), &[1, 2], 3, 0), Some(1)),
        (0x5a, summary("s", 3, 6.0, &[(0.5, 2.0)]), Some(3)),
        (0x3a, delta, None),
    ];
    for (data, metric, lines) in metrics {
        let name = metric.name.clone();
        let mut request = MetricsRequest::from(&request(vec![], None, vec![metric]));
        let encoded = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
        // Two points before and one after: a field that is cut, an attribute that is cut, and a time that is a text.
        let before = [data, 0x08, 0x0a, 0x01, 0x3a, 0x0a, 0x03, 0x1a, 0x01, 0xff];
        let after = [data, 0x04, 0x0a, 0x02, 0x1a, 0x00];
        *encoded = [&before[..], encoded, &after].concat().into();
        let mut batch = SeriesBatch::default();
        let outcome = series(&request, &best(), &ClientIdentity::default(), NOW_MS, &Unlimited, &mut batch);
        let outcome = outcome.expect("no limit");
        assert_eq!((outcome.received, outcome.written), (4, u64::from(lines.is_some())), "{name:?}");
        assert_eq!(batch.len(), lines.unwrap_or(0), "{name:?}");
        let rejected: Vec<_> = outcome.rejected.iter().map(|rejection| (rejection.reason, rejection.count)).collect();
        // Points of a metric that is rejected are not decoded.
        assert_eq!(rejected, [if lines.is_some() { ("malformed", 3) } else { ("delta_temporality", 4) }]);
    }
}

#[test]
fn resource_without_identity_gets_the_client_instance() {
    let sender = ClientIdentity { instance: Some("task-1".into()) };
    for (case, resource, expected) in [
        (
            "nothing known",
            attributes(&[("service.name", "cart".into())]),
            "g{instance=\"task-1\",job=\"cart\",service_name=\"cart\"} 1",
        ),
        (
            "an instance",
            attributes(&[("service.instance.id", "i".into())]),
            "g{instance=\"i\",service_instance_id=\"i\"} 1",
        ),
        ("a task", attributes(&[("aws.ecs.task.arn", "arn".into())]), "g{aws_ecs_task_arn=\"arn\"} 1"),
        ("a host alone", attributes(&[("host.name", "h".into())]), "g{host_name=\"h\",instance=\"task-1\"} 1"),
        (
            "a process",
            attributes(&[("host.name", "h".into()), ("process.pid", 1.into())]),
            "g{host_name=\"h\",process_pid=\"1\"} 1",
        ),
    ] {
        let options = Options { resource_labels: true, target_info: false, ..best() };
        let mut batch = SeriesBatch::default();
        let request = request(resource, None, vec![gauge("g", "", vec![number(1.0, &[])])]);
        let result = series(&MetricsRequest::from(&request), &options, &sender, NOW_MS, &Unlimited, &mut batch)
            .expect("no limit");
        assert_eq!(result.written, 1, "{case}");
        assert_eq!(batch.iter().map(line).collect::<Vec<_>>(), [expected], "{case}");
    }
}

#[test]
fn target_info_has_the_namespace_of_metrics_or_is_not_written() {
    let resource = attributes(&[("service.name", "cart".into()), ("cloud.region", "eu".into())]);
    for (namespace, expected) in [("app", vec!["app_g", "app_target_info"]), ("app-1", Vec::new())] {
        let mut options = best();
        options.naming.namespace = namespace.into();
        let mut batch = SeriesBatch::default();
        let request = request(resource.clone(), None, vec![gauge("g", "", vec![number(1.0, &[])])]);
        let result = series(
            &MetricsRequest::from(&request),
            &options,
            &ClientIdentity { instance: None },
            NOW_MS,
            &Unlimited,
            &mut batch,
        )
        .expect("no limit");
        let name = |line: String| line.split('{').next().unwrap_or_default().to_owned();
        assert_eq!(batch.iter().map(line).map(name).collect::<Vec<_>>(), expected, "{:?}", result.rejected);
    }
}
