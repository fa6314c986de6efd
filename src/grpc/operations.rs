//! `OperationsService`: read the message, call the use case, write the answer.

use tonic::{Request, Response, Status};

use super::{
    convert::{read_time, wire_time},
    convert_payment,
    observe::observed,
};
use crate::{
    domain::{
        FenceReason, Field, Halt, Heartbeat, Millis, Standing, Timestamp, Verdict, Violation,
        payment::RecordState,
    },
    pb::{
        self, instance,
        operations_service_server::{OperationsService, SERVICE_NAME},
    },
    runtime::Runtime,
    service::{self, Asked, InstanceView, Line, ListedPayment, Pair, ServiceError, Which},
};

/// The service on the wire.
#[derive(Debug)]
pub struct Operations {
    service: service::OperationsService,
    restore: service::RestoreService,
    reconcile: service::ReconcileService,
    runtime: Runtime,
    timeout: Millis,
}

impl Operations {
    /// Over these use cases.
    pub fn new(
        (service, restore, reconcile): (
            service::OperationsService,
            service::RestoreService,
            service::ReconcileService,
        ),
        runtime: Runtime,
        timeout: Millis,
    ) -> Self {
        Self { service, restore, reconcile, runtime, timeout }
    }
}

#[tonic::async_trait]
impl OperationsService for Operations {
    async fn get_instance(
        &self,
        request: Request<pb::GetInstanceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let work = async { self.service.instance().await.map(instance) };
        observed(
            &self.runtime,
            (SERVICE_NAME, "GetInstance"),
            request.metadata(),
            self.timeout,
            work,
        )
        .await
    }

    async fn pause(
        &self,
        request: Request<pb::PauseRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let work = async { self.service.pause(asked).await.map(instance) };
        observed(&self.runtime, (SERVICE_NAME, "Pause"), &metadata, self.timeout, work).await
    }

    async fn resume(
        &self,
        request: Request<pb::ResumeRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let work = async { self.service.resume(asked).await.map(instance) };
        observed(&self.runtime, (SERVICE_NAME, "Resume"), &metadata, self.timeout, work).await
    }

    async fn fence(
        &self,
        request: Request<pb::FenceRequest>,
    ) -> Result<Response<pb::Instance>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let work = async {
            self.restore.fence(asked).await?;
            self.service.instance().await.map(instance)
        };
        observed(&self.runtime, (SERVICE_NAME, "Fence"), &metadata, self.timeout, work).await
    }

    async fn list_unknown_payments(
        &self,
        request: Request<pb::ListUnknownPaymentsRequest>,
    ) -> Result<Response<pb::ListUnknownPaymentsResponse>, Status> {
        let work = async {
            let payments = self.restore.unknown().await?.into_iter().map(node_payment).collect();
            Ok(pb::ListUnknownPaymentsResponse { payments })
        };
        observed(
            &self.runtime,
            (SERVICE_NAME, "ListUnknownPayments"),
            request.metadata(),
            self.timeout,
            work,
        )
        .await
    }

    async fn acknowledge_restore(
        &self,
        request: Request<pb::AcknowledgeRestoreRequest>,
    ) -> Result<Response<pb::AcknowledgeRestoreResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let assigned = |pair: pb::acknowledge_restore_request::Pair| Pair {
            withdraw: pair.withdraw_id,
            payment_hash: pair.payment_hash,
        };
        let paid = message.paid.into_iter().map(assigned).collect();
        let work = async {
            let done = self.restore.acknowledge(asked, paid).await?;
            Ok(pb::AcknowledgeRestoreResponse {
                unknown: done.unknown.into_iter().map(node_payment).collect(),
                withheld: i64::try_from(done.withheld).unwrap_or(i64::MAX),
                instance: Some(instance(self.service.instance().await?)),
            })
        };
        let work = Box::pin(work);
        observed(&self.runtime, (SERVICE_NAME, "AcknowledgeRestore"), &metadata, self.timeout, work)
            .await
    }

    async fn release_withdraws(
        &self,
        request: Request<pb::ReleaseWithdrawsRequest>,
    ) -> Result<Response<pb::ReleaseWithdrawsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let asked = Asked { operator: message.operator, reason: message.reason };
        let which = if message.all { Which::All } else { Which::These(message.ids) };
        let work = async {
            let released = self.restore.release(asked, which).await?;
            let released = i64::try_from(released).unwrap_or(i64::MAX);
            Ok(pb::ReleaseWithdrawsResponse { released })
        };
        observed(&self.runtime, (SERVICE_NAME, "ReleaseWithdraws"), &metadata, self.timeout, work)
            .await
    }

    async fn reconcile(
        &self,
        request: Request<pb::ReconcileRequest>,
    ) -> Result<Response<pb::ReconcileResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let work = Box::pin(async {
            let now = self.runtime.clock.now();
            let (from, to) = range(&message, now).map_err(ServiceError::Invalid)?;
            let lines = self.reconcile.reconcile(from, to).await?;
            let wanted = |line: &Line| !(message.only_differences && line.verdict.is_fine());
            let lines = lines.into_iter().filter(wanted).map(reconcile_line).collect();
            Ok(pb::ReconcileResponse { lines })
        });
        observed(&self.runtime, (SERVICE_NAME, "Reconcile"), &metadata, self.timeout, work).await
    }
}

