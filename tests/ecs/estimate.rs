//! `sidecarless estimate` over the tasks that ECS tells of.

use serde_json::{Value, json};

use super::fake_aws::FakeAws;
use super::{arn, definition, task};

/// Of a Fargate task of the shop: 0.5 vCPU and 1 GB.
fn fleet(stand: &FakeAws) {
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
    stand.world(|world| {
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

fn estimate(stand: &FakeAws, arguments: &[&str]) -> (Option<i32>, String) {
    let clusters = ("SIDECARLESS_CLUSTERS", "shop,bank");
    let output = stand.command(&[clusters]).arg("estimate").args(arguments).output().expect("it runs");
    let text = if output.status.code() == Some(2) { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(text).expect("text"))
}

#[test]
fn tasks_of_the_account_are_counted_as_ecs_describes_them() {
    let stand = FakeAws::new();
    fleet(&stand);
    let (code, json) = estimate(&stand, &["--json"]);
    assert_eq!(code, Some(0), "{json}");
    let said: Value = serde_json::from_str(&json).expect("JSON");
    let fleet = &said["fleet"];
    let counted = ["tasks", "containers", "with_sidecar", "clusters"].map(|name| fleet[name].as_u64());
    assert_eq!(counted, [6, 6, 1, 2].map(Some), "{fleet}");
    let groups = fleet["groups"].as_array().expect("groups").iter();
    let groups: Vec<_> =
        groups.map(|group| (group["launch_type"].as_str(), group["arch"].as_str(), group["tasks"].as_u64())).collect();
    let expected =
        [("fargate", "arm64", 2), ("fargate", "x86_64", 2), ("fargate_spot", "x86_64", 1), ("instances", "x86_64", 1)];
    assert_eq!(groups, expected.map(|(place, arch, tasks)| (Some(place), Some(arch), Some(tasks))));
    // Two on arm64, two on x86_64, and one on x86_64 at 30 %; nothing for the one on an instance.
    let expected = 2.0 * 7.208_75 + 2.3 * 9.010_025;
    assert!((said["sidecars"]["total_usd"].as_f64().expect("a number") - expected).abs() < 1e-6, "{said:#}");
    // 0.5 vCPU and 1 GB become 1 and 2, or 0.25 and 0.5 where the collector goes: 730 * (0.5 * 0.04048 + 0.004445) = 18.02.
    let sizes: Vec<f64> =
        fleet["groups"].as_array().expect("groups").iter().filter_map(|group| group["sizes_usd"].as_f64()).collect();
    for (found, expected) in sizes.iter().zip([2.0 * 14.417_5, 18.020_05 + 9.010_025, 0.3 * 18.020_05, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{sizes:?}");
    }

    let (code, text) = estimate(&stand, &[]);
    assert_eq!(code, Some(0), "{text}");
    for said in [
        "6 tasks with 6 containers: 2 on Fargate (arm64), 2 on Fargate (x86_64), 1 on Fargate Spot (x86_64), 1 on instances (x86_64)",
        "Fargate sells sizes: 5 tasks of those that run, rounded up to them, differ by $",
        "With a collector today: 1 task.",
        "Without a stats endpoint: 6 tasks.",
        "The tasks run in eu-west-1, where prices differ from those of us-east-1.",
    ] {
        assert!(text.replace("\n  ", " ").contains(said), "{said}: {text}");
    }
}

#[test]
fn tasks_that_cannot_be_listed_are_told_and_end_with_one() {
    let stand = FakeAws::new();
    fleet(&stand);
    stand.world(|world| {
        world.faults.insert(("ListTasks".into(), "bank".into()), "AccessDeniedException".into());
    });
    let (code, text) = estimate(&stand, &[]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("5 tasks"), "{text}");
    assert!(text.contains("error: ListTasks failed for bank: AccessDeniedException"), "{text}");
}

#[test]
fn a_number_of_tasks_asks_nobody_and_a_bad_option_ends_with_two() {
    let stand = FakeAws::new();
    let (code, text) = estimate(&stand, &["--tasks", "100"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("100 tasks with 200 containers: 100 on Fargate (x86_64)\n"), "{text}");
    let (code, text) = estimate(&stand, &["--tasks", "none"]);
    assert_eq!(
        (code, text.as_str()),
        (Some(2), "sidecarless: invalid --tasks \"none\": use an integer from 1 to 1000000\n")
    );
    assert_eq!(stand.counted(), std::collections::BTreeMap::new());
}
