//! Whose telemetry is pushed: the task that has signed the request, or that its resources name.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use crate::deadline::Deadline;
use crate::invocation::Caller;
use crate::model::arn::Arn;
use crate::model::otlp::Resource;
use crate::model::target::Task;
use crate::translate::identity::{For, Identity, Proof, claimed_task};

/// Time for asking ECS who the senders of a push are. Telemetry that does not say it is better than none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tasks looked up for one push: a gateway may send for many, and nobody can have a thousand asked for.
const TASKS_PER_PUSH: usize = 20;

impl Pipeline {
    /// Puts on every resource what ECS says of the task that sends it.
    pub(super) async fn identify<'a>(
        &self,
        resources: impl Iterator<Item = &'a mut Option<Resource>>,
        signal: For,
        caller: Option<&Caller>,
        deadline: &Deadline,
    ) {
        if !self.settings.identity {
            return;
        }
        let signed = match caller {
            Some(caller) => deadline.within(PATIENCE, self.signer(caller, deadline)).await.flatten(),
            None => None,
        };
        if let Some(task) = signed {
            let identity = Identity::of(&task);
            resources.for_each(|resource| identity.stamp(resource.get_or_insert_default(), Proof::Signed, signal));
            return;
        }
        let asked_since = deadline.elapsed();
        let mut identities: HashMap<String, Option<Identity>> = HashMap::new();
        for resource in resources.flatten() {
            let Some(arn) = claimed_task(resource) else { continue };
            if !identities.contains_key(arn) && identities.len() < TASKS_PER_PUSH {
                let patience = PATIENCE.saturating_sub(deadline.elapsed() - asked_since);
                let task = deadline.within(patience, self.discovery.claimed(arn, deadline)).await.flatten();
                identities.insert(arn.to_owned(), task.map(|task| Identity::of(&task)));
            }
            if let Some(Some(identity)) = identities.get(arn) {
                identity.stamp(resource, Proof::Claimed, signal);
            }
        }
    }

    async fn signer(&self, caller: &Caller, deadline: &Deadline) -> Option<Arc<Task>> {
        let session = Arn::parse(&caller.arn)?;
        let (role, name) = session.resource_of("assumed-role")?.rsplit_once('/')?;
        self.discovery.signed(name, session.account, role, deadline).await
    }
}
