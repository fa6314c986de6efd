//! `OperationsService`: read the message, call the use case, write the answer.

use tonic::{Request, Response, Status};

use super::{convert::wire_time, observe::observed};
use crate::{
    domain::{FenceReason, Halt, Heartbeat, Millis, Standing},
    pb::{self, instance, operations_service_server::OperationsService},
    runtime::Runtime,
    service::{self, Asked, InstanceView},
};

/// The service on the wire.
#[derive(Debug)]
pub struct Operations {
    service: service::OperationsService,
    runtime: Runtime,
    timeout: Millis,
}

impl Operations {
    /// Over these use cases.
    pub const fn new(
        service: service::OperationsService,
        runtime: Runtime,
        timeout: Millis,
    ) -> Self {
        Self { service, runtime, timeout }
    }
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn get_instance(
        &self,
        request: Request<pb::GetInstanceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let work = async { self.service.instance().await.map(instance) };
        observed(&self.runtime, "GetInstance", request.metadata(), self.timeout, work).await
    }

    async fn pause(
        &self,
        request: Request<pb::PauseRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let work = async { self.service.pause(asked).await.map(instance) };
        observed(&self.runtime, "Pause", &metadata, self.timeout, work).await
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let work = async { self.service.resume(asked).await.map(instance) };
        observed(&self.runtime, "Resume", &metadata, self.timeout, work).await
    }
}

fn instance(view: InstanceView) -> pb::Instance {
    let (halt, most) = (view.halt(), view.most());
    let Standing { paused, fenced, node: _, heartbeat, unseen, in_flight, spent_24h } =
        view.standing;
    pb::Instance {
        halt: halt.map_or(pb::Halt::Unspecified, wire_halt).into(),
        max_withdrawable_sat: most,
        paused: paused.map(|act| instance::Act {
            operator: act.operator,
            reason: act.reason,
            at: Some(wire_time(act.at)),
        }),
        fence_reason: fenced
            .map_or(instance::FenceReason::Unspecified, |(_, reason)| wire_fence(reason))
            .into(),
        fenced_at: fenced.map(|(at, _)| wire_time(at)),
        node: heartbeat.map(node),
        in_flight,
        unseen_msat: unseen.get(),
        spent_24h_msat: spent_24h.get(),
    }
}

fn node(beat: Heartbeat) -> instance::Node {
    instance::Node {
        identity: beat.node.to_string(),
        alias: beat.alias,
        network: beat.network.name().to_owned(),
        heartbeat_at: Some(wire_time(beat.at)),
        synced: beat.synced,
        can_send_msat: beat.can_send.get(),
        active_channels: beat.active_channels,
        busiest_channel_htlcs: beat.busiest_channel_htlcs,
    }
}

const fn wire_halt(halt: Halt) -> pb::Halt {
    match halt {
        Halt::Paused => pb::Halt::Paused,
        Halt::Fenced => pb::Halt::Fenced,
        Halt::NodeSilent => pb::Halt::NodeSilent,
        Halt::NodeUnsynced => pb::Halt::NodeUnsynced,
        Halt::ChannelsFull => pb::Halt::ChannelsFull,
        Halt::NoLiquidity => pb::Halt::NoLiquidity,
        Halt::LimitSpent => pb::Halt::LimitSpent,
    }
}

const fn wire_fence(reason: FenceReason) -> instance::FenceReason {
    match reason {
        FenceReason::MarkLost => instance::FenceReason::MarkLost,
        FenceReason::UnknownPayments => instance::FenceReason::UnknownPayments,
        FenceReason::ByHand => instance::FenceReason::ByHand,
    }
}
