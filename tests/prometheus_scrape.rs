//! Prometheus endpoints of tasks, from their declaration to the series at the workspace.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use sidecarless::deadline::Deadline;
use sidecarless::model::series::STALE_NAN;

use crate::sandbox::ecs::NewTask;
use crate::sandbox::http::{Fault, RecordedRequest, StubResponse, StubServer};
use crate::sandbox::task::{Task, closed_port};
use crate::sandbox::{self, Sandbox};

const TEXT: &str = "text/plain; version=0.0.4";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A task with an exposition that the test can replace.
struct ScrapeTarget {
    response: Arc<Mutex<StubResponse>>,
    requests: Arc<Mutex<Vec<RecordedRequest>>>,
    task: Task,
}

impl ScrapeTarget {
    async fn with_response(response: StubResponse) -> Self {
        let (response, requests) = (Arc::new(Mutex::new(response)), Arc::default());
        let task = Task::with_documents(Arc::clone(&response), Arc::clone(&requests)).await;
        Self { response, requests, task }
    }

    async fn text(text: &str) -> Self {
        Self::with_response(StubResponse::of(200, TEXT, text)).await
    }

    fn set_text(&self, text: &str) {
        *self.response.lock().unwrap() = StubResponse::of(200, TEXT, text);
    }
}

fn add(sandbox: &Sandbox, family: &str, port: u16) -> String {
    let labels = vec![("ECS_PROMETHEUS_EXPORTER_PORT", port.to_string())];
    sandbox.aws.ecs().add("shop", NewTask { family, labels, tags: Vec::new() })
}

