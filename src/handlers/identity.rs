//! Whose telemetry is pushed: the task that has signed the request, or that its resources name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::lambda::Caller;
use crate::model::arn::Arn;
use crate::model::otlp::Resource;
use crate::model::signal::Signal;
use crate::model::task::Task;
use crate::translate::identity::{IdentitySource, TaskAttributes, claimed_task};

/// Time for asking ECS who the senders of a push are. Telemetry that does not say it is better than none.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Tasks looked up for one push: a gateway may send for many, and nobody can have a thousand asked for.
const TASKS_PER_PUSH: usize = 20;

impl Pipeline {
    /// Puts on every resource what ECS says of the task that sends it.
    pub(super) async fn attach_task_attributes<'a>(
        &self,
        resources: impl Iterator<Item = &'a mut Option<Resource>>,
        signal: Signal,
        caller: Option<&Caller>,
        deadline: &Deadline,
    ) {
        if !self.settings.identity {
            return;
        }
        let signed = match caller {
            Some(caller) => deadline.timeout(LOOKUP_TIMEOUT, self.signing_task(caller, deadline)).await.flatten(),
            None => None,
        };
        if let Some(task) = signed {
            let identity = TaskAttributes::from_task(&task);
            resources.for_each(|resource| {
                identity.apply(resource.get_or_insert_default(), IdentitySource::Signature, signal)
            });
            return;
        }
        let asked_since = deadline.elapsed();
        let mut identities: HashMap<String, Option<TaskAttributes>> = HashMap::new();
        for resource in resources.flatten() {
            let Some(arn) = claimed_task(resource) else { continue };
            if !identities.contains_key(arn) && identities.len() < TASKS_PER_PUSH {
                let patience = LOOKUP_TIMEOUT.saturating_sub(deadline.elapsed() - asked_since);
                let task = deadline.timeout(patience, self.discovery.task_by_arn(arn, deadline)).await.flatten();
                identities.insert(arn.to_owned(), task.map(|task| TaskAttributes::from_task(&task)));
            }
            if let Some(Some(identity)) = identities.get(arn) {
                identity.apply(resource, IdentitySource::ResourceAttributes, signal);
            }
        }
    }

    async fn signing_task(&self, caller: &Caller, deadline: &Deadline) -> Option<Arc<Task>> {
        let session = Arn::parse(&caller.arn)?;
        let (role, name) = session.resource_of("assumed-role")?.rsplit_once('/')?;
        self.discovery.task_by_session(name, session.account, role, deadline).await
    }
}
