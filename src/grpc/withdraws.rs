//! `WithdrawService`: read the message, call the use case, write the answer.

use prost::Message;
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{convert, fit::fit, observe::observed};
use crate::{
    domain::{Field, Millis, Violation},
    pb::{
        self,
        withdraw_service_server::{SERVICE_NAME, WithdrawService},
    },
    runtime::Runtime,
    service::{self, ServiceError},
};

/// A larger batch could not be answered in one message of 4 MiB.
const MAX_BATCH_BYTES: usize = 5 * 512 * 1024;

/// The service on the wire.
#[derive(Debug)]
pub struct Withdraws {
    service: service::WithdrawService,
    runtime: Runtime,
    timeout: Millis,
}

impl Withdraws {
    /// Over these use cases.
    pub const fn new(service: service::WithdrawService, runtime: Runtime, timeout: Millis) -> Self {
        Self { service, runtime, timeout }
    }

    async fn observed<T>(
        &self,
        method: &'static str,
        metadata: &MetadataMap,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<Response<T>, Status> {
        observed(&self.runtime, (SERVICE_NAME, method), metadata, self.timeout, work).await
    }
}

#[tonic::async_trait]
impl WithdrawService for Withdraws {
    async fn create_withdraw(
        &self,
        request: Request<pb::CreateWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async { self.service.create(convert::draft(message)).await };
        let work = async { work.await.map(convert::withdraw) };
        self.observed("CreateWithdraw", &metadata, work).await
    }

    async fn batch_create_withdraws(
        &self,
        request: Request<pb::BatchCreateWithdrawsRequest>,
    ) -> Result<Response<pb::BatchCreateWithdrawsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.observed("BatchCreateWithdraws", &metadata, self.batch(message)).await
    }

    async fn get_withdraw(
        &self,
        request: Request<pb::GetWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async { self.service.get(&message.id).await.map(convert::withdraw) };
        self.observed("GetWithdraw", &metadata, work).await
    }

    async fn list_withdraws(
        &self,
        request: Request<pb::ListWithdrawsRequest>,
    ) -> Result<Response<pb::ListWithdrawsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async {
            let (request, unread) = convert::page(message);
            let page = self.service.list(&request, unread).await?;
            let withdraws = page.withdraws.into_iter();
            let withdraws =
                withdraws.map(|shown| (shown.view.withdraw.id.as_uuid(), convert::withdraw(shown)));
            let (withdraws, next_page_token) =
                fit(withdraws, page.more, request.filter.fingerprint());
            Ok(pb::ListWithdrawsResponse { withdraws, next_page_token })
        };
        self.observed("ListWithdraws", &metadata, work).await
    }

    async fn deactivate_withdraw(
        &self,
        request: Request<pb::DeactivateWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async { self.service.deactivate(&message.id).await.map(convert::withdraw) };
        self.observed("DeactivateWithdraw", &metadata, work).await
    }
}

impl Withdraws {
    async fn batch(
        &self,
        message: pb::BatchCreateWithdrawsRequest,
    ) -> Result<pb::BatchCreateWithdrawsResponse, ServiceError> {
        if message.encoded_len() > MAX_BATCH_BYTES {
            let rule = format!("must be at most {MAX_BATCH_BYTES} bytes together; split the batch");
            return Err(ServiceError::Invalid(vec![Violation::new(Field::Requests, rule)]));
        }
        let drafts = message.requests.into_iter().map(convert::draft);
        let shown = self.service.create_batch(drafts).await?;
        let withdraws = shown.into_iter().map(convert::withdraw).collect();
        Ok(pb::BatchCreateWithdrawsResponse { withdraws })
    }
}
