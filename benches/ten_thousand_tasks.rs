//! Runs the real binary for one minute of 10,000 tasks, each with one container and a stats endpoint: a scheduled run
//! that splits the tasks into shards, and the shards. Prints calls, time, CPU time and peak memory of the function. The
//! time includes the test servers, which share the CPU cores with the function.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark fails with a panic, and prints figures"
)]

#[path = "../tests/ecs/fake_aws.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod fake_aws;
mod loopback;
#[allow(dead_code, unused_imports, reason = "other benchmarks use the rest")]
mod payload;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use fake_aws::{FakeAws, now_ms};
use loopback::Loopback;
use serde_json::{Value, json};

const TASKS: usize = 10_000;

/// Messages per invocation, as in the event source mapping of the template.
const BATCH_SIZE: usize = 5;

fn main() {
    let mut aws = FakeAws::new();
    let loopback = Loopback::new();
    populate(&aws, loopback.port);
    let amp = format!("http://127.0.0.1:{}/api/v1/remote_write", loopback.port);
    let settings = [
        ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards"),
        ("AWS_PROMETHEUS_ENDPOINT", &*amp),
        ("SIDECARLESS_SOURCES", "endpoint"),
        ("SIDECARLESS_STOPPED_TASKS", "off"),
    ];
    aws.start(&settings);

    let started = now_ms();
    let response = aws.invoke(&json!({"sidecarless": "scrape"}));
    let duration_ms = now_ms() - started;
    assert_eq!(response["shards_sent"], TASKS / 100, "{response}");
    let shards = shards(&aws);
    let calls = aws.counted();
    println!("scheduled run: {TASKS} tasks into {} shards in {duration_ms} ms; calls {calls:?}", shards.len());

    // Two environments process the queue, one for each core. In Lambda there is one for each poller, initially five.
    aws.start(&settings);
    let started = now_ms();
    scrape(&aws, &shards);
    let duration_ms = now_ms() - started;
    let (samples, bytes) = loopback.samples();
    println!("shards: {samples} samples, {bytes} bytes in {duration_ms} ms; calls {:?}", aws.counted());
    println!("processor: {} ms", aws.processor_ms());
    println!("memory: {}", aws.peak_memory());
}

/// Adds the tasks, which serve their stats at this port.
fn populate(aws: &FakeAws, port: u16) {
    let definition = "arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:1";
    let labels = json!({"sidecarless.stats.port": port.to_string()});
    let task_definition =
        json!({"networkMode": "awsvpc", "containerDefinitions": [{"name": "app", "dockerLabels": labels}]});
    aws.world(|world| {
        world.definitions.insert(definition.into(), task_definition);
        world.tasks.insert("shop".into(), (0..TASKS).map(|n| task(n, definition)).collect());
    });
}

/// Sends the messages to both environments. Each receives the next batch when it has processed the previous one.
fn scrape(aws: &FakeAws, shards: &[Value]) {
    let queue = Mutex::new(shards.chunks(BATCH_SIZE));
    let work = || {
        while let Some(records) = { queue.lock().expect("no panic").next() } {
            let response = aws.invoke(&json!({"Records": records}));
            assert_eq!(response, json!({"batchItemFailures": []}));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
}

fn task(n: usize, definition: &str) -> Value {
    let address = Ipv4Addr::new(127, byte(1 + n / 62_500), byte(n / 250 % 250), byte(1 + n % 250));
    let id = address.to_bits();
    json!({
        "taskArn": format!("arn:aws:ecs:eu-west-1:111122223333:task/shop/{id:032x}"),
        "clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop", "taskDefinitionArn": definition,
        "group": "service:cart-svc", "launchType": "FARGATE", "lastStatus": "RUNNING", "desiredStatus": "RUNNING",
        "attachments": [{"type": "ElasticNetworkInterface", "details": [{"name": "privateIPv4Address", "value": address}]}],
        "containers": [{"name": "app", "lastStatus": "RUNNING"}],
    })
}

fn byte(n: usize) -> u8 {
    u8::try_from(n).expect("one byte of an address")
}

/// Returns the messages of the scheduled run as records of an SQS event.
fn shards(aws: &FakeAws) -> Vec<Value> {
    aws.world(|world| {
        let sent = world.calls.iter().filter(|(operation, _)| operation == "SendMessageBatch");
        let entries = sent.flat_map(|(_, body)| body["Entries"].as_array().expect("entries").iter());
        let record = |(n, entry): (usize, &Value)| {
            json!({"messageId": n.to_string(), "receiptHandle": "h", "body": entry["MessageBody"], "eventSource": "aws:sqs"})
        };
        entries.enumerate().map(record).collect()
    })
}
