use super::*;
use crate::model::cluster::Cluster;
use crate::model::container_instance::{Capacity, ContainerInstance};
use crate::model::ecs::{HealthStatus, ServiceStatus};
use crate::model::series::{Labels, STALE_NAN, SeriesBatch};
use crate::model::service::{Deployment, Service};
use crate::model::task::{Task, TaskContainer};
use crate::translate::stats::{Options, StatsSource};

/// Returns the name and the labels in `shown` of each series, with its value; `stale` for a staleness marker.
fn rows(batch: &SeriesBatch, shown: &[&str]) -> Vec<String> {
    let text = |labels: Vec<(&str, &str)>, value: f64| {
        let value_of = |wanted: &&str| labels.iter().find(|(name, _)| name == wanted).map_or("-", |(_, value)| value);
        let mut text: Vec<String> =
            std::iter::once(&"__name__").chain(shown).map(value_of).map(str::to_owned).collect();
        text.push(if value.to_bits() == STALE_NAN { "stale".into() } else { value.to_string() });
        text.join(" ")
    };
    let mut rows: Vec<_> = batch.iter().map(|it| text(it.labels().collect(), it.samples()[0].value)).collect();
    rows.sort();
    rows
}

fn named(rows: &[String], name: &str) -> Vec<String> {
    rows.iter().filter(|row| row.split(' ').next() == Some(name)).cloned().collect()
}

fn service() -> Service {
    Service {
        status: ServiceStatus::Active,
        desired_tasks: 3,
        running_tasks: 2,
        pending_tasks: 1,
        deployments: 2,
        launch_type: "FARGATE".into(),
        scheduling_strategy: "REPLICA".into(),
        deployment_controller: "ECS".into(),
        task_definition_family: "cart".into(),
        created_at_ms: Some(1_500),
        primary: Some(Deployment {
            rollout_state: "IN_PROGRESS".into(),
            failed_tasks: 4,
            desired_tasks: 3,
            created_at_ms: Some(2_000),
            updated_at_ms: None,
            ..Deployment::default()
        }),
        ..Service::from_arn("arn:aws:ecs:eu-west-1:111122223333:service/shop/cart", "shop")
    }
}

fn service_rows(service: &Service, shown: &[&str]) -> Vec<String> {
    let mut batch = SeriesBatch::default();
    StateWriter::new(StateSelection::default(), 1_000, &mut batch).service(service, &Labels::default());
    rows(&batch, shown)
}

#[test]
fn service_has_counts_and_its_newest_deployment() {
    let rows = service_rows(&service(), &["status", "rollout_state"]);
    assert_eq!(
        rows,
        [
            "ecs_service_created_time_seconds - - 1.5",
            "ecs_service_deployment_count - - 2",
            "ecs_service_deployment_created_time_seconds - - 2",
            "ecs_service_deployment_desired_task_count - - 3",
            "ecs_service_deployment_failed_task_count - - 4",
            "ecs_service_deployment_pending_task_count - - 0",
            "ecs_service_deployment_rollout_state - COMPLETED 0",
            "ecs_service_deployment_rollout_state - FAILED 0",
            "ecs_service_deployment_rollout_state - IN_PROGRESS 1",
            "ecs_service_deployment_running_task_count - - 0",
            "ecs_service_desired_task_count - - 3",
            "ecs_service_info - - 1",
            "ecs_service_pending_task_count - - 1",
            "ecs_service_running_task_count - - 2",
            "ecs_service_status ACTIVE - 1",
            "ecs_service_status DRAINING - 0",
            "ecs_service_task_set_count - - 0",
        ]
    );
    let shown =
        ["launchtype", "scheduling_strategy", "deployment_controller", "task_definition_family", "capacity_provider"];
    let info = named(&service_rows(&service(), &shown), "ecs_service_info");
    assert_eq!(info, ["ecs_service_info fargate REPLICA ECS cart - 1"]);
}