/// Returns the values of a metric, with `ended` for staleness markers.
fn values(sandbox: &Sandbox, name: &str) -> Vec<String> {
    let shown = |value: f64| if value.to_bits() == STALE_NAN { "ended".into() } else { value.to_string() };
    sandbox.amp.named(name).into_iter().map(|(_, value)| shown(value)).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn scraped_series_have_the_identity_of_the_task() {
    let sandbox = Sandbox::start(&[]).await;
    let page = "# TYPE jobs counter\njobs_total{queue=\"mail\",service=\"own\"} 7 # {trace_id=\"a1\"} 1 1.5\n# EOF\n";
    let headers = vec![("content-type", OPENMETRICS.into()), ("content-encoding", "gzip".into())];
    let target = ScrapeTarget::with_response(StubResponse::Http { status: 200, headers, body: gzip(page) }).await;
    let id = add(&sandbox, "cart", target.task.port());

    let summary = sandbox.tick().await.unwrap();

    assert_eq!(summary["targets_up"], 1, "{summary}");
    let jobs = sandbox.amp.named("jobs_total");
    let (labels, value) = &jobs[0];
    assert_eq!((jobs.len(), *value), (1, 7.0));
    let instance = format!("127.0.0.1:{}", target.task.port());
    for (name, expected) in [
        ("queue", "mail"),
        ("service", "own"),
        ("job", "cart"),
        ("instance", instance.as_str()),
        ("aws_ecs_cluster_name", "shop"),
        ("aws_ecs_service_name", "cart"),
        ("aws_ecs_task_family", "cart"),
        ("aws_ecs_task_id", &id),
        ("container_name", "cart"),
    ] {
        assert_eq!(labels.get(name).map(String::as_str), Some(expected), "{name} of {labels:?}");
    }
    for (name, expected) in
        [("up", "1"), ("scrape_samples_scraped", "1"), ("scrape_samples_post_metric_relabeling", "1")]
    {
        assert_eq!(values(&sandbox, name), [expected], "{name}");
    }
    let requests = target.requests.lock().unwrap();
    assert!(requests[0].header("accept").starts_with("application/openmetrics-text;version=1.0.0"), "negotiation");
    assert_eq!((requests[0].path.as_str(), requests[0].header("accept-encoding")), ("/metrics", "gzip"));
}

#[tokio::test]
async fn scrape_rule_relabels_the_samples_of_its_targets() {
    let page = "# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\"} 2\nb 3\nc{d=\"e\"} 4\n";
    for (rules, limit, up, counts, expected) in [
        ("[{action: drop, source_labels: [__name__], regex: b}]", "3", "1", ["4", "3"], vec!["a 1", "a 2", "c 4"]),
        // Of samples that become equal, the first one remains.
        ("[{action: labeldrop, regex: x}]", "off", "1", ["4", "4"], vec!["a 1", "b 3", "c 4"]),
        (
            "[{source_labels: [d], regex: e, target_label: __name__, replacement: f}]",
            "4",
            "1",
            ["4", "4"],
            vec!["a 1", "a 2", "b 3", "f 4"],
        ),
        ("[{action: labeldrop, regex: .*}]", "0", "1", ["4", "0"], vec![]),
        ("[{action: drop, source_labels: [__name__], regex: b}]", "2", "0", ["4", "3"], vec![]),
        ("[{action: labeldrop, regex: __name__}]", "off", "0", ["4", "4"], vec![]),
        ("[{target_label: job, replacement: other}]", "off", "1", ["4", "4"], vec!["a 1", "a 2", "b 3", "c 4"]),
    ] {
        let target = ScrapeTarget::text(page).await;
        let rule = format!("- {{family: cart, port: {}, metric_relabel_configs: {rules}}}", target.task.port());
        let settings = [("SIDECARLESS_SCRAPE_RULES", rule.as_str()), ("SIDECARLESS_SCRAPE_SAMPLE_LIMIT", limit)];
        let sandbox = Sandbox::start(&settings).await;
        sandbox.aws.ecs().add("shop", NewTask { family: "cart", labels: Vec::new(), tags: Vec::new() });
        // The same page without rules.
        let other = ScrapeTarget::text("plain 1\n").await;
        add(&sandbox, "bank", other.task.port());

        sandbox.tick().await.unwrap();

        let names = ["a", "b", "c", "f"];
        let found = names
            .iter()
            .flat_map(|name| values(&sandbox, name).into_iter().map(move |value| format!("{name} {value}")));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{rules}");
        let of_job = |name: &str, job: &str| {
            let series = sandbox.amp.named(name).into_iter().find(|(labels, _)| labels["job"] == job);
            series.map(|(_, value)| value.to_string()).unwrap_or_default()
        };
        assert_eq!(of_job("up", "cart"), up, "{rules}");
        let reported =
            ["scrape_samples_scraped", "scrape_samples_post_metric_relabeling"].map(|name| of_job(name, "cart"));
        assert_eq!(reported, counts, "{rules}");
        assert_eq!(of_job("plain", "bank"), if limit == "0" { "" } else { "1" }, "{rules}");
    }
}

#[tokio::test]
async fn failed_scrape_writes_nothing_and_does_not_affect_others() {
    let redirect = |location: &str| StubResponse::Http {
        status: 302,
        headers: vec![("location", location.into())],
        body: "a 1\n".into(),
    };
    let no_location = StubResponse::Http { status: 302, headers: Vec::new(), body: "a 1\n".into() };
    let broken_gzip = StubResponse::of(200, TEXT, gzip("a 1\n")[..12].to_vec());
    let bomb = StubResponse::of(200, TEXT, gzip(&format!("# {}\n", "x".repeat(2 << 20))));
    for (case, response) in [
        ("a broken line", StubResponse::of(200, TEXT, "a 1\nb {\nc 3\n")),
        ("no end", StubResponse::of(200, OPENMETRICS, "a 1\n")),
        ("more samples than the limit", StubResponse::of(200, TEXT, "a 1\nb 2\nc 3\nd 4\n")),
        ("more bytes than the limit", StubResponse::of(200, TEXT, format!("# {}\n", "x".repeat(2 << 20)))),
        ("more bytes when decompressed", bomb),
        ("an endless body", StubResponse::Endless),
        ("truncated gzip", broken_gzip),
        ("redirects without an end", redirect("/other")),
        ("a redirect to another host", redirect("http://127.0.0.77:1/metrics")),
        ("a redirect without a location", no_location),
        ("an error", StubResponse::of(500, TEXT, "a 1\n")),
        ("a reset connection", StubResponse::Reset),
        ("no response", StubResponse::Hang),
    ] {
        let limits = [
            ("SIDECARLESS_SCRAPE_SAMPLE_LIMIT", "3"),
            ("SIDECARLESS_SCRAPE_BODY_LIMIT", "1MB"),
            ("SIDECARLESS_SCRAPE_TIMEOUT", "1s"),
        ];
        let sandbox = Sandbox::start(&limits).await;
        let (failing, healthy) = (ScrapeTarget::with_response(response).await, ScrapeTarget::text("well 1\n").await);
        add(&sandbox, "ill", failing.task.port());
        add(&sandbox, "well", healthy.task.port());

        let summary = sandbox.tick().await.unwrap();

        assert_eq!((&summary["targets_up"], &summary["targets_down"]), (&1.into(), &1.into()), "{case}: {summary}");
        for name in ["a", "b", "c"] {
            assert!(sandbox.amp.named(name).is_empty(), "{case}: no part of the exposition is written");
        }
        assert_eq!(values(&sandbox, "well"), ["1"], "{case}");
        let up: BTreeSet<String> = sandbox.amp.named("up").iter().map(|(l, up)| format!("{} {up}", l["job"])).collect();
        assert_eq!(up, BTreeSet::from(["ill 0".to_owned(), "well 1".to_owned()]), "{case}");
    }
}

#[tokio::test]
async fn redirects_are_followed_up_to_ten() {
    for (redirects, expected) in [(1, vec!["1"]), (10, vec!["1"]), (11, vec![])] {
        let sandbox = Sandbox::start(&[]).await;
        let serve = move |request: &RecordedRequest| {
            let step: usize = request.path.trim_start_matches("/step?n=").parse().unwrap_or(0);
            if step == redirects {
                return StubResponse::of(200, TEXT, "a 1\n");
            }
            let status = [301, 302, 303, 307, 308][step % 5];
            let headers = vec![("location", format!("/step?n={}", step + 1))];
            StubResponse::Http { status, headers, body: Vec::new() }
        };
        let server = StubServer::start(serve).await;
        add(&sandbox, "cart", server.address.port());
        sandbox.tick().await.unwrap();
        assert_eq!(values(&sandbox, "a"), expected, "{redirects} redirects");
    }
}

/// Answers each connection over TLS with a certificate that no authority has signed.
fn serve_tls(listener: &std::net::TcpListener) {
    let certificate = include_bytes!("data/tls/certificate.der").as_slice().into();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(include_bytes!("data/tls/key.der").as_slice());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate], key.into()).unwrap();
    let config = Arc::new(config);
    while let Ok((stream, _)) = listener.accept() {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = rustls::StreamOwned::new(connection, stream);
        // The client may end the handshake.
        if std::io::Read::read(&mut stream, &mut [0; 4_096]).is_ok() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-type: text/plain\r\n\r\na 1\n");
        }
    }
}

