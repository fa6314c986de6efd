//! What the command line asks of `OperationsService`.

use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    ClientError, answer, channel,
    json::{time_text, without_nulls},
};
use crate::pb::{
    AcknowledgeRestoreRequest, AcknowledgeRestoreResponse, FenceRequest, GetInstanceRequest, Halt,
    Instance, ListUnknownPaymentsRequest, NodePayment, PauseRequest, ReleaseWithdrawsRequest,
    ResumeRequest, acknowledge_restore_request, instance::FenceReason,
    operations_service_client::OperationsServiceClient,
};

/// A payment of the node as the command line shows it.
pub type NodePaymentShown = NodePayment;

/// The instance as the command line shows it.
pub type InstanceShown = Instance;

impl Instance {
    /// Why nothing new is accepted, by its name.
    pub fn halt_name(&self) -> Option<&'static str> {
        Some(self.halt()).filter(|halt| *halt != Halt::Unspecified).map(|halt| halt.as_str_name())
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

    /// What the node paid and the database does not know.
    pub async fn unknown(&mut self) -> Result<Vec<NodePayment>, ClientError> {
        let request = ListUnknownPaymentsRequest {};
        Ok(answer(self.0.list_unknown_payments(request).await)?.payments)
    }

    /// Ends a fence.
    pub async fn acknowledge(
        &mut self,
        by: Signed,
        paid: Vec<Pair>,
    ) -> Result<AcknowledgeRestoreResponse, ClientError> {
        let paid = paid.into_iter().map(|Pair(withdraw_id, payment_hash)| {
            acknowledge_restore_request::Pair { withdraw_id, payment_hash }
        });
        let (operator, reason) = (by.operator, by.reason);
        let request = AcknowledgeRestoreRequest { operator, reason, paid: paid.collect() };
        answer(self.0.acknowledge_restore(request).await)
    }

    /// Lets withheld requests be claimed again.
    pub async fn release(
        &mut self,
        by: Signed,
        ids: Vec<String>,
        all: bool,
    ) -> Result<i64, ClientError> {
        let (operator, reason) = (by.operator, by.reason);
        let request = ReleaseWithdrawsRequest { operator, reason, ids, all };
        Ok(answer(self.0.release_withdraws(request).await)?.released)
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

/// What came of an acknowledgement, with the names of the proto.
pub fn acknowledged_to_json(done: &AcknowledgeRestoreResponse) -> Value {
    without_nulls(json!({
        "unknown": done.unknown.iter().map(node_payment_to_json).collect::<Vec<_>>(),
        "withheld": done.withheld,
        "instance": done.instance.as_ref().map(instance_to_json),
    }))
}

/// A payment of the node, with the names of the proto.
pub fn node_payment_to_json(payment: &NodePayment) -> Value {
    without_nulls(json!({
        "payment_hash": payment.payment_hash,
        "invoice": payment.invoice,
        "amount_msat": payment.amount_msat,
        "fee_msat": payment.fee_msat,
        "state": payment.state().as_str_name(),
        "created": payment.created.as_ref().map(time_text),
    }))
}

/// When the node began it, for people.
pub fn node_payment_time(payment: &NodePayment) -> String {
    payment.created.as_ref().map(time_text).unwrap_or_default()
}

/// All that is set, with the names of the proto.
pub fn instance_to_json(instance: &Instance) -> Value {
    let fence = instance.fence_reason();
    let paused = instance.paused.as_ref().map(|act| {
        json!({ "operator": act.operator, "reason": act.reason, "at": act.at.as_ref().map(time_text) })
    });
    let node = instance.node.as_ref().map(|node| {
        json!({
            "identity": node.identity,
            "alias": node.alias,
            "network": node.network,
            "heartbeat_at": node.heartbeat_at.as_ref().map(time_text),
            "synced": node.synced,
            "can_send_msat": node.can_send_msat,
            "active_channels": node.active_channels,
            "busiest_channel_htlcs": node.busiest_channel_htlcs,
        })
    });
    without_nulls(json!({
        "halt": instance.halt_name(),
        "max_withdrawable_sat": instance.max_withdrawable_sat,
        "paused": paused,
        "fence_reason": (fence != FenceReason::Unspecified).then(|| fence.as_str_name()),
        "fenced_at": instance.fenced_at.as_ref().map(time_text),
        "node": node,
        "in_flight": instance.in_flight,
        "unseen_msat": instance.unseen_msat,
        "spent_24h_msat": instance.spent_24h_msat,
        "node_error": Some(&instance.node_error).filter(|error| !error.is_empty()),
    }))
}