#[test]
fn counts_have_the_labels_of_container_insights() {
    let mut batch = SeriesBatch::default();
    let extra: Labels = [("env", "prod"), ("cloud_region", "moon")].into_iter().collect();
    StateWriter::new("ecs_service_desired_task_count".parse().unwrap(), 1_000, &mut batch).service(&service(), &extra);
    let labels: Vec<String> =
        batch.iter().flat_map(|series| series.labels().map(|(name, value)| format!("{name}={value}"))).collect();
    assert_eq!(
        labels,
        [
            "__name__=ecs_service_desired_task_count",
            "aws_ecs_cluster_name=shop",
            "aws_ecs_service_name=cart",
            "cloud_account_id=111122223333",
            "cloud_region=eu-west-1",
            "env=prod",
        ]
    );
}

#[test]
fn deployment_without_rollout_state_has_no_state() {
    let mut other = service();
    other.primary.as_mut().unwrap().rollout_state = "".into();
    assert!(named(&service_rows(&other, &[]), "ecs_service_deployment_rollout_state").is_empty());
    other.primary = None;
    assert_eq!(named(&service_rows(&other, &[]), "ecs_service_deployment_failed_task_count").len(), 0);
}

#[test]
fn changed_labels_end_the_series_before() {
    let (mut batch, before) = (SeriesBatch::default(), service());
    let now = Service { capacity_provider: "FARGATE_SPOT".into(), launch_type: "".into(), primary: None, ..service() };
    let mut writer = StateWriter::new(
        "ecs_service_info,ecs_service_deployment_failed_task_count".parse().unwrap(),
        1_000,
        &mut batch,
    );
    writer.service(&now, &Labels::default());
    writer.action = Action::End;
    writer.service(&before, &Labels::default());
    assert_eq!(writer.written, 3);
    assert_eq!(
        rows(&batch, &["launchtype", "capacity_provider"]),
        [
            "ecs_service_deployment_failed_task_count - - stale",
            "ecs_service_info - FARGATE_SPOT 1",
            "ecs_service_info fargate - stale",
        ]
    );
}

#[test]
fn cluster_and_container_instance_have_their_capacity() {
    let cluster = Cluster { running_tasks: 7, ..Cluster::from_arn("arn:aws:ecs:eu-west-1:111122223333:cluster/shop") };
    let instance = ContainerInstance {
        ec2_instance_id: "i-1".into(),
        availability_zone: "eu-west-1b".into(),
        status: "DRAINING".into(),
        agent_connected: true,
        registered: Capacity { cpu: Some(2_048), memory_mib: Some(7_680) },
        remaining: Capacity { cpu: Some(512), memory_mib: None },
        ..ContainerInstance::from_arn("arn:aws:ecs:eu-west-1:111122223333:container-instance/shop/5f0e", "shop")
    };
    let mut batch = SeriesBatch::default();
    let mut writer = StateWriter::new(StateSelection::all(), 1_000, &mut batch);
    writer.cluster(&cluster, &Labels::default());
    writer.container_instance(&instance, &Labels::default());
    assert_eq!(
        rows(&batch, &["container_instance_id", "ec2_instance_id", "cloud_availability_zone", "status"]),
        [
            "ecs_cluster_container_instance_count - - - - 0",
            "ecs_cluster_pending_task_count - - - - 0",
            "ecs_cluster_service_count - - - - 0",
            "ecs_cluster_task_count - - - - 7",
            "ecs_container_instance_agent_connected 5f0e i-1 eu-west-1b - 1",
            "ecs_container_instance_cpu_registered 5f0e i-1 eu-west-1b - 2048",
            "ecs_container_instance_cpu_remaining 5f0e i-1 eu-west-1b - 512",
            "ecs_container_instance_memory_registered 5f0e i-1 eu-west-1b - 7680",
            "ecs_container_instance_pending_task_count 5f0e i-1 eu-west-1b - 0",
            "ecs_container_instance_running_task_count 5f0e i-1 eu-west-1b - 0",
            "ecs_container_instance_status 5f0e i-1 eu-west-1b ACTIVE 0",
            "ecs_container_instance_status 5f0e i-1 eu-west-1b DRAINING 1",
        ]
    );
}

