//! `sidecarless estimate` for tasks of a fake account.

use serde_json::{Value, json};

use super::fake_aws::FakeAws;
use super::{arn, definition, task};

/// Adds Fargate tasks with 0.5 vCPU and 1 GB, and a task on an instance.
fn fleet(aws: &FakeAws) {
    let with = |id: &str, changes: Value| {
        let mut task = task("shop", id, "cart");
        for (name, value) in changes.as_object().expect("an object") {
            task[name] = value.clone();
        }
        task
    };
    let attributes = json!([{"name": "ecs.cpu-architecture", "value": "arm64"}]);
    let collector = json!([
        {"name": "app", "lastStatus": "RUNNING"},
        {"name": "otel", "image": "public.ecr.aws/aws-observability/aws-otel-collector:v0.49.0", "cpu": "256", "memory": "512"},
    ]);
    let mut of_arm = definition("arm", "awsvpc", None);
    of_arm.1["runtimePlatform"] = json!({"cpuArchitecture": "ARM64"});
    aws.world(|world| {
        world.definitions.extend([definition("cart", "awsvpc", None), of_arm]);
        let tasks = vec![
            with("x86", json!({})),
            with("arm", json!({"attributes": attributes})),
            with("arm2", json!({"taskDefinitionArn": arn("task-definition", "arm:1")})),
            with("spot", json!({"capacityProviderName": "FARGATE_SPOT"})),
            with("collected", json!({"containers": collector})),
        ];
        let instances = json!({"launchType": "EC2", "clusterArn": arn("cluster", "bank")});
        world.tasks.insert("shop".into(), tasks);
        world.tasks.insert("bank".into(), vec![with("ec2", instances)]);
    });
}

fn estimate(aws: &FakeAws, arguments: &[&str]) -> (Option<i32>, String) {
    let clusters = ("SIDECARLESS_CLUSTERS", "shop,bank");
    let output = aws.command(&[clusters]).arg("estimate").args(arguments).output().expect("it runs");
    let text = if output.status.code() == Some(2) { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(text).expect("text"))
}

#[test]
fn tasks_of_the_account_are_counted() {
    let aws = FakeAws::new();
    fleet(&aws);
    let (code, json) = estimate(&aws, &["--json"]);
    assert_eq!(code, Some(0), "{json}");
    let output: Value = serde_json::from_str(&json).expect("JSON");
    let fleet = &output["fleet"];
    let counted = ["tasks", "containers", "with_sidecar", "clusters"].map(|name| fleet[name].as_u64());
    assert_eq!(counted, [6, 6, 1, 2].map(Some), "{fleet}");
    let groups = fleet["groups"].as_array().expect("groups").iter();
    let groups: Vec<_> =
        groups.map(|group| (group["launch_type"].as_str(), group["arch"].as_str(), group["tasks"].as_u64())).collect();
    let expected =
        [("fargate", "arm64", 2), ("fargate", "x86_64", 2), ("fargate_spot", "x86_64", 1), ("instances", "x86_64", 1)];
    assert_eq!(groups, expected.map(|(place, arch, tasks)| (Some(place), Some(arch), Some(tasks))));
    // Two on arm64, two on x86_64, one on x86_64 at 30 %. The task on an instance adds no cost.
    let expected = 2.0 * 7.208_75 + 2.3 * 9.010_025;
    assert!((output["sidecars"]["total_usd"].as_f64().expect("a number") - expected).abs() < 1e-6, "{output:#}");
    // 0.5 vCPU and 1 GB become 1 and 2, or 0.25 and 0.5 without the existing collector: 730 * (0.5 * 0.04048 +
    // 0.004445) = 18.02.
    let sizes: Vec<f64> =
        fleet["groups"].as_array().expect("groups").iter().filter_map(|group| group["sizes_usd"].as_f64()).collect();
    for (size, expected) in sizes.iter().zip([2.0 * 14.417_5, 18.020_05 + 9.010_025, 0.3 * 18.020_05, 0.0]) {
        assert!((size - expected).abs() < 1e-6, "{sizes:?}");
    }

    let (code, text) = estimate(&aws, &[]);
    assert_eq!(code, Some(0), "{text}");
    for line in [
        "6 tasks with 6 containers: 2 on Fargate (arm64), 2 on Fargate (x86_64), 1 on Fargate Spot (x86_64), 1 on instances (x86_64)",
        "Fargate bills task sizes: for 5 tasks, rounded up to the next size, the price difference with and without sidecars is $",
        "1 task with a collector or daemon: ",
        "6 tasks without a stats endpoint: ",
        "The tasks run in eu-west-1. Its prices differ from the prices of us-east-1.",
    ] {
        assert!(text.replace("\n  ", " ").contains(line), "{line}: {text}");
    }
}

#[test]
fn failed_calls_are_reported_with_exit_code_1() {
    let aws = FakeAws::new();
    fleet(&aws);
    aws.world(|world| {
        world.faults.insert(("ListTasks".into(), "bank".into()), "AccessDeniedException".into());
    });
    let (code, text) = estimate(&aws, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("5 tasks"), "{text}");
    assert!(text.contains("error: ListTasks failed for bank: AccessDeniedException"), "{text}");
}

#[test]
fn number_of_tasks_needs_no_api_calls() {
    let aws = FakeAws::new();
    let (code, text) = estimate(&aws, &["--tasks", "100"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("100 tasks with 200 containers: 100 on Fargate (x86_64)\n"), "{text}");
    let (code, text) = estimate(&aws, &["--tasks", "none"]);
    assert_eq!(
        (code, text.as_str()),
        (Some(2), "sidecarless: invalid --tasks \"none\": use an integer from 1 to 1000000\n")
    );
    assert_eq!(aws.counted(), std::collections::BTreeMap::new());
}
