//! SQS: accepts messages, alone or in batches of ten, and visibility timeouts.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{RecordedRequest, StubResponse};

#[derive(Default)]
pub(crate) struct State {
    /// Bodies of accepted messages.
    pub(crate) bodies: Vec<String>,
    /// Queues in which messages were deferred.
    pub(crate) deferred_in: Vec<String>,
}

/// Returns the response, or `None` if the request is for another service.
pub(crate) fn serve(state: &Arc<Mutex<State>>, request: &RecordedRequest) -> Option<StubResponse> {
    let (_, operation) = request.header("x-amz-target").split_once("AmazonSQS.")?;
    let input: Value = serde_json::from_slice(&request.body).unwrap();
    let mut state = state.lock().unwrap();
    let body = match operation {
        "SendMessage" => json!({"MessageId": state.take(&input), "MD5OfMessageBody": ""}),
        "SendMessageBatch" => {
            let entries = input["Entries"].as_array().unwrap();
            let mut taken =
                |entry: &Value| json!({"Id": entry["Id"], "MessageId": state.take(entry), "MD5OfMessageBody": ""});
            json!({"Successful": entries.iter().map(&mut taken).collect::<Vec<_>>(), "Failed": []})
        }
        "ChangeMessageVisibility" => {
            assert!(input["VisibilityTimeout"].is_i64(), "{input}");
            state.deferred_in.push(input["QueueUrl"].as_str().unwrap().to_owned());
            json!({})
        }
        "GetQueueAttributes" => json!({"Attributes": {"ApproximateNumberOfMessages": "0"}}),
        other => panic!("unsupported SQS operation {other}"),
    };
    Some(StubResponse::of(200, "application/x-amz-json-1.0", body.to_string()))
}

impl State {
    fn take(&mut self, message: &Value) -> String {
        let body = message["MessageBody"].as_str().unwrap();
        assert!(body.len() <= 1 << 20, "a message of {} bytes", body.len());
        self.bodies.push(body.to_owned());
        format!("m-{}", self.bodies.len())
    }
}