fn task() -> Task {
    let mut task = Task::from_arn("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e");
    task.set_cluster("shop");
    task.set_definition("cart:12");
    task.set_group("service:cart");
    Task {
        launch_type: "FARGATE".into(),
        last_status: "RUNNING".into(),
        started_by: "ecs-svc/42".into(),
        platform_version: "1.4.0".into(),
        cpu_architecture: "ARM64".into(),
        cpu: Some(512.0),
        started_at_ms: Some(3_000),
        pull_started_at_ms: Some(1_000),
        pull_stopped_at_ms: Some(1_250),
        ephemeral_storage_gib: Some(20),
        containers: vec![TaskContainer {
            name: "app".into(),
            image: "shop/cart:2.7.1".into(),
            image_digest: "sha256:0f".into(),
            essential: Some(true),
            memory_mib: Some(300),
            ..TaskContainer::default()
        }],
        ..task
    }
}

fn task_rows(
    task: &Task,
    source: Option<StatsSource>,
    action: Action,
    options: &Options,
    shown: &[&str],
) -> Vec<String> {
    let (mut batch, extra) = (SeriesBatch::default(), Labels::default());
    let state = StateTask { task, source, extra: &extra, options };
    let mut writer = StateWriter { action, ..StateWriter::new(StateSelection::all(), 9_000, &mut batch) };
    writer.task(&state);
    let written = writer.written;
    assert_eq!(written, batch.point_count());
    rows(&batch, shown)
}

#[test]
fn reservations_are_written_only_without_another_source() {
    let reserved = |source, options: &Options| {
        let rows = task_rows(&task(), source, Action::Write, options, &[]);
        rows.into_iter().filter(|row| row.contains("_reserved")).collect::<Vec<_>>().join(", ")
    };
    let options = Options::default();
    assert_eq!(reserved(Some(StatsSource::Endpoint), &options), "");
    assert_eq!(reserved(Some(StatsSource::Insights), &options), "");
    assert_eq!(
        reserved(None, &options),
        "ecs_task_cpu_reserved 512, ecs_task_ephemeral_storage_reserved 20480, ecs_task_memory_reserved 300",
        "the memory is the sum of the containers"
    );
    let mut without = task();
    (without.cpu, without.memory_mib, without.ephemeral_storage_gib) = (None, None, None);
    for container in &mut without.containers {
        (container.cpu, container.memory_mib) = (Some(0.0), None);
    }
    let rows = task_rows(&without, None, Action::Write, &options, &[]);
    assert!(!rows.iter().any(|row| row.contains("_reserved")), "no reservation is not 0: {rows:?}");
    let adot = Options { names: "adot".parse().unwrap(), ..Options::default() };
    assert!(reserved(None, &adot).starts_with("ecs_task_cpu_reserved_None 512, "));
}

#[test]
fn task_info_has_only_labels_that_do_not_change() {
    let shown =
        ["capacity_provider", "platform_version", "cpu_architecture", "deployment", "started_by", "stats_source"];
    let info = |task: &Task, source| {
        named(&task_rows(task, source, Action::Write, &Options::default(), &shown), "ecs_task_info").join("")
    };
    assert_eq!(info(&task(), None), "ecs_task_info - 1.4.0 arm64 ecs-svc/42 - none 1");
    let other = Task { started_by: "cron".into(), capacity_provider: Some("SPOT".into()), ..task() };
    assert_eq!(info(&other, Some(StatsSource::Endpoint)), "ecs_task_info SPOT 1.4.0 arm64 - cron endpoint 1");
}

