//! `PaymentService`: read the message, call the use case, write the answer.

use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{convert_payment as convert, fit::fit, observe::observed};
use crate::{
    domain::Millis,
    pb::{
        self,
        payment_service_server::{PaymentService, SERVICE_NAME},
    },
    runtime::Runtime,
    service::{self, ServiceError},
};

/// The service on the wire.
#[derive(Debug)]
pub struct Payments {
    service: service::PaymentService,
    runtime: Runtime,
    timeout: Millis,
}

impl Payments {
    /// Over these use cases.
    pub const fn new(service: service::PaymentService, runtime: Runtime, timeout: Millis) -> Self {
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
impl PaymentService for Payments {
    async fn get_payment(
        &self,
        request: Request<pb::GetPaymentRequest>,
    ) -> Result<Response<pb::Payment>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async { self.service.get(&message.id).await.map(convert::full) };
        self.observed("GetPayment", &metadata, work).await
    }

    async fn list_payments(
        &self,
        request: Request<pb::ListPaymentsRequest>,
    ) -> Result<Response<pb::ListPaymentsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async {
            let (request, unread) = convert::page(message);
            let page = self.service.list(&request, unread).await?;
            let payments = page.payments.into_iter();
            let payments = payments.map(|entry| (entry.view.id.as_uuid(), convert::entry(entry)));
            let filter = request.filter.fingerprint();
            let (payments, next_page_token) = fit(payments, page.more, filter);
            Ok(pb::ListPaymentsResponse { payments, next_page_token })
        };
        self.observed("ListPayments", &metadata, work).await
    }

    async fn resolve_payment(
        &self,
        request: Request<pb::ResolvePaymentRequest>,
    ) -> Result<Response<pb::Payment>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = async { self.service.resolve(convert::resolution(message)).await };
        let work = async { work.await.map(convert::full) };
        self.observed("ResolvePayment", &metadata, work).await
    }
}