#[tokio::test]
async fn https_target_is_up_if_its_certificate_is_valid_or_not_checked() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || serve_tls(&listener));
    for (check, up, expected) in [("on", "0", Vec::new()), ("off", "1", vec!["1".to_owned()])] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_SCRAPE_CHECK_CERTIFICATES", check)]).await;
        let labels = vec![
            ("prometheus.io/scrape", "True".to_owned()),
            ("prometheus.io/port", port.to_string()),
            ("prometheus.io/scheme", "https".to_owned()),
        ];
        sandbox.aws.ecs().add("shop", NewTask { family: "cart", labels, tags: Vec::new() });
        sandbox.tick().await.unwrap();
        assert_eq!((values(&sandbox, "up"), values(&sandbox, "a")), (vec![up.to_owned()], expected), "{check}");
    }
}

/// More than are scraped at once.
const HANGING: usize = 70;

#[tokio::test]
async fn hanging_targets_do_not_delay_other_targets() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_SCRAPE_TIMEOUT", "2s")]).await;
    let (hanging, stats) = (ScrapeTarget::with_response(StubResponse::Hang).await, Task::start().await);
    for number in 0..HANGING {
        add(&sandbox, &format!("hanging-{number}"), hanging.task.port());
    }
    sandbox.aws.ecs().add_task("shop", "cart", Some(stats.port()));

    sandbox.tick().await.unwrap();

    let at = |job: &str| {
        let of_job = |(labels, _, at): (sandbox::amp::Labels, f64, i64)| {
            (labels["__name__"] == "up" && labels["job"] == job).then_some(at)
        };
        sandbox.amp.samples().into_iter().find_map(of_job).unwrap()
    };
    let hanging: Vec<i64> = (0..HANGING).map(|number| at(&format!("hanging-{number}"))).collect();
    let (first, last) = (*hanging.iter().min().unwrap(), *hanging.iter().max().unwrap());
    assert!(
        last - first < 2_000,
        "targets are scraped 64 at once, and those that hang free their slots: {}",
        last - first
    );
    assert!(at("sidecarless-stats") - first < 1_000, "the stats did not wait for any");
}