#[test]
fn health_is_not_written_while_it_is_unknown() {
    let health = |health: HealthStatus, action| {
        let mut task = task();
        task.containers[0].has_health_check = true;
        task.containers[0].health = health.clone();
        task.health = health;
        let rows = task_rows(&task, None, action, &Options::default(), &["health_status"]);
        rows.into_iter().filter(|row| row.contains("_health_status")).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(health(HealthStatus::Unknown, Action::Write), "");
    assert_eq!(
        health(HealthStatus::Unhealthy, Action::Write),
        "ecs_container_health_status HEALTHY 0, ecs_container_health_status UNHEALTHY 1, \
         ecs_task_health_status HEALTHY 0, ecs_task_health_status UNHEALTHY 1"
    );
    assert!(health(HealthStatus::Unknown, Action::End).ends_with("ecs_task_health_status UNHEALTHY stale"));
}

#[test]
fn each_series_of_a_task_ends_when_it_stops() {
    for labels in ["stable", "aws_ecs_task_id,container_name"] {
        for names in ["default", "adot", "both"] {
            let options =
                Options { labels: labels.parse().unwrap(), names: names.parse().unwrap(), ..Options::default() };
            for source in [None, Some(StatsSource::Insights), Some(StatsSource::Endpoint)] {
                let mut running = task();
                running.containers[0].gpus = 1;
                let mut stopped = running.clone();
                stopped.last_status = "STOPPED".into();
                stopped.containers[0].exit_code = Some(137);
                let shown = ["stats_source", "container_name", "aws_ecs_container_exit_code"];
                let series = |task: &Task, action| -> Vec<String> {
                    let rows = task_rows(task, source, action, &options, &shown).into_iter();
                    rows.filter(|row| !row.contains("reserved_"))
                        .map(|row| row.rsplit_once(' ').unwrap().0.to_owned())
                        .collect()
                };
                assert_eq!(series(&stopped, Action::End), series(&running, Action::Write), "{names} {source:?}");
            }
        }
    }
}

#[test]
fn groups_without_tasks_are_0_while_their_service_exists() {
    let mut first = TaskGroups::default();
    let standalone = |family: &str| {
        let mut task = Task { service: None, ..task() };
        task.set_definition(&format!("{family}:1"));
        task
    };
    first.add(&Task { last_status: "PROVISIONING".into(), ..task() });
    first.add(&task());
    first.add(&task());
    first.add(&standalone("batch"));
    let mut second = TaskGroups::default();
    second.keep_empty(&first, |group| group.service.is_some());
    let metrics: StateSelection = "ecs_tasks".parse().unwrap();
    let shown = ["aws_ecs_service_name", "aws_ecs_task_family", "aws_ecs_launchtype", "last_status"];
    let mut batch = SeriesBatch::default();
    StateWriter::new(metrics, 1, &mut batch).task_groups(&first, |_| Labels::default());
    assert_eq!(
        rows(&batch, &shown),
        [
            "ecs_tasks - batch fargate ACTIVATING 0",
            "ecs_tasks - batch fargate DEACTIVATING 0",
            "ecs_tasks - batch fargate PENDING 0",
            "ecs_tasks - batch fargate RUNNING 1",
            "ecs_tasks cart - fargate ACTIVATING 0",
            "ecs_tasks cart - fargate DEACTIVATING 0",
            "ecs_tasks cart - fargate PENDING 0",
            "ecs_tasks cart - fargate PROVISIONING 1",
            "ecs_tasks cart - fargate RUNNING 2",
        ]
    );
    let mut batch = SeriesBatch::default();
    let mut writer = StateWriter::new(metrics, 2, &mut batch);
    writer.task_groups(&second, |_| Labels::default());
    writer.action = Action::End;
    writer.task_groups(&first, |_| Labels::default());
    let ended: Vec<_> = rows(&batch, &shown).into_iter().filter(|row| row.ends_with("stale")).collect();
    assert_eq!(ended.len(), 5, "{ended:?}");
    assert!(ended.contains(&"ecs_tasks cart - fargate PROVISIONING stale".to_owned()));
    assert!(rows(&batch, &shown).contains(&"ecs_tasks cart - fargate RUNNING 0".to_owned()));
}

#[test]
fn all_sources_are_written_for_a_cluster() {
    let mut counts = SourceCounts::default();
    counts.add(None);
    counts.add(Some(StatsSource::Insights));
    counts.add(None);
    assert_eq!(counts.total(), 3);
    let mut batch = SeriesBatch::default();
    let cluster = Cluster::from_arn("arn:aws:ecs:eu-west-1:111122223333:cluster/shop");
    StateWriter::new(StateSelection::default(), 1, &mut batch).sources(&cluster, &counts, &Labels::default());
    assert_eq!(
        rows(&batch, &["aws_ecs_cluster_name", "source"]),
        [
            "ecs_tasks_by_stats_source shop endpoint 0",
            "ecs_tasks_by_stats_source shop insights 1",
            "ecs_tasks_by_stats_source shop none 2",
            "ecs_tasks_by_stats_source shop push 0",
        ]
    );
}
