//! A stats endpoint inside a task, well or ill.

use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;

use super::http::{Answer, Heard, Server};

const TASK: &str = include_str!("../golden/task.json");
const STATS: &str = include_str!("../golden/task-stats.json");

pub(crate) struct Task {
    server: Server,
}

impl Task {
    /// One that serves its documents.
    pub(crate) async fn start() -> Self {
        let server = Server::start(|heard| match heard.path.as_str() {
            "/task" => Answer::of(200, "application/json", TASK),
            "/task/stats" => Answer::of(200, "application/json", STATS),
            _ => Answer::of(404, "text/plain", "not found"),
        });
        Self { server: server.await }
    }

    /// One that answers everything with the same.
    pub(crate) async fn ill(answer: Answer) -> Self {
        Self { server: Server::start(move |_| answer.clone()).await }
    }

    /// One whose answer to everything is what stands in a cell at that time, with the headers of the request for the test
    /// to look at.
    pub(crate) async fn saying(answer: Arc<Mutex<Answer>>, heard: Arc<Mutex<Vec<Heard>>>) -> Self {
        let serve = move |request: &Heard| {
            heard.lock().unwrap().push(request.clone());
            answer.lock().unwrap().clone()
        };
        Self { server: Server::start(serve).await }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.address.port()
    }
}

/// A port at which nobody listens.
pub(crate) async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}
