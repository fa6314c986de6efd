//! `OperationsService`: read the message, call the use case, write the answer.

use tonic::{Request, Response, Status};

use super::{
    convert_instance::{count, instance, node_payment, pairs, range, reconcile_line, which},
    status,
};
use crate::{
    pb::{self, operations_service_server::OperationsService},
    runtime::Runtime,
    service::{self, Asked, Line},
};

/// The service on the wire.
#[derive(Debug)]
pub struct Operations {
    /// The switches of the instance.
    pub instance: service::InstanceService,
    /// The fence.
    pub restore: service::RestoreService,
    /// The comparison with the node.
    pub reconcile: service::ReconcileService,
    /// Tells the present time, up to which a comparison goes.
    pub runtime: Runtime,
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn get_instance(
        &self,
        _: Request<pb::GetInstanceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        Ok(Response::new(instance(self.instance.instance().await?)))
    }

    async fn pause(
        &self,
        request: Request<pb::PauseRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let pb::PauseRequest { operator, reason } = request.into_inner();
        let view = self.instance.pause(Asked { operator, reason }).await?;
        Ok(Response::new(instance(view)))
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let pb::ResumeRequest { operator, reason } = request.into_inner();
        let view = self.instance.resume(Asked { operator, reason }).await?;
        Ok(Response::new(instance(view)))
    }

    async fn fence(
        &self,
        request: Request<pb::FenceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let pb::FenceRequest { operator, reason } = request.into_inner();
        self.restore.fence(Asked { operator, reason }).await?;
        Ok(Response::new(instance(self.instance.instance().await?)))
    }

    async fn list_unknown_payments(
        &self,
        _: Request<pb::ListUnknownPaymentsRequest>,
    ) -> Result<Response<pb::ListUnknownPaymentsResponse>, Status> {
        let payments = self.restore.unknown().await?.into_iter().map(node_payment).collect();
        Ok(Response::new(pb::ListUnknownPaymentsResponse { payments }))
    }

    async fn acknowledge_restore(
        &self,
        request: Request<pb::AcknowledgeRestoreRequest>,
    ) -> Result<Response<pb::AcknowledgeRestoreResponse>, Status> {
        let message = request.into_inner();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let done = self.restore.acknowledge(asked, pairs(message.paid)).await?;
        Ok(Response::new(pb::AcknowledgeRestoreResponse {
            unknown: done.unknown.into_iter().map(node_payment).collect(),
            withheld: count(done.withheld),
            instance: Some(instance(self.instance.instance().await?)),
        }))
    }

    async fn release_withdraws(
        &self,
        request: Request<pb::ReleaseWithdrawsRequest>,
    ) -> Result<Response<pb::ReleaseWithdrawsResponse>, Status> {
        let message = request.into_inner();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let released = self.restore.release(asked, which(message.all, message.ids)).await?;
        Ok(Response::new(pb::ReleaseWithdrawsResponse { released: count(released) }))
    }

    async fn reconcile(
        &self,
        request: Request<pb::ReconcileRequest>,
    ) -> Result<Response<pb::ReconcileResponse>, Status> {
        let message = request.into_inner();
        let now = self.runtime.clock.now();
        let (from, to) = range(&message, now).map_err(|broken| status::bad_request(&broken))?;
        let lines = self.reconcile.reconcile(from, to).await?;
        let wanted = |line: &Line| !(message.only_differences && line.verdict.is_fine());
        let lines = lines.into_iter().filter(wanted).map(reconcile_line).collect();
        Ok(Response::new(pb::ReconcileResponse { lines }))
    }
}
