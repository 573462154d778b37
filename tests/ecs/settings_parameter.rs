//! Settings in an SSM parameter: the command line and the function read it when they start.

use serde_json::Value;

use super::fake_aws::{FakeAws, now_ms};
use super::{shop_of, tick};

const PARAMETER: &str = "/shop/settings";
const NAMED: (&str, &str) = ("SIDECARLESS_SETTINGS_PARAMETER", PARAMETER);

fn with_parameter(value: &str) -> FakeAws {
    let aws = FakeAws::new();
    shop_of(&aws, 3);
    aws.world(|world| world.parameters.insert(PARAMETER.into(), value.into()));
    aws
}

/// Runs `sidecarless targets`, and returns its exit code and output.
fn targets(aws: &FakeAws, settings: &[(&str, &str)]) -> (Option<i32>, String) {
    let output = aws.command(settings).args(["targets", "--json"]).output().expect("it runs");
    let text = if output.status.code() == Some(2) { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(text).expect("text"))
}

#[test]
fn function_reads_the_settings_in_the_parameter() {
    let mut aws = with_parameter(
        "# only one of three\nSIDECARLESS_STATE_METRICS=ecs_task_info\nSIDECARLESS_EXTERNAL_LABELS=env=qa\n",
    );
    aws.start(&[NAMED]);
    aws.invoke(&tick(now_ms()));
    let series = aws.take_series();
    let state = series.iter().filter(|series| series.name().starts_with("ecs_"));
    assert_eq!(
        state.map(|series| (series.name(), series.label("env"))).collect::<Vec<_>>(),
        [("ecs_task_info", "qa"); 3]
    );
    assert_eq!(aws.counted().get("GetParameter"), Some(&1));
}

#[test]
fn errors_in_the_parameter_are_named() {
    for (value, expected) in [
        ("SIDECARLESS_TASK_FILTER=a", "SIDECARLESS_TASK_FILTER in the SSM parameter /shop/settings: "),
        (
            "SIDECARLESS_CLUSTRES=a",
            "SIDECARLESS_CLUSTRES in the SSM parameter /shop/settings: unknown setting: did you mean SIDECARLESS_CLUSTERS?",
        ),
        (
            "SIDECARLESS_CLUSTERS=bank",
            "SIDECARLESS_CLUSTERS: it is set twice, in the environment and in the SSM parameter /shop/settings",
        ),
        ("CLUSTERS=bank", "the SSM parameter /shop/settings: line 1 is no setting"),
    ] {
        let (code, text) = targets(&with_parameter(value), &[NAMED]);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.starts_with(&format!("sidecarless: {expected}")), "{text}");
    }
}

#[test]
fn parameter_that_cannot_be_read_is_an_error() {
    let aws = with_parameter("");
    let (code, text) = targets(&aws, &[("SIDECARLESS_SETTINGS_PARAMETER", "/other")]);
    let expected =
        "sidecarless: SIDECARLESS_SETTINGS_PARAMETER: cannot read the SSM parameter /other: 400 Bad Request: ";
    assert!(code == Some(2) && text.starts_with(expected) && text.contains("ParameterNotFound"), "{text}");
    let (code, text) = targets(&aws, &[NAMED, ("SIDECARLESS_SETTINGS", "SIDECARLESS_TASK_FILTER=service=other")]);
    assert_eq!(code, Some(0), "{text}");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    let included = list["targets"].as_array().expect("targets").iter().map(|target| &target["included"]);
    assert_eq!(included.collect::<Vec<_>>(), [&Value::Bool(false); 3], "{list:#}");
}
