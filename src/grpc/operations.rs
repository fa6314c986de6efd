//! `OperationsService`: reads the message, calls the use case, writes the answer.

use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{
        actor,
        operations::{count, instance, node_payment, pairs, range, reconcile_line, release_scope},
    },
    status,
};
use crate::{
    pb::{self, operations_service_server::OperationsService},
    runtime::Runtime,
    service::{self, Line},
};

/// The service on the wire.
pub struct Operations {
    /// The switches of the instance.
    pub instance: service::InstanceService,
    /// The fence.
    pub restore: service::RestoreService,
    /// The comparison with the node.
    pub reconcile: service::ReconcileService,
    /// The clock: a comparison ends at the present time unless the caller says otherwise.
    pub runtime: Runtime,
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn get_instance(
        &self,
        request: Request<pb::GetInstanceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let view = self.instance.instance(caller::of(&request)).await?;
        Ok(Response::new(instance(view)))
    }

    async fn pause(
        &self,
        request: Request<pb::PauseRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let caller = caller::of(&request);
        let pb::PauseRequest { operator, reason } = request.into_inner();
        let view = self.instance.pause(actor(caller, operator, reason)).await?;
        Ok(Response::new(instance(view)))
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let caller = caller::of(&request);
        let pb::ResumeRequest { operator, reason } = request.into_inner();
        let view = self.instance.resume(actor(caller, operator, reason)).await?;
        Ok(Response::new(instance(view)))
    }

    async fn fence(
        &self,
        request: Request<pb::FenceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let caller = caller::of(&request);
        let pb::FenceRequest { operator, reason } = request.into_inner();
        self.restore.fence(actor(caller, operator, reason)).await?;
        Ok(Response::new(instance(self.instance.instance(caller).await?)))
    }

    async fn list_unknown_payments(
        &self,
        request: Request<pb::ListUnknownPaymentsRequest>,
    ) -> Result<Response<pb::ListUnknownPaymentsResponse>, Status> {
        let caller = caller::of(&request);
        let page = self.restore.unknown(caller, &request.into_inner().page_token).await?;
        Ok(Response::new(pb::ListUnknownPaymentsResponse {
            payments: page.payments.into_iter().map(node_payment).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn acknowledge_restore(
        &self,
        request: Request<pb::AcknowledgeRestoreRequest>,
    ) -> Result<Response<pb::AcknowledgeRestoreResponse>, Status> {
        let caller = caller::of(&request);
        let message = request.into_inner();
        let actor = actor(caller, message.operator, message.reason);
        let (paid, all_listed) = (pairs(message.paid), message.confirm_all_listed);
        let done = self.restore.acknowledge(actor, paid, all_listed).await?;
        Ok(Response::new(pb::AcknowledgeRestoreResponse {
            unknown: done.unknown.into_iter().map(node_payment).collect(),
            more: done.more,
            withheld: count(done.withheld),
            instance: Some(instance(self.instance.instance(caller).await?)),
        }))
    }

    async fn release_withdraws(
        &self,
        request: Request<pb::ReleaseWithdrawsRequest>,
    ) -> Result<Response<pb::ReleaseWithdrawsResponse>, Status> {
        let caller = caller::of(&request);
        let message = request.into_inner();
        let actor = actor(caller, message.operator, message.reason);
        let released = self.restore.release(actor, release_scope(message.all, message.ids)).await?;
        Ok(Response::new(pb::ReleaseWithdrawsResponse { released: count(released) }))
    }

    async fn reconcile(
        &self,
        request: Request<pb::ReconcileRequest>,
    ) -> Result<Response<pb::ReconcileResponse>, Status> {
        let caller = caller::of(&request);
        let message = request.into_inner();
        let now = self.runtime.clock.now();
        let (from, to) = range(&message, now).map_err(|broken| status::bad_request(&broken))?;
        let lines = self.reconcile.reconcile(caller, from, to).await?;
        let wanted = |line: &Line| !(message.only_differences && line.verdict.is_fine());
        let lines = lines.into_iter().filter(wanted).map(reconcile_line).collect();
        Ok(Response::new(pb::ReconcileResponse { lines }))
    }
}
