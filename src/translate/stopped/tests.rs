use super::*;
use crate::translate::stats::{LabelSelection, MetricSelection};

type Row = (String, f64);

fn container(name: &str, exit_code: Option<i32>, reason: Option<&str>) -> TaskContainer {
    TaskContainer {
        name: name.into(),
        image: "repo/cart:2.7.1".into(),
        last_status: if exit_code.is_some() { "STOPPED" } else { "RUNNING" }.into(),
        exit_code,
        reason: reason.map(Into::into),
        ..TaskContainer::default()
    }
}

fn task(stop_code: &str, reason: &str, containers: Vec<TaskContainer>) -> Task {
    let mut task = Task::from_arn("arn:aws:ecs:eu-west-1:111122223333:task/shop/5f0e");
    task.set_cluster("shop");
    task.set_definition("cart:12");
    task.set_group("service:cart-svc");
    task.started_by = "ecs-svc/42".into();
    task.last_status = "STOPPED".into();
    task.stop_code = Some(stop_code.into());
    task.stopped_reason = Some(reason.into());
    task.containers = containers;
    task
}

/// Returns the name and the labels in `shown` of each series, with its value.
fn rows(batch: &SeriesBatch, shown: &[&str]) -> Vec<Row> {
    let row = |labels: Vec<(&str, &str)>, value| {
        let value_of = |wanted: &&str| labels.iter().find(|(name, _)| name == wanted).map_or("-", |(_, value)| value);
        let text: Vec<_> = std::iter::once(&"__name__").chain(shown).map(value_of).collect();
        (text.join(" "), value)
    };
    batch.iter().map(|series| row(series.labels().collect(), series.samples()[0].value)).collect()
}

fn stop_rows(task: &Task, shown: &[&str]) -> Vec<Row> {
    let mut batch = SeriesBatch::default();
    let stop = StoppedTask { task, at_ms: 1_000 };
    let result = stopped_series(&stop, &Labels::default(), &Options::default(), &mut batch);
    assert_eq!(result.written, batch.point_count());
    rows(&batch, shown)
}

#[test]
fn task_out_of_memory_has_oom_killed_and_reason() {
    let mut cart = container("cart", Some(137), Some("OutOfMemoryError: Container killed due to memory usage"));
    cart.essential = Some(true);
    let sidecar = container("log", Some(137), None);
    let task = task("EssentialContainerExited", "Essential container in task exited", vec![sidecar, cart]);
    let rows =
        stop_rows(&task, &["container_name", "essential", "stop_code", "reason", "essential_container", "deployment"]);
    let row = |text: &str, value| (text.to_owned(), value);
    assert_eq!(
        rows,
        [
            row("ecs_container_oom_killed log - - - - -", 0.0),
            row("ecs_container_exit_code log - - - - -", 137.0),
            row("ecs_container_oom_killed cart true - - - -", 1.0),
            row("ecs_container_exit_code cart true - OutOfMemoryError - -", 137.0),
            row("ecs_task_stopped_info - - EssentialContainerExited essential_container_exited cart ecs-svc/42", 1.0),
        ]
    );
}

#[test]
fn sigkill_without_reason_is_oom_unless_ecs_sent_it() {
    for (stop_code, expected) in
        [("EssentialContainerExited", 1.0), ("ServiceSchedulerInitiated", 0.0), ("UserInitiated", 0.0)]
    {
        let rows = stop_rows(&task(stop_code, "", vec![container("cart", Some(137), None)]), &[]);
        assert_eq!(rows[0], ("ecs_container_oom_killed".into(), expected), "{stop_code}");
    }
}

/// Returns the containers that were out of memory, and the one that ended the task.
fn verdict(task: &Task) -> (Vec<String>, String) {
    let rows = stop_rows(task, &["container_name", "essential_container"]);
    let killed = rows.iter().filter(|(text, value)| text.starts_with("ecs_container_oom_killed") && *value == 1.0);
    let killed = killed.filter_map(|(text, _)| text.split(' ').nth(1).map(str::to_owned)).collect();
    let info = rows.iter().find(|(text, _)| text.starts_with("ecs_task_stopped_info"));
    (killed, info.and_then(|(text, _)| text.split(' ').nth(2)).unwrap_or_default().to_owned())
}

#[test]
fn container_that_ended_the_task_has_a_code_of_its_own() {
    let oom = Some("OutOfMemoryError: Container killed due to memory usage");
    for (app, sidecar, killed, ending) in [
        // A batch job, and a sidecar that ends in every way.
        ((0, None), (137, None), vec![], "app"),
        ((0, None), (143, None), vec![], "app"),
        ((0, None), (0, None), vec![], "app"),
        ((1, None), (137, None), vec![], "app"),
        ((1, None), (0, None), vec![], "app"),
        ((1, None), (143, None), vec![], "app"),
        ((139, None), (137, None), vec![], "app"),
        ((137, None), (1, None), vec![], "sidecar"),
        ((143, None), (137, None), vec!["sidecar"], "sidecar"),
        ((137, None), (143, None), vec!["app"], "app"),
        ((137, None), (137, None), vec!["app"], "app"),
        ((137, oom), (137, None), vec!["app"], "app"),
        ((137, oom), (0, None), vec!["app"], "app"),
        ((0, None), (137, oom), vec!["sidecar"], "sidecar"),
        ((1, oom), (137, None), vec!["app"], "app"),
        ((137, Some("CannotStopContainerError: timeout")), (143, None), vec![], "app"),
    ] {
        let containers = vec![container("app", Some(app.0), app.1), container("sidecar", Some(sidecar.0), sidecar.1)];
        let stopped = task("EssentialContainerExited", "Essential container in task exited", containers.clone());
        let killed: Vec<String> = killed.into_iter().map(str::to_owned).collect();
        assert_eq!(verdict(&stopped), (killed, ending.to_owned()), "{app:?} {sidecar:?}");
        let requested = task("ServiceSchedulerInitiated", "", containers);
        let is_oom = |reason: Option<&str>| reason.is_some_and(|reason| reason.starts_with("OutOfMemory"));
        let reported = [("app", app.1), ("sidecar", sidecar.1)].into_iter().filter(|(_, reason)| is_oom(*reason));
        let reported = reported.map(|(name, _)| name.to_owned()).collect();
        assert_eq!(verdict(&requested), (reported, "-".to_owned()), "{app:?} {sidecar:?} stopped by ECS");
    }
}

