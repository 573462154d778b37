//! Resource attributes of the task that pushed telemetry: the task that signed the request, or the task that the resource
//! names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::discovery::Discovery;
use crate::lambda::Caller;
use crate::model::arn::Arn;
use crate::model::otlp::Resource;
use crate::model::signal::Signal;
use crate::model::task::Task;
use crate::translate::identity::{IdentitySource, TaskAttributes, claimed_task};

/// Time for the ECS lookups of one push. Telemetry without these attributes is better than none.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Tasks that are looked up for one push. A gateway may send for many tasks, but no client may cause a thousand ECS calls.
const MAX_TASKS_PER_PUSH: usize = 20;

/// Attaches task attributes to pushed telemetry.
#[derive(Debug)]
pub(in crate::handlers) struct TaskIdentifier {
    pub(in crate::handlers) discovery: Arc<Discovery>,
}

impl TaskIdentifier {
    /// Attaches the attributes of the sending task to every resource.
    pub(super) async fn attach<'a>(
        &self,
        resources: impl Iterator<Item = &'a mut Option<Resource>>,
        signal: Signal,
        caller: Option<&Caller>,
        deadline: &Deadline,
    ) {
        let signing_task = match caller {
            Some(caller) => deadline.timeout(LOOKUP_TIMEOUT, self.signing_task(caller, deadline)).await.flatten(),
            None => None,
        };
        if let Some(task) = signing_task {
            let attributes = TaskAttributes::from_task(&task);
            resources.for_each(|resource| {
                attributes.apply(resource.get_or_insert_default(), IdentitySource::Signature, signal)
            });
            return;
        }
        let started = deadline.elapsed();
        let mut by_arn: HashMap<String, Option<TaskAttributes>> = HashMap::new();
        for resource in resources.flatten() {
            let Some(arn) = claimed_task(resource) else { continue };
            if !by_arn.contains_key(arn) && by_arn.len() < MAX_TASKS_PER_PUSH {
                let timeout = LOOKUP_TIMEOUT.saturating_sub(deadline.elapsed() - started);
                let task = deadline.timeout(timeout, self.discovery.task_by_arn(arn, deadline)).await.flatten();
                by_arn.insert(arn.to_owned(), task.map(|task| TaskAttributes::from_task(&task)));
            }
            if let Some(Some(attributes)) = by_arn.get(arn) {
                attributes.apply(resource, IdentitySource::ResourceAttributes, signal);
            }
        }
    }

    async fn signing_task(&self, caller: &Caller, deadline: &Deadline) -> Option<Arc<Task>> {
        let session = Arn::parse(&caller.arn)?;
        let (role, name) = session.resource_of("assumed-role")?.rsplit_once('/')?;
        self.discovery.task_by_session(name, session.account, role, deadline).await
    }
}
