//! Stages of scrapes, and all stages after the translation.

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::FutureExt as _;
use reqwest::header::HeaderMap;
use sidecarless::aws::credentials::CachedCredentials;
use sidecarless::aws::sign::Signer;
use sidecarless::deliver::remote_write::requests;
use sidecarless::model::budget::Unlimited;
use sidecarless::model::exposition::Format;
use sidecarless::model::otlp::MetricsRequest;
use sidecarless::model::remote_write::encode_series;
use sidecarless::model::segment::put_trace_segments;
use sidecarless::model::series::{Labels, SeriesBatch};
use sidecarless::model::task_metadata::{TaskMetadata, TaskStats};
use sidecarless::translate::exposition::{self, ScrapeOptions};
use sidecarless::translate::names::Utf8Names;
use sidecarless::translate::{spans, stats};
use url::Url;

use super::push::to_series;
use super::{Work, work};
use crate::payload;

pub(super) fn decode_stats(containers: usize) -> Work {
    let (task, stats) = payload::stats(containers);
    work(move || (TaskMetadata::parse(task.as_bytes()).map(drop), TaskStats::parse(stats.as_bytes()).map(drop)))
}

pub(super) fn translate_stats(containers: usize) -> Work {
    let (task, stats) = payload::stats(containers);
    let task = TaskMetadata::parse(task.leak().as_bytes()).expect("a task");
    let task_stats = TaskStats::parse(stats.leak().as_bytes()).expect("stats");
    let options = stats::Options::default();
    work(move || {
        let mut batch = SeriesBatch::default();
        let scrape = stats::TaskScrape {
            task: &task,
            stats: &task_stats,
            at_ms: payload::NOW_MS,
            received_ms: payload::NOW_MS,
            described: None,
        };
        let _ = stats::series(&scrape, &Labels::default(), &options, &mut batch);
        batch
    })
}

pub(super) fn translate_exposition(samples: usize) -> Work {
    let exposition = payload::exposition(samples);
    work(move || parse_exposition(&exposition))
}

fn parse_exposition(text: &str) -> SeriesBatch {
    let mut labels = Labels::default();
    for (name, value) in [
        ("job", "checkout"),
        ("instance", "10.0.1.45:9404"),
        ("ClusterName", "shop"),
        ("TaskDefinitionFamily", "checkout"),
        ("TaskId", "5f0e6c1d2b3a49788e7d6c5b4a392817"),
        ("container_name", "app"),
    ] {
        labels.set(name, value);
    }
    let scrape = ScrapeOptions {
        target_labels: &labels,
        honor_labels: false,
        utf8_names: Utf8Names::Replace,
        honor_timestamps: true,
        sample_limit: None,
        max_age_ms: None,
        at_ms: payload::NOW_MS,
    };
    let mut batch = SeriesBatch::default();
    let counts =
        exposition::series(text.as_bytes(), Format::Text, &scrape, &Unlimited, &mut batch).expect("a valid exposition");
    assert_eq!(counts.duplicates + counts.out_of_bounds, 0);
    batch
}

/// Encodes documents as the bodies of PutTraceSegments requests.
pub(super) fn encode_traces(spans: usize) -> Work {
    const PER_CALL: usize = 50;
    let documents = spans::segments(&(&payload::traces(spans)).into(), &spans::Options::default(), &Unlimited)
        .expect("no limit")
        .documents;
    work(move || documents.chunks(PER_CALL).map(put_trace_segments).map(|body| body.len()).sum::<usize>())
}

pub(super) fn encode_metrics(points: usize) -> Work {
    encode(to_series(&MetricsRequest::from(&payload::metrics(points))))
}

pub(super) fn encode_exposition(samples: usize) -> Work {
    encode(parse_exposition(&payload::exposition(samples)))
}

fn encode(batch: SeriesBatch) -> Work {
    work(move || encoded(&batch))
}

fn encoded(batch: &SeriesBatch) -> Vec<u8> {
    let mut out = Vec::new();
    batch.iter().for_each(|series| encode_series(series, &mut out));
    out
}

pub(super) fn compress_metrics(points: usize) -> Work {
    compress(encoded(&to_series(&MetricsRequest::from(&payload::metrics(points)))))
}

pub(super) fn compress_exposition(samples: usize) -> Work {
    compress(encoded(&parse_exposition(&payload::exposition(samples))))
}

fn compress(body: Vec<u8>) -> Work {
    work(move || snap::raw::Encoder::new().compress_vec(&body))
}

/// Encodes, splits and compresses series as the remote write client does.
pub(super) fn requests_metrics(points: usize) -> Work {
    let batch = to_series(&MetricsRequest::from(&payload::metrics(points)));
    work(move || requests(&batch).count())
}

/// Signs one remote write request with all series. The cost of SHA-256 depends on the size of the body.
pub(super) fn sign_metrics(points: usize) -> Work {
    let body = snap::raw::Encoder::new()
        .compress_vec(&encoded(&to_series(&MetricsRequest::from(&payload::metrics(points)))))
        .expect("small");
    let credentials = Credentials::new("AKIDEXAMPLE", "secret", Some("t".repeat(800)), None, "benchmark");
    let aws = SdkConfig::builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
    let signer = Signer::new(CachedCredentials::of_function(&aws).expect("credentials"), "eu-west-1");
    let url = Url::parse("https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write");
    let url = url.expect("an address");
    work(move || {
        let mut headers = HeaderMap::new();
        signer.sign("aps", &url, &mut headers, &body, payload::NOW_MS).now_or_never().expect("static credentials")
    })
}
