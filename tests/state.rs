//! State of ECS in scheduled runs: series of clusters, services, tasks and container instances from the ECS API alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::sandbox::Sandbox;
use crate::sandbox::ecs::{container_instance, service};
use crate::sandbox::task::Task;

const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Settings of a user who has set nothing but the clusters.
const DEFAULT: (&str, &str) = ("SIDECARLESS_STATE_METRICS", "default");
const SHOP: (&str, &str) = ("SIDECARLESS_CLUSTERS", "shop");

/// Starts a cluster with Container Insights off and three tasks without a docker label.
async fn untouched(settings: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::start(&[settings, &[DEFAULT, SHOP]].concat()).await;
    let mut ecs = sandbox.aws.ecs();
    ecs.container_insights = Some("disabled");
    for family in ["cart", "cart", "web"] {
        ecs.add_task("shop", family, None);
    }
    ecs.services.insert("shop".into(), vec![service("shop", "cart", 2, 2), service("shop", "web", 3, 1)]);
    drop(ecs);
    sandbox
}

/// Returns the ECS calls since the last call of this function.
fn calls(sandbox: &Sandbox) -> BTreeMap<String, usize> {
    std::mem::take(&mut sandbox.aws.ecs().calls)
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

/// Returns a label of each series of a metric, with its last value.
fn last(sandbox: &Sandbox, name: &str, label: &str) -> BTreeMap<String, f64> {
    let series = sandbox.amp.named(name).into_iter();
    series.map(|(labels, value)| (labels.get(label).cloned().unwrap_or_default(), value)).collect()
}

fn names(sandbox: &Sandbox) -> BTreeSet<String> {
    sandbox.amp.samples().into_iter().map(|(labels, ..)| labels["__name__"].clone()).collect()
}

fn ended(sandbox: &Sandbox, name: &str, label: &str) -> Vec<String> {
    let series = last(sandbox, name, label).into_iter();
    series.filter(|(_, value)| value.to_bits() == STALE_NAN).map(|(label, _)| label).collect()
}

#[tokio::test]
async fn untouched_fleet_has_series_from_the_first_run() {
    let sandbox = untouched(&[]).await;
    let every_run = [("ListTasks", 2), ("DescribeTasks", 1), ("DescribeClusters", 1), ("DescribeServices", 1)];
    let summary = sandbox.tick().await.unwrap();
    assert_eq!(
        calls(&sandbox),
        counts(&[&every_run[..], &[("DescribeTaskDefinition", 2), ("ListServices", 1)]].concat())
    );
    assert_eq!(
        (summary["clusters"].as_u64(), summary["services"].as_u64(), summary["tasks_without_source"].as_u64()),
        (Some(1), Some(2), Some(3)),
        "{summary}"
    );
    assert_eq!(sandbox.amp.named("ecs_task_cpu_reserved").len(), 3);
    assert_eq!(last(&sandbox, "ecs_service_desired_task_count", "aws_ecs_service_name")["web"], 3.0);
    assert_eq!(last(&sandbox, "ecs_service_running_task_count", "aws_ecs_service_name")["web"], 1.0);
    assert_eq!(last(&sandbox, "ecs_tasks_by_stats_source", "source")["none"], 3.0);
    assert_eq!(last(&sandbox, "ecs_cluster_task_count", "aws_ecs_cluster_name")["shop"], 3.0);
    let running = sandbox.amp.named("ecs_tasks").into_iter().filter(|(labels, _)| labels["last_status"] == "RUNNING");
    let running: BTreeMap<_, _> =
        running.map(|(labels, value)| (labels["aws_ecs_service_name"].clone(), value)).collect();
    assert_eq!(running, [("cart".to_owned(), 2.0), ("web".to_owned(), 1.0)].into());
    assert_eq!(summary["series"].as_u64(), Some(sandbox.amp.samples().len() as u64), "{summary}");

    sandbox.tick().await.unwrap();
    assert_eq!(calls(&sandbox), counts(&every_run), "definitions and the list of services are cached");
}

#[tokio::test]
async fn denied_or_throttled_call_costs_only_its_own_series() {
    let all = {
        let sandbox = untouched(&[]).await;
        sandbox.tick().await.unwrap();
        names(&sandbox)
    };
    let lost = |name: &str, prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    for (operation, prefixes) in [
        // Services that have tasks are named by their tasks.
        ("ListServices", &[][..]),
        ("DescribeServices", &["ecs_service_"]),
        // Without settings, tasks may have Container Insights.
        ("DescribeClusters", &["ecs_cluster_", "ecs_task_cpu_reserved", "ecs_task_memory_reserved"]),
    ] {
        for fault in ["AccessDeniedException", "ThrottlingException"] {
            let sandbox = untouched(&[]).await;
            sandbox.aws.ecs().faults.insert(operation, fault);
            sandbox.tick().await.unwrap();
            let expected: BTreeSet<_> = all.iter().filter(|name| !lost(name, prefixes)).cloned().collect();
            assert_eq!(names(&sandbox), expected, "{operation}: {fault}");
        }
    }
}

#[tokio::test]
async fn series_end_with_their_service_and_task() {
    let sandbox = untouched(&[]).await;
    sandbox.tick().await.unwrap();
    let id = format!("{:032x}", 3);
    {
        let mut ecs = sandbox.aws.ecs();
        ecs.set_status(&id, "STOPPED");
        let services = ecs.services.get_mut("shop").unwrap();
        services[0]["status"] = json!("INACTIVE");
        services.pop();
    }
    sandbox.tick().await.unwrap();
    for name in ["ecs_service_desired_task_count", "ecs_service_info", "ecs_service_deployment_count"] {
        assert_eq!(ended(&sandbox, name, "aws_ecs_service_name"), ["cart", "web"], "{name}");
    }
    for name in ["ecs_task_info", "ecs_task_cpu_reserved", "ecs_task_memory_reserved"] {
        assert_eq!(ended(&sandbox, name, "aws_ecs_task_id"), [id.as_str()], "{name}");
    }
    assert_eq!(ended(&sandbox, "ecs_tasks", "aws_ecs_service_name"), ["web"]);
    let written = sandbox.amp.samples().len();
    sandbox.tick().await.unwrap();
    let again = sandbox.amp.samples().split_off(written);
    let markers: Vec<_> = again.iter().filter(|(_, value, _)| value.to_bits() == STALE_NAN).collect();
    let of_service = markers.iter().filter(|(labels, ..)| labels["__name__"].starts_with("ecs_service_"));
    assert_eq!(of_service.count(), 0, "{markers:?}");
}

/// Writes of `ecs_tasks` with the status RUNNING, or of `ecs_tasks_by_stats_source` without a source, by cluster.
type Numbers = BTreeMap<String, f64>;

/// Returns the numbers of running tasks, and of tasks without a source, that were written after the first samples.
fn numbers(sandbox: &Sandbox, first: usize) -> [Numbers; 2] {
    let written = sandbox.amp.samples().split_off(first);
    [("ecs_tasks", "last_status", "RUNNING"), ("ecs_tasks_by_stats_source", "source", "none")].map(
        |(name, label, of)| {
            let rows = written.iter().filter(|(labels, ..)| labels["__name__"] == name && labels[label] == of);
            rows.map(|(labels, value, _)| (labels["aws_ecs_cluster_name"].clone(), *value)).collect()
        },
    )
}

/// Starts two clusters with a task of a service each.
async fn bank_and_shop(clusters: &str) -> Sandbox {
    let sandbox = Sandbox::start(&[DEFAULT, ("SIDECARLESS_CLUSTERS", clusters), ("SIDECARLESS_SOURCES", "push")]).await;
    for cluster in ["bank", "shop"] {
        let mut ecs = sandbox.aws.ecs();
        ecs.add_task(cluster, "cart", None);
        ecs.services.insert(cluster.into(), vec![service(cluster, "cart", 1, 1)]);
    }
    sandbox
}

#[tokio::test]
async fn failed_call_leaves_out_the_numbers_of_its_cluster() {
    let one_each = |clusters: &[&str]| {
        let numbers: Numbers = clusters.iter().map(|&cluster| (cluster.to_owned(), 1.0)).collect();
        [numbers.clone(), numbers]
    };
    for (operation, fault, of_next_run) in [
        ("ListTasks", "AccessDeniedException", &["shop"][..]),
        ("DescribeTasks", "AccessDeniedException", &["shop"]),
        // The tasks of the run before are counted.
        ("ListTasks", "ThrottlingException", &["bank", "shop"]),
        ("DescribeTasks", "ThrottlingException", &["bank", "shop"]),
    ] {
        let new = bank_and_shop("bank,shop").await;
        new.aws.ecs().cluster_faults.insert((operation, "bank"), fault);
        new.tick().await.unwrap();
        assert_eq!(numbers(&new, 0), one_each(&["shop"]), "{operation} in a new environment: {fault}");

        let sandbox = bank_and_shop("bank,shop").await;
        sandbox.tick().await.unwrap();
        assert_eq!(numbers(&sandbox, 0), one_each(&["bank", "shop"]));
        sandbox.aws.ecs().cluster_faults.insert((operation, "bank"), fault);
        let written = sandbox.amp.samples().len();
        sandbox.tick().await.unwrap();
        assert_eq!(numbers(&sandbox, written), one_each(of_next_run), "{operation}: {fault}");

        // The numbers of the run before the fault end with their service.
        {
            let mut ecs = sandbox.aws.ecs();
            ecs.cluster_faults.clear();
            ecs.set_status(&format!("{:032x}", 1), "STOPPED");
            ecs.services.get_mut("bank").unwrap()[0]["status"] = json!("INACTIVE");
        }
        let written = sandbox.amp.samples().len();
        sandbox.tick().await.unwrap();
        let [running, _] = numbers(&sandbox, written);
        assert_eq!(running["bank"].to_bits(), STALE_NAN, "{operation}: {fault}");
    }
}

#[tokio::test]
async fn clusters_that_are_not_listed_are_left_out() {
    let sandbox = bank_and_shop("bank,sh*").await;
    sandbox.tick().await.unwrap();
    sandbox.aws.ecs().faults.insert("ListClusters", "AccessDeniedException");
    let written = sandbox.amp.samples().len();
    sandbox.tick().await.unwrap();
    let bank = Numbers::from([("bank".to_owned(), 1.0)]);
    assert_eq!(numbers(&sandbox, written), [bank.clone(), bank]);
}

#[tokio::test]
async fn many_services_are_listed_by_page_and_described_in_parts() {
    let sandbox = untouched(&[]).await;
    let many = (0..250).map(|number| service("shop", &format!("service-{number:03}"), 1, 1));
    sandbox.aws.ecs().services.insert("shop".into(), many.collect());
    let summary = sandbox.tick().await.unwrap();
    // The services of the tasks do not exist.
    assert_eq!(summary["services"], 252, "{summary}");
    let first = calls(&sandbox);
    assert_eq!(first["ListServices"], 3);
    assert!((11..=15).contains(&first["DescribeServices"]), "half of them: {first:?}");
}

#[tokio::test]
async fn container_instances_have_series_until_they_are_gone() {
    let sandbox = untouched(&[]).await;
    let instances = (0..101).map(|number| container_instance("shop", &format!("{number:03}"))).collect();
    sandbox.aws.ecs().instances.insert("shop".into(), instances);
    sandbox.tick().await.unwrap();
    let first = calls(&sandbox);
    assert_eq!((first["ListContainerInstances"], first["DescribeContainerInstances"]), (2, 2));
    let remaining = last(&sandbox, "ecs_container_instance_cpu_remaining", "container_instance_id");
    assert_eq!((remaining.len(), remaining["100"]), (101, 1_024.0));
    sandbox.aws.ecs().instances.get_mut("shop").unwrap().clear();
    sandbox.tick().await.unwrap();
    assert_eq!(ended(&sandbox, "ecs_container_instance_status", "container_instance_id").len(), 101);
    assert!(!calls(&sandbox).contains_key("ListContainerInstances"), "the cluster has none");
}

#[tokio::test]
async fn no_series_has_two_values() {
    let task = Task::start().await;
    for sources in ["push,endpoint,insights", "endpoint", "insights", "prometheus"] {
        for insights in [None, Some("disabled"), Some("enhanced")] {
            for (state, stats) in [
                ("all", "all"),
                ("default", "default"),
                ("none", "all"),
                ("all", "ecs_task_ephemeral_storage_reserved"),
            ] {
                for stats_names in ["default", "both"] {
                    let settings = [
                        ("SIDECARLESS_SOURCES", sources),
                        ("SIDECARLESS_STATE_METRICS", state),
                        ("SIDECARLESS_STATS_METRICS", stats),
                        ("SIDECARLESS_STATS_NAMES", stats_names),
                    ];
                    let sandbox = untouched(&settings).await;
                    sandbox.aws.ecs().container_insights = insights;
                    sandbox.aws.ecs().add_task("shop", "api", Some(task.port()));
                    sandbox.tick().await.unwrap();
                    let mut seen = BTreeSet::new();
                    for (labels, value, at_ms) in sandbox.amp.samples() {
                        // The time of a series with two writers differs by the duration of the scrape.
                        assert!(seen.insert(labels.clone()), "{settings:?}, {insights:?}: {labels:?} {value} {at_ms}");
                    }
                    let has_reserved = |family: &str| {
                        let reserved = sandbox.amp.named("ecs_task_cpu_reserved");
                        reserved.iter().any(|(labels, _)| labels["aws_ecs_task_family"] == family)
                    };
                    let is_off = insights == Some("disabled") || !sources.contains("insights");
                    let is_written = state != "none" && is_off;
                    assert_eq!(has_reserved("cart"), is_written, "{settings:?}, {insights:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn run_with_shards_counts_the_sources_of_described_tasks() {
    let queue = ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards");
    let shards = [queue, ("SIDECARLESS_MAX_INLINE_TASKS", "0")];
    let sandbox = untouched(&shards).await;
    for (run, described) in [1, 0].into_iter().enumerate() {
        let summary = sandbox.tick().await.unwrap();
        assert_eq!(summary["shards_sent"], 1, "{summary}");
        assert_eq!(calls(&sandbox).get("DescribeTasks").copied().unwrap_or_default(), described, "run {run}");
        assert_eq!(last(&sandbox, "ecs_tasks_by_stats_source", "source")["none"], 3.0);
        assert!(sandbox.amp.named("ecs_tasks").is_empty(), "the status in a description may be minutes old");
    }

    // What is not complete is not written: it would be too low.
    for (call, settings) in
        [("DescribeTasks", &[][..]), ("ListTasks", &[]), ("", &[("SIDECARLESS_SOURCES", "endpoint")])]
    {
        let sandbox = untouched(&[&shards[..], settings].concat()).await;
        if !call.is_empty() {
            sandbox.aws.ecs().faults.insert(call, "AccessDeniedException");
        }
        // A run that can list nothing fails.
        let _ = sandbox.tick().await;
        assert!(sandbox.amp.named("ecs_tasks_by_stats_source").is_empty(), "{call} {settings:?}");
    }
}