#[test]
fn task_without_a_stop_code_has_one_in_its_reason() {
    for (reason, killed, ending) in [
        ("Essential container in task exited", vec!["app".to_owned()], "app"),
        ("Scaling activity initiated by (deployment ecs-svc/42)", vec![], "-"),
        ("", vec![], "-"),
    ] {
        let mut stopped = task("", reason, vec![container("app", Some(137), None)]);
        stopped.stop_code = None;
        stopped.desired_status = "STOPPED".into();
        assert_eq!(verdict(&stopped), (killed, ending.to_owned()), "{reason}");
    }
}

#[test]
fn container_that_is_not_essential_did_not_end_the_task() {
    let mut sidecar = container("sidecar", Some(137), None);
    sidecar.essential = Some(false);
    for (code, killed) in [(0, vec![]), (143, vec![]), (137, vec!["app".to_owned()])] {
        let containers = vec![sidecar.clone(), container("app", Some(code), None)];
        let stopped = task("EssentialContainerExited", "", containers);
        assert_eq!(verdict(&stopped), (killed, "app".to_owned()), "{code}");
    }
}

#[test]
fn sigkill_in_a_running_task_does_not_come_from_ecs() {
    for (desired, killed) in [("RUNNING", vec!["migrate".to_owned()]), ("STOPPED", vec![])] {
        let containers = vec![container("migrate", Some(137), None), container("cart", None, None)];
        let mut running = task("", "", containers);
        (running.last_status, running.stop_code) = ("RUNNING".into(), None);
        running.desired_status = desired.into();
        assert_eq!(verdict(&running).0, killed, "{desired}");
    }
}

#[test]
fn container_that_stops_in_a_running_task_has_an_exit_code() {
    let mut running = task("", "", vec![container("migrate", Some(3), None), container("cart", None, None)]);
    running.last_status = "RUNNING".into();
    running.stop_code = None;
    let rows = stop_rows(&running, &["container_name"]);
    let row = |text: &str, value| (text.to_owned(), value);
    assert_eq!(rows, [row("ecs_container_oom_killed migrate", 0.0), row("ecs_container_exit_code migrate", 3.0)]);
}

#[test]
fn task_that_failed_to_start_has_an_error_and_no_container() {
    let failed =
        task("TaskFailedToStart", "CannotPullContainerError: no such image", vec![container("cart", None, None)]);
    let rows = stop_rows(&failed, &["stop_code", "reason", "essential_container"]);
    assert_eq!(rows, [("ecs_task_stopped_info TaskFailedToStart CannotPullContainerError -".to_owned(), 1.0)]);
}

fn stale(task: &Task, source: StatsSource, options: &Options) -> (SeriesBatch, StatsResult) {
    let mut batch = SeriesBatch::default();
    let result = stale_markers(&StoppedTask { task, at_ms: 1_000 }, source, &Labels::default(), options, &mut batch);
    assert_eq!(result.written, batch.point_count());
    (batch, result)
}

#[test]
fn series_of_a_stopped_task_end_with_staleness_markers() {
    let stopped = task("UserInitiated", "", vec![container("cart", Some(0), None)]);
    for (source, expected) in [(StatsSource::Endpoint, 11), (StatsSource::Insights, 9)] {
        let (batch, _) = stale(&stopped, source, &Options::default());
        assert_eq!(batch.len(), expected, "{source:?}");
        assert!(batch.iter().all(|series| series.samples()[0].value.to_bits() == STALE_NAN));
    }
}

#[test]
fn markers_of_running_series_have_no_exit_code() {
    let stopped = task("UserInitiated", "", vec![container("cart", Some(0), None)]);
    let options =
        Options { metrics: "container_cpu_utilized,container_duration".parse().unwrap(), ..Options::default() };
    let (batch, _) = stale(&stopped, StatsSource::Endpoint, &options);
    let codes = rows(&batch, &["aws_ecs_container_exit_code"]).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
    assert_eq!(codes, ["container_cpu_utilized -", "container_duration 0"]);
}

#[test]
fn series_with_unstable_labels_have_no_markers() {
    let stopped = task("UserInitiated", "", vec![container("cart", Some(0), None)]);
    let adot = Options { names: "both".parse().unwrap(), metrics: MetricSelection::all(), ..Options::default() };
    let (batch, result) = stale(&stopped, StatsSource::Endpoint, &adot);
    assert_eq!((batch.len(), result.rejected.total()), (53, 1));
    let all = Options { labels: LabelSelection::All, ..Options::default() };
    assert_eq!(stale(&stopped, StatsSource::Endpoint, &all).0.len(), 0);
}
