//! What the command line asks of `OperationsService`.

use tonic::transport::Channel;

use super::{ClientError, answer, channel};
use crate::pb::{
    AcknowledgeRestoreRequest, AcknowledgeRestoreResponse, FenceRequest, GetInstanceRequest, Halt,
    Instance, ListUnknownPaymentsRequest, ListUnknownPaymentsResponse, NodePayment, PauseRequest,
    ReleaseWithdrawsRequest, ReleaseWithdrawsResponse, ResumeRequest, acknowledge_restore_request,
    node_payment, operations_service_client::OperationsServiceClient,
};

impl Instance {
    /// Why nothing new is accepted, by its name.
    pub fn halt_name(&self) -> Option<&'static str> {
        Some(self.halt()).filter(|halt| *halt != Halt::Unspecified).map(|halt| halt.as_str_name())
    }
}

impl NodePayment {
    /// Whether the node cannot tell if the payee was paid.
    pub fn is_result_lost(&self) -> bool {
        self.state() == node_payment::State::ResultLost
    }
}

/// Who asks for something, and why.
#[derive(Clone, Debug)]
pub struct Signed {
    /// A name.
    pub operator: String,
    /// In the operator's words.
    pub reason: String,
}

/// A connection to a running service, for operators.
#[derive(Clone, Debug)]
pub struct Operations(pub(super) OperationsServiceClient<Channel>);

impl Operations {
    /// Connects to `http://HOST:PORT`.
    pub async fn connect(server: &str) -> Result<Self, ClientError> {
        Ok(Self(OperationsServiceClient::new(channel(server).await?)))
    }

    /// How the instance stands.
    pub async fn instance(&mut self) -> Result<Instance, ClientError> {
        answer(self.0.get_instance(GetInstanceRequest {}).await)
    }

    /// Stops claims and sends.
    pub async fn pause(&mut self, by: Signed) -> Result<Instance, ClientError> {
        let request = PauseRequest { operator: by.operator, reason: by.reason };
        answer(self.0.pause(request).await)
    }

    /// Ends a pause.
    pub async fn resume(&mut self, by: Signed) -> Result<Instance, ClientError> {
        let request = ResumeRequest { operator: by.operator, reason: by.reason };
        answer(self.0.resume(request).await)
    }

    /// As a pause, until somebody has looked.
    pub async fn fence(&mut self, by: Signed) -> Result<Instance, ClientError> {
        let request = FenceRequest { operator: by.operator, reason: by.reason };
        answer(self.0.fence(request).await)
    }

    /// What the node paid and the database does not know: all pages.
    pub async fn unknown(&mut self) -> Result<ListUnknownPaymentsResponse, ClientError> {
        let mut all = ListUnknownPaymentsResponse::default();
        loop {
            let request = ListUnknownPaymentsRequest { page_token: all.next_page_token };
            let page = answer(self.0.list_unknown_payments(request).await)?;
            all.payments.extend(page.payments);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Ends a fence.
    pub async fn acknowledge(
        &mut self,
        by: Signed,
        paid: Vec<Pair>,
        confirm_all_listed: bool,
    ) -> Result<AcknowledgeRestoreResponse, ClientError> {
        let paid = paid.into_iter().map(|Pair(withdraw_id, payment_hash)| {
            acknowledge_restore_request::Pair { withdraw_id, payment_hash }
        });
        let (operator, reason) = (by.operator, by.reason);
        let paid = paid.collect();
        let request = AcknowledgeRestoreRequest { operator, reason, paid, confirm_all_listed };
        answer(self.0.acknowledge_restore(request).await)
    }

    /// Lets withheld requests be claimed again.
    pub async fn release(
        &mut self,
        by: Signed,
        ids: Vec<String>,
        all: bool,
    ) -> Result<ReleaseWithdrawsResponse, ClientError> {
        let (operator, reason) = (by.operator, by.reason);
        let request = ReleaseWithdrawsRequest { operator, reason, ids, all };
        answer(self.0.release_withdraws(request).await)
    }
}

/// `WITHDRAW=HASH`
#[derive(Clone, Debug)]
pub struct Pair(String, String);

impl std::str::FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts =
            text.split_once('=').filter(|(left, right)| !left.is_empty() && !right.is_empty());
        let (withdraw, hash) = parts.ok_or("must be a withdraw id, =, and a payment hash")?;
        Ok(Self(withdraw.to_owned(), hash.to_owned()))
    }
}
