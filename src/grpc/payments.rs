//! `PaymentService`: reads the message, calls the use case, writes the answer.

use tonic::{Request, Response, Status};

use super::{caller, convert::payments as convert, fit::fit};
use crate::{
    pb::{self, payment_service_server::PaymentService},
    service,
};

/// The service on the wire, over these use cases.
pub struct Payments(pub service::PaymentService);

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::Payment>, Status> {
        let caller = caller::of(&request);
        let payment = self.0.get(caller, &request.into_inner().id).await?;
        Ok(Response::new(convert::full(payment)))
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let caller = caller::of(&request);
        let (request, unread) = convert::page(request.into_inner());
        let page = self.0.list(caller, &request, unread).await?;
        let payments = page.payments.into_iter();
        let payments = payments.map(|entry| (entry.view.id.as_uuid(), convert::entry(entry)));
        let (payments, next_page_token) = fit(payments, page.more, request.filter.fingerprint());
        Ok(Response::new(pb::ListPaymentsResponse { payments, next_page_token }))
    }

    async fn resolve_payment(
        &self,
        request: Request<pb::ResolvePaymentRequest>,
    ) -> Result<Response<pb::Payment>, Status> {
        let caller = caller::of(&request);
        let resolution = convert::resolution(caller, request.into_inner());
        let payment = self.0.resolve(resolution).await?;
        Ok(Response::new(convert::full(payment)))
    }
}