/// More than a run has time for, if each of them keeps its memory until its time limit.
const STALLED: usize = 8;

#[tokio::test]
async fn stalled_targets_give_up_the_memory_others_wait_for() {
    let settings = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("SIDECARLESS_SCRAPE_TIMEOUT", "4s")];
    let sandbox = Sandbox::start(&settings).await;
    let pause = Duration::from_millis(100);
    let begun = StubResponse::Parts { length: 4_000_000, parts: vec![b"#".repeat(3_000_000)], pause };
    let page = format!("#{}\na 1\n", "x".repeat(400_000));
    let parts: Vec<Vec<u8>> = page.as_bytes().chunks(page.len() / 20).map(<[u8]>::to_vec).collect();
    let steady = StubResponse::Parts { length: page.len(), parts, pause };
    let (stalled, steady) = (ScrapeTarget::with_response(begun).await, ScrapeTarget::with_response(steady).await);
    let healthy = ScrapeTarget::text(&page).await;
    healthy.task.delay(Duration::from_millis(300));
    add(&sandbox, "steady", steady.task.port());
    for number in 0..STALLED {
        add(&sandbox, &format!("stalled-{number}"), stalled.task.port());
    }
    for number in 0..3 {
        add(&sandbox, &format!("healthy-{number}"), healthy.task.port());
    }

    let summary = sandbox.tick().await.unwrap();

    assert_eq!((&summary["targets_up"], &summary["targets_down"]), (&4.into(), &STALLED.into()), "{summary}");
    assert_eq!(values(&sandbox, "a"), ["1"; 4], "a slow target that makes progress keeps its memory");
}

#[tokio::test]
async fn missing_series_become_stale_and_new_series_are_counted() {
    let sandbox = Sandbox::start(&[]).await;
    let target = ScrapeTarget::text("a 1\nb 2\n").await;
    add(&sandbox, "cart", target.task.port());

    sandbox.tick().await.unwrap();
    assert!(values(&sandbox, "scrape_series_added").is_empty(), "the first scrape has no predecessor");

    target.set_text("a 1\nc 3\nd 4\n");
    sandbox.tick().await.unwrap();
    assert_eq!(values(&sandbox, "scrape_series_added"), ["2"]);
    assert_eq!(values(&sandbox, "b"), ["2", "ended"]);
    assert_eq!(values(&sandbox, "a"), ["1", "1"]);

    *target.response.lock().unwrap() = StubResponse::Reset;
    sandbox.tick().await.unwrap();
    for (name, expected) in [("a", vec!["1", "1", "ended"]), ("c", vec!["3", "ended"]), ("up", vec!["1", "1", "0"])] {
        assert_eq!(values(&sandbox, name), expected, "{name}");
    }

    sandbox.tick().await.unwrap();
    assert_eq!(values(&sandbox, "a").len(), 3, "stale series get no second marker");
}

