//! Resource attributes of the task that pushed telemetry: the task that signed the request, or the task that the resource
//! names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::discovery::{Discovery, LookupClient, LookupError};
use crate::lambda::{Caller, Request};
use crate::model::arn::Arn;
use crate::model::otlp::{KeyValue, Resource};
use crate::model::signal::Signal;
use crate::model::task::Task;
use crate::receiver;
use crate::translate::identity::{IdentitySource, TaskAttributes, claimed_task, withhold_identity};
use crate::translate::sender::Sender;

/// Time for the ECS lookups of one push. Telemetry without these attributes is better than none.
pub(super) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Tasks that are looked up for one push. A gateway may send for many tasks, but no client may cause a thousand ECS calls.
const MAX_TASKS_PER_PUSH: usize = 20;

/// Maximum number of attributes of a task.
const TASK_ATTRIBUTES: usize = 32;

/// Returns the memory for the attributes of resources after those of their tasks were added. Their texts are shared.
pub(super) fn attribute_bytes<'a>(resources: impl Iterator<Item = &'a Option<Resource>>) -> usize {
    let attributes = |resource: &Option<Resource>| resource.as_ref().map_or(0, |resource| resource.attributes.len());
    resources.map(|resource| (attributes(resource) + TASK_ATTRIBUTES) * size_of::<KeyValue>()).sum()
}

/// Attaches task attributes to pushed telemetry.
#[derive(Debug)]
pub(in crate::handlers) struct TaskIdentifier {
    pub(in crate::handlers) discovery: Arc<Discovery>,
}

impl TaskIdentifier {
    /// Attaches the attributes of the sending task to every resource. Returns the task that signed the request, if ECS confirms it.
    /// Points and spans must be [protected](Sender) afterwards.
    pub(super) async fn attach<'a>(
        &self,
        resources: impl Iterator<Item = &'a mut Option<Resource>>,
        signal: Signal,
        request: &Request,
        deadline: &Deadline,
    ) -> Option<Arc<Task>> {
        // Telemetry without these attributes is better than late telemetry.
        let client = LookupClient { sender: receiver::sender(request), max_wait: Duration::ZERO };
        let Some(caller) = &request.caller else {
            self.complete_claims(resources.flatten(), signal, client, deadline).await;
            return None;
        };
        let signing_task = self.signing_task(caller, client, deadline);
        let Some(Ok(task)) = deadline.timeout(LOOKUP_TIMEOUT, signing_task).await else {
            // Its role may be the role of one task, and its attributes those of another.
            resources.flatten().for_each(withhold_identity);
            return None;
        };
        let attributes = TaskAttributes::from_task(&task);
        resources
            .for_each(|resource| attributes.apply(resource.get_or_insert_default(), IdentitySource::Signature, signal));
        Some(task)
    }

    /// Returns what is known about the sender of a request, with the task that signed it.
    pub(super) fn sender(request: &Request, task: Option<&Arc<Task>>) -> Sender {
        match (&request.caller, task) {
            (None, _) => Sender::Unsigned,
            (Some(_), Some(_)) => Sender::Task,
            (Some(_), None) => Sender::Unknown,
        }
    }

    /// Adds the attributes of the tasks that resources name.
    async fn complete_claims<'a>(
        &self,
        resources: impl Iterator<Item = &'a mut Resource>,
        signal: Signal,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) {
        let started = deadline.elapsed();
        let mut by_arn: HashMap<String, Option<TaskAttributes>> = HashMap::new();
        for resource in resources {
            let Some(arn) = claimed_task(resource) else { continue };
            if !by_arn.contains_key(arn) && by_arn.len() < MAX_TASKS_PER_PUSH {
                let timeout = LOOKUP_TIMEOUT.saturating_sub(deadline.elapsed() - started);
                let task = deadline.timeout(timeout, self.discovery.task_by_arn(arn, client, deadline)).await;
                let task = task.and_then(Result::ok);
                by_arn.insert(arn.to_owned(), task.map(|task| TaskAttributes::from_task(&task)));
            }
            if let Some(Some(attributes)) = by_arn.get(arn) {
                attributes.apply(resource, IdentitySource::ResourceAttributes, signal);
            }
        }
    }

    /// Returns the task that signed a request, if ECS confirms it.
    pub(super) async fn signing_task(
        &self,
        caller: &Caller,
        client: LookupClient<'_>,
        deadline: &Deadline,
    ) -> Result<Arc<Task>, LookupError> {
        let session = Arn::parse(&caller.arn).ok_or(LookupError::Unknown)?;
        let role_session = session.resource_of("assumed-role").and_then(|resource| resource.rsplit_once('/'));
        let (role, name) = role_session.ok_or(LookupError::Unknown)?;
        self.discovery.task_by_session(name, session.account, role, client, deadline).await
    }
}
