//! What operators may do to the whole instance: read its status, pause and resume it.

mod error;
mod restore;
mod unknown;

use std::sync::Arc;

use super::failure::finished;
use crate::{
    domain::{
        Act, ActorDraft, Capacity, ClaimRules, HaltReason, InstanceCommand, InstanceStatus,
        Principal, Sat,
    },
    ports::Store,
    runtime::Runtime,
};

pub use error::InstanceError;
pub use restore::{Acknowledged, CommitDelays, Pair, ReleaseScope, RestoreService};
pub use unknown::UnknownPage;

/// The status of the instance, and what follows from it.
#[derive(Clone, Debug)]
pub struct InstanceView {
    /// As the database has it.
    pub status: InstanceStatus,
    /// What one claim can get now, or why nothing.
    pub capacity: Result<Capacity, HaltReason>,
}

impl InstanceView {
    /// Why claims are refused, if they are.
    pub fn halt(&self) -> Option<HaltReason> {
        HaltReason::of_all(self.capacity)
    }

    /// The most that one claim can get now.
    pub fn most(&self) -> i64 {
        self.capacity.map_or(0, |capacity| Sat::get(capacity.most))
    }
}

/// The operators' use cases.
#[derive(Clone)]
pub struct InstanceService {
    store: Arc<dyn Store>,
    rules: ClaimRules,
    runtime: Runtime,
}

impl InstanceService {
    /// Use cases over this store.
    pub fn new(store: Arc<dyn Store>, rules: ClaimRules, runtime: Runtime) -> Self {
        Self { store, rules, runtime }
    }

    /// The status of the instance.
    pub async fn instance(&self, _: Principal) -> Result<InstanceView, InstanceError> {
        let now = self.runtime.clock.now();
        let (paying, since) = (&self.rules.paying, self.rules.allowance_since(now));
        let status = self.store.instance_status_for_operator(paying.clock_skew, since).await?;
        let capacity = status.capacity(paying, &self.rules.fees, now);
        Ok(InstanceView { status, capacity })
    }

    /// Stops claims and sends in all replicas.
    pub async fn pause(&self, actor: ActorDraft) -> Result<InstanceView, InstanceError> {
        let act = validated(actor, &self.runtime)?;
        self.execute(InstanceCommand::Pause(act)).await
    }

    /// Ends a pause.
    pub async fn resume(&self, actor: ActorDraft) -> Result<InstanceView, InstanceError> {
        let act = validated(actor, &self.runtime)?;
        self.execute(InstanceCommand::Resume(act)).await
    }

    async fn execute(&self, command: InstanceCommand) -> Result<InstanceView, InstanceError> {
        let service = self.clone();
        let work = async move {
            if service.store.execute_command(&command).await? {
                let by = &command.act().by;
                tracing::warn!(
                    command = command.name(),
                    operator = by.name,
                    reason = by.reason,
                    "an operator's command changed the instance"
                );
            }
            service.instance(command.act().by.principal).await
        };
        finished(self.runtime.detached(work)).await
    }
}

/// What an operator does now, once the name and the reason that they give are valid.
fn validated(actor: ActorDraft, runtime: &Runtime) -> Result<Act, InstanceError> {
    let by = actor.validate().map_err(InstanceError::Invalid)?;
    Ok(Act { by, at: runtime.clock.now() })
}