#[tokio::test]
async fn stopping_task_is_scraped_until_it_stops() {
    let sandbox = Sandbox::start(&[("SIDECARLESS_CLUSTERS", "shop")]).await;
    let target = ScrapeTarget::text("a 1\n").await;
    let id = add(&sandbox, "cart", target.task.port());
    sandbox.tick().await.unwrap();

    target.set_text("a 2\n");
    sandbox.aws.ecs().set_status(&id, "DEACTIVATING");
    let summary = sandbox.tick().await.unwrap();
    assert_eq!(summary["targets_up"], 1, "it is not listed as running, and serves all the same: {summary}");

    sandbox.aws.ecs().set_status(&id, "STOPPED");
    let summary = sandbox.tick().await.unwrap();
    assert_eq!((&summary["targets_up"], &summary["stopped_tasks"]), (&0.into(), &1.into()), "{summary}");
    for name in ["a", "up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added"] {
        assert_eq!(values(&sandbox, name).last().map(String::as_str), Some("ended"), "{name}");
    }
    assert_eq!(values(&sandbox, "a"), ["1", "2", "ended"]);
}

#[tokio::test]
async fn scrape_rules_select_targets_and_tags_become_labels() {
    let target = ScrapeTarget::text("a 1\n").await;
    let rules = format!("service=bank port=1; service=ca* port={} path=/m/ job=java", target.task.port());
    let sandbox =
        Sandbox::start(&[("SIDECARLESS_SCRAPE_RULES", &rules), ("SIDECARLESS_TAG_LABELS", "team,cluster.env")]).await;
    sandbox.aws.ecs().cluster_tags = vec![("env", "prod"), ("cost-centre", "12")];
    let task = NewTask { family: "cart", labels: Vec::new(), tags: vec![("team", "payments"), ("owner", "ann")] };
    sandbox.aws.ecs().add("shop", task);

    for _ in 0..2 {
        sandbox.tick().await.unwrap();
    }

    assert_eq!(target.requests.lock().unwrap()[0].path, "/m/");
    let (labels, _) = &sandbox.amp.named("a")[0];
    let tags: Vec<_> = labels.iter().filter(|(name, _)| name.contains("tag_")).collect();
    assert_eq!(format!("{tags:?}"), r#"[("cluster_tag_env", "prod"), ("tag_team", "payments")]"#);
    assert_eq!(labels["job"], "java");
    assert_eq!(sandbox.aws.ecs().count("DescribeClusters"), 2, "one call reads the settings and tags of each run");
}

#[tokio::test]
async fn skipped_targets_have_an_error() {
    let sandbox = Sandbox::start(&[]).await;
    let healthy = ScrapeTarget::text("a 1\n").await;
    let port = healthy.task.port().to_string();
    for (family, labels) in [
        ("word", vec![("ECS_PROMETHEUS_EXPORTER_PORT", "http".to_owned())]),
        ("path", vec![("ECS_PROMETHEUS_EXPORTER_PORT", port.clone()), ("ECS_PROMETHEUS_METRICS_PATH", "m".into())]),
        ("both", vec![("prometheus.io/scrape", "true".into()), ("sidecarless.stats.port", "0".into())]),
        ("well", vec![("prometheus.io/scrape", "true".into()), ("prometheus.io/port", port)]),
    ] {
        sandbox.aws.ecs().add("shop", NewTask { family, labels, tags: Vec::new() });
    }

    let summary = sandbox.tick().await.unwrap();
    assert_eq!((&summary["targets_up"], &summary["rejected"]), (&1.into(), &4.into()), "{summary}");

    let list = sandbox.handlers.targets(&Deadline::after(Duration::from_secs(20))).await;
    let problems: Vec<(String, usize)> =
        list.targets.iter().map(|target| (target.family.clone(), target.errors.len())).collect();
    let expected = [("both", 2), ("path", 1), ("well", 0), ("word", 1)].map(|(family, n)| (family.to_owned(), n));
    assert_eq!(problems, expected);
}

#[tokio::test]
async fn closed_port_is_down() {
    let sandbox = Sandbox::start(&[]).await;
    add(&sandbox, "cart", closed_port().await);
    let summary = sandbox.tick().await.unwrap();
    assert_eq!(summary["targets_down"], 1, "{summary}");
    assert_eq!(values(&sandbox, "up"), ["0"]);
}

#[tokio::test]
async fn large_run_is_delivered_in_parts_and_counted_once() {
    const SERIES: usize = 15_000;
    const TARGETS: usize = 3;
    // `up` and three more series of each scrape.
    let expected = (TARGETS * (SERIES + 4)) as u64;
    for (limit, rejected) in [("off", 0), ("40000", expected - 40_000)] {
        let sandbox = Sandbox::start(&[("SIDECARLESS_MAX_SERIES", limit)]).await;
        let target =
            ScrapeTarget::text(&(0..SERIES).map(|number| format!("m{{a=\"{number}\"}} 1\n")).collect::<String>()).await;
        for number in 0..TARGETS {
            add(&sandbox, &format!("cart-{number}"), target.task.port());
        }

        let summary = sandbox.tick().await.unwrap();

        assert_eq!(summary["delivered"].as_u64(), Some(expected - rejected), "{limit}: {summary}");
        assert_eq!(summary["rejected"].as_u64(), Some(rejected), "{limit}: {summary}");
        assert_eq!(sandbox.amp.samples().len() as u64, expected - rejected);
    }
}

#[tokio::test]
async fn part_is_delivered_while_another_api_hangs() {
    const SERIES: usize = 3_000;
    const TARGETS: usize = 8;
    let sandbox = Sandbox::start(&[]).await;
    let page: String = (0..SERIES).map(|number| format!("m{{a=\"{number}\"}} 1\n")).collect();
    let target = ScrapeTarget::text(&page).await;
    for number in 0..TARGETS {
        add(&sandbox, &format!("cart-{number}"), target.task.port());
    }
    let reads_events = |request: &RecordedRequest| request.header("x-amz-target").ends_with("FilterLogEvents");
    // Longer than the quarter of the 20 s of a run that a part has.
    sandbox.aws.fail_always(reads_events, Fault::Slow(Duration::from_secs(6)));

    let summary = sandbox.tick().await.unwrap();

    assert_eq!(summary["undelivered"], 0, "{summary}");
    assert_eq!(sandbox.amp.named("m").len(), TARGETS * SERIES);
}

#[tokio::test]
async fn series_limit_counts_series_after_the_rules() {
    const SERIES: usize = 15_000;
    let rules = r#"[{"action":"drop","source_labels":["__name__"],"regex":"dropped"}]"#;
    let settings = [("SIDECARLESS_MAX_SERIES", "23000"), ("SIDECARLESS_WRITE_RELABEL_CONFIGS", rules)];
    let sandbox = Sandbox::start(&settings).await;
    let line = |number: usize| format!("{}{{a=\"{number}\"}} 1\n", ["kept", "dropped"][number % 2]);
    let target = ScrapeTarget::text(&(0..SERIES).map(line).collect::<String>()).await;
    for number in 0..3 {
        add(&sandbox, &format!("cart-{number}"), target.task.port());
    }

    let summary = sandbox.tick().await.unwrap();

    assert_eq!(summary["rejected"], 0, "{summary}");
    assert_eq!(sandbox.amp.named("kept").len(), 3 * SERIES / 2);
}
