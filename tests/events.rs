//! Tests of the sample events in events/.

use std::collections::BTreeSet;
use std::path::Path;

use sidecarless::lambda::{Invocation, RequestOrigin, ScheduledRun};
use sidecarless::model::budget::Unlimited;
use sidecarless::receiver::{Authenticator, DecodedRequest, Encoding, decode_request};
use sidecarless::settings::{Auth, values};

/// Hash of `demo-token`, see events/README.md.
const TOKEN_SHA256: &str = "7c43ef5ae21d43ce2743f770c68e24def1a43ee2f416d2438410c8af7af2ff2c";

/// Expected content of a file.
enum Expected {
    Tick,
    Check,
    Spans(usize),
    Metrics(usize),
    Messages(usize),
    LogEvents,
    TaskChange,
    ServiceChange,
}

const EVENTS: [(&str, Expected); 10] = [
    ("scheduled-run.json", Expected::Tick),
    ("check.json", Expected::Check),
    ("scheduled-run-rule.json", Expected::Tick),
    ("push-traces.json", Expected::Spans(2)),
    ("push-metrics.json", Expected::Metrics(3)),
    ("shards.json", Expected::Messages(1)),
    ("container-insights.json", Expected::LogEvents),
    ("task-stopped.json", Expected::TaskChange),
    ("deployment-failed.json", Expected::ServiceChange),
    ("service-action.json", Expected::ServiceChange),
];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

#[test]
fn every_event_file_has_an_expectation() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> =
        files.filter(|name| Path::new(name).extension().is_some_and(|e| e == "json")).collect();
    assert_eq!(files, EVENTS.map(|(name, _)| name.to_owned()).into());
}

#[test]
fn events_are_parsed_as_expected() {
    let authenticator = Authenticator::new(Auth::Token, vec![values::sha256(TOKEN_SHA256).unwrap()]);
    for (name, expected) in EVENTS {
        let event = std::fs::read_to_string(folder().join(name)).unwrap();
        let invocation = Invocation::parse(&event).unwrap();
        match (expected, invocation) {
            (Expected::Check, Invocation::Check) => {}
            (Expected::Tick, Invocation::ScheduledRun(tick)) => {
                // The placeholder of EventBridge Scheduler is not a time.
                let scheduled_ms = (name == "scheduled-run-rule.json").then_some(1_795_389_900_000);
                assert_eq!(tick, ScheduledRun { scheduled_ms }, "{name}");
            }
            (Expected::Messages(number), Invocation::SqsMessages(messages)) => {
                assert_eq!(messages.len(), number, "{name}");
                assert!(messages.iter().all(|message| message.message_type().as_deref() == Some("shard")), "{name}");
            }
            (Expected::LogEvents, Invocation::LogEvents(_))
            | (Expected::TaskChange, Invocation::TaskStateChange(_))
            | (Expected::ServiceChange, Invocation::ServiceChange(_)) => {}
            (expected, Invocation::HttpRequest(request)) => {
                assert_eq!(request.origin, RequestOrigin::HttpApi, "{name}");
                let (number, wanted) =
                    match (expected, decode_request(&request, &authenticator, false, &Unlimited).unwrap()) {
                        (Expected::Spans(wanted), DecodedRequest::Traces(traces, Encoding::Protobuf)) => {
                            let scopes = traces.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
                            (scopes.map(|scope| scope.spans.len()).sum::<usize>(), wanted)
                        }
                        (
                            Expected::Metrics(wanted),
                            DecodedRequest::Metrics { metrics, encoding: Encoding::Protobuf, .. },
                        ) => {
                            let scopes = metrics.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
                            (scopes.map(|scope| scope.metrics.len()).sum::<usize>(), wanted)
                        }
                        (_, other) => panic!("{name}: {other:?}"),
                    };
                assert_eq!(number, wanted, "{name}");
            }
            (_, other) => panic!("{name}: {other:?}"),
        }
    }
}
