//! What the command line asks of `OperationsService`.

use serde_json::{Value, json};
use tonic::transport::Channel;

use super::{
    ClientError, answer, channel,
    json::{time, without_nulls},
};
use crate::pb::{
    GetInstanceRequest, Halt, Instance, PauseRequest, ResumeRequest, instance::FenceReason,
    operations_service_client::OperationsServiceClient,
};

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
pub struct Operations(OperationsServiceClient<Channel>);

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
}

/// All that is set, with the names of the proto.
pub fn instance_to_json(instance: &Instance) -> Value {
    let fence = instance.fence_reason();
    let paused = instance.paused.as_ref().map(|act| {
        json!({ "operator": act.operator, "reason": act.reason, "at": act.at.as_ref().map(time) })
    });
    let node = instance.node.as_ref().map(|node| {
        json!({
            "identity": node.identity,
            "alias": node.alias,
            "network": node.network,
            "heartbeat_at": node.heartbeat_at.as_ref().map(time),
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
        "fenced_at": instance.fenced_at.as_ref().map(time),
        "node": node,
        "in_flight": instance.in_flight,
        "unseen_msat": instance.unseen_msat,
        "spent_24h_msat": instance.spent_24h_msat,
    }))
}
