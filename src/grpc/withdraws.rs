//! `WithdrawService`: reads the message, calls the use case, writes the answer.

use prost::Message;
use tonic::{Request, Response, Status};

use super::{caller, convert::withdraws as convert, fit::fit, status};
use crate::{
    domain::{Violation, WithdrawField},
    pb::{self, withdraw_service_server::WithdrawService},
    service,
};

/// The answer to a larger batch would not fit into one message of 4 MiB.
const MAX_BATCH_BYTES: usize = 5 * 512 * 1024;

/// The service on the wire, over these use cases.
pub struct Withdraws(pub service::WithdrawService);

#[tonic::async_trait]
impl WithdrawService for Withdraws {
    async fn create_withdraw(
        &self,
        request: Request<pb::CreateWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let caller = caller::of(&request);
        let shown = self.0.create(caller, convert::draft(request.into_inner())).await?;
        Ok(Response::new(convert::withdraw(shown)))
    }

    async fn batch_create_withdraws(
        &self,
        request: Request<pb::BatchCreateWithdrawsRequest>,
    ) -> Result<Response<pb::BatchCreateWithdrawsResponse>, Status> {
        let caller = caller::of(&request);
        let message = request.into_inner();
        if message.encoded_len() > MAX_BATCH_BYTES {
            let rule = format!("must be at most {MAX_BATCH_BYTES} bytes together; split the batch");
            return Err(status::bad_request(&[Violation::new(WithdrawField::Requests, rule)]));
        }
        let drafts = message.requests.into_iter().map(convert::draft);
        let shown = self.0.create_batch(caller, drafts).await?;
        let withdraws = shown.into_iter().map(convert::withdraw).collect();
        Ok(Response::new(pb::BatchCreateWithdrawsResponse { withdraws }))
    }

    async fn get_withdraw(
        &self,
        request: Request<pb::GetWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let caller = caller::of(&request);
        let shown = self.0.get(caller, &request.into_inner().id).await?;
        Ok(Response::new(convert::withdraw(shown)))
    }

    async fn list_withdraws(
        &self,
        request: Request<pb::ListWithdrawsRequest>,
    ) -> Result<Response<pb::ListWithdrawsResponse>, Status> {
        let caller = caller::of(&request);
        let (request, unread) = convert::page(request.into_inner());
        let page = self.0.list(caller, &request, unread).await?;
        let withdraws = page.withdraws.into_iter();
        let withdraws =
            withdraws.map(|shown| (shown.view.withdraw.id.as_uuid(), convert::withdraw(shown)));
        let (withdraws, next_page_token) = fit(withdraws, page.more, request.filter.fingerprint());
        Ok(Response::new(pb::ListWithdrawsResponse { withdraws, next_page_token }))
    }

    async fn deactivate_withdraw(
        &self,
        request: Request<pb::DeactivateWithdrawRequest>,
    ) -> Result<Response<pb::Withdraw>, Status> {
        let caller = caller::of(&request);
        let shown = self.0.deactivate(caller, &request.into_inner().id).await?;
        Ok(Response::new(convert::withdraw(shown)))
    }
}
