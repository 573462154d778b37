//! One minute of 10,000 tasks of one container with a stats endpoint each, through the real binary: a tick that makes shards
//! of them, and the shards. Prints calls, time, and the processor time and the most memory of the function. The time
//! includes the stand-ins, which share the processors with it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark stops at its first surprise, and prints"
)]

#[path = "../tests/ecs/fake_aws.rs"]
#[expect(dead_code, reason = "tests use more of it")]
mod fake_aws;
mod loopback;
#[allow(dead_code, unused_imports, reason = "the other benchmarks use more of it")]
mod payload;

use std::net::Ipv4Addr;
use std::sync::Mutex;

use fake_aws::{FakeAws, now_ms};
use loopback::Loopback;
use serde_json::{Value, json};

const TASKS: usize = 10_000;

/// Messages per invocation, as the template's event source mapping has it.
const MESSAGES_AT_ONCE: usize = 5;

fn main() {
    let mut stand = FakeAws::new();
    let loopback = Loopback::new();
    populate(&stand, loopback.port);
    let amp = format!("http://127.0.0.1:{}/api/v1/remote_write", loopback.port);
    let settings = [
        ("SIDECARLESS_SHARD_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/111122223333/shards"),
        ("AWS_PROMETHEUS_ENDPOINT", &*amp),
        ("SIDECARLESS_SOURCES", "endpoint"),
        ("SIDECARLESS_STOPPED_TASKS", "off"),
    ];
    stand.start(&settings);

    let before = now_ms();
    let reply = stand.invoke(&json!({"sidecarless": "scrape"}));
    let ticked = now_ms();
    assert_eq!(reply["shards_sent"], TASKS / 100, "{reply}");
    let shards = shards(&stand);
    let calls = stand.counted();
    println!("tick: {TASKS} tasks into {} shards in {} ms; calls {calls:?}", shards.len(), ticked - before);

    // The queue finds two environments, one for each core: in Lambda as many as it has pollers, five at first.
    stand.start(&settings);
    let started = now_ms();
    scrape(&stand, &shards);
    let took = now_ms() - started;
    let (samples, bytes) = loopback.samples();
    println!("shards: {samples} samples, {bytes} bytes in {took} ms; calls {:?}", stand.counted());
    println!("processor: {} ms", stand.processor_ms());
    println!("memory: {}", stand.peak_memory());
}

/// The tasks, which serve their stats at this port.
fn populate(stand: &FakeAws, port: u16) {
    let definition = "arn:aws:ecs:eu-west-1:111122223333:task-definition/cart:1";
    let labels = json!({"sidecarless.stats.port": port.to_string()});
    let described = json!({"networkMode": "awsvpc", "containerDefinitions": [{"name": "app", "dockerLabels": labels}]});
    stand.world(|world| {
        world.definitions.insert(definition.into(), described);
        world.tasks.insert("shop".into(), (0..TASKS).map(|n| task(n, definition)).collect());
    });
}

/// Hands the messages to both environments: each takes the next when it is done with what it had.
fn scrape(stand: &FakeAws, shards: &[Value]) {
    let queue = Mutex::new(shards.chunks(MESSAGES_AT_ONCE));
    let work = || {
        while let Some(records) = { queue.lock().expect("no panic").next() } {
            let reply = stand.invoke(&json!({"Records": records}));
            assert_eq!(reply, json!({"batchItemFailures": []}));
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
    u8::try_from(n).expect("a part of an address")
}

/// The messages that the tick has sent, as SQS would hand them over.
fn shards(stand: &FakeAws) -> Vec<Value> {
    stand.world(|world| {
        let sent = world.calls.iter().filter(|(operation, _)| operation == "SendMessageBatch");
        let entries = sent.flat_map(|(_, body)| body["Entries"].as_array().expect("entries").iter());
        let record = |(n, entry): (usize, &Value)| {
            json!({"messageId": n.to_string(), "receiptHandle": "h", "body": entry["MessageBody"], "eventSource": "aws:sqs"})
        };
        entries.enumerate().map(record).collect()
    })
}