fn range(
    message: &pb::ReconcileRequest,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut read = |field, given: Option<&prost_types::Timestamp>, absent: Option<Timestamp>| {
        let time = given.map_or_else(|| absent.ok_or("is required"), read_time);
        time.unwrap_or_else(|rule| {
            violations.push(Violation::new(field, rule));
            Timestamp::MIN
        })
    };
    let from = read(Field::From, message.from.as_ref(), None);
    let to = read(Field::To, message.to.as_ref(), Some(now));
    if violations.is_empty() { Ok((from, to)) } else { Err(violations) }
}

fn reconcile_line(line: Line) -> pb::ReconcileLine {
    let there = line
        .there
        .map(|record| node_payment(ListedPayment { record, invoice: String::new(), index: 0 }));
    pb::ReconcileLine {
        payment_hash: line.payment_hash.to_string(),
        verdict: wire_verdict(line.verdict).into(),
        explanation: line.verdict.explanation().to_owned(),
        here: line.here.map(convert_payment::view),
        there,
    }
}

const fn wire_verdict(verdict: Verdict) -> pb::reconcile_line::Verdict {
    use pb::reconcile_line::Verdict as Wire;

    match verdict {
        Verdict::Matches => Wire::Matches,
        Verdict::UnderWay => Wire::UnderWay,
        Verdict::PaidOnlyThere => Wire::PaidOnlyThere,
        Verdict::PaidOnlyHere => Wire::PaidOnlyHere,
        Verdict::FeeDiffers => Wire::FeeDiffers,
        Verdict::AmountDiffers => Wire::AmountDiffers,
        Verdict::StillUnderWayThere => Wire::StillUnderWayThere,
        Verdict::UnknownHere => Wire::UnknownHere,
    }
}

fn node_payment(listed: ListedPayment) -> pb::NodePayment {
    use pb::node_payment::State;

    let record = listed.record;
    let (state, fee_msat) = match record.state {
        RecordState::InFlight => (State::InFlight, None),
        RecordState::Succeeded { fee, .. } => (State::Succeeded, Some(fee.get())),
        RecordState::Failed(_) | RecordState::ResultLost => (State::Failed, None),
    };
    pb::NodePayment {
        payment_hash: record.payment_hash.to_string(),
        invoice: listed.invoice,
        amount_msat: record.amount.get(),
        fee_msat,
        state: state.into(),
        // The port's word for a time that the node does not tell.
        created: (record.created != Timestamp::MAX).then(|| wire_time(record.created)),
    }
}

fn instance(view: InstanceView) -> pb::Instance {
    let (halt, most) = (view.halt(), view.most());
    let Standing { paused, fenced, heartbeat, trouble, unseen, in_flight, spent_24h, .. } =
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
        node_error: trouble.map(|trouble| trouble.to_string()).unwrap_or_default(),
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
        Halt::Unverified => pb::Halt::Unverified,
        Halt::NodeSilent => pb::Halt::NodeSilent,
        Halt::NodeForgot => pb::Halt::NodeForgot,
        Halt::NodeNotPermitted => pb::Halt::NodeNotPermitted,
        Halt::NodeNotPaying => pb::Halt::NodeNotPaying,
        Halt::StoreReadOnly => pb::Halt::StoreReadOnly,
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
