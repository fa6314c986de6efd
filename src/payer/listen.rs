//! Listens to the stream of a send, and applies its updates to the rows.
//!
//! A worker waits until the payment is in flight or its answer is overdue. Then it releases its permits, and
//! only the stream stays open, as long as the process runs: a late answer still counts.

use std::sync::Arc;

use futures_util::StreamExt;
use tracing::{Instrument, Span};

use super::{Payer, Permits};
use crate::{
    domain::payment::{
        Answer, FollowUp, Next, NodeReport, RecordState, StreamEvidence, StreamReport, Trust,
        decide_on_stream, follow_up,
    },
    ports::{Leased, SendStream, SendUpdate, StoreError},
    report::{self, chain},
};

/// How often to try to apply an update to a row that keeps changing.
const APPLY_TRIES: usize = 5;

/// The send whose stream it is.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: i64,
    pub(super) fencing_token: i64,
}

/// What an update means for the send (`answer`) and for the payment (`report`).
#[derive(Clone, Copy)]
struct Update {
    answer: Option<Answer>,
    report: StreamReport,
    /// The stream ends with this update.
    last: bool,
}

impl Payer {
    /// Listens until the payment is in flight, has ended, or its answer is overdue. A task then listens on,
    /// without a permit.
    pub(super) async fn listen(
        self: &Arc<Self>,
        mut stream: SendStream,
        leased: Leased,
        sent: Sent,
        permits: Permits,
    ) {
        let overdue = self.runtime.clock.sleep(self.options.lookup.answer_overdue);
        let mut overdue = std::pin::pin!(overdue);
        let update = tokio::select! {
            biased;
            update = stream.next() => Some(update),
            () = self.stop.cancelled() => return self.postpone(&leased).await,
            () = &mut overdue => None,
        };
        let leased = if let Some(update) = update {
            let Some(leased) = self.apply(update, leased, sent).await else { return };
            leased
        } else {
            tracing::warn!(payment = %leased.payment.id, send = sent.number,
                "the node's answer to the send is overdue; the payment will be looked up, and the stream \
                 stays open");
            self.postpone(&leased).await;
            leased
        };
        drop(permits);
        let payer = Arc::clone(self);
        let rest = async move { payer.listen_on(stream, leased, sent).await };
        let rest = self.listening.track_future(rest.instrument(Span::current()));
        self.runtime.spawner.spawn(Box::pin(rest));
    }

    async fn listen_on(&self, mut stream: SendStream, mut leased: Leased, sent: Sent) {
        loop {
            let update = tokio::select! {
                biased;
                update = stream.next() => update,
                () = self.stop.cancelled() => return,
            };
            let Some(next) = self.apply(update, leased, sent).await else { return };
            leased = next;
        }
    }

    /// Applies one update. None once the stream has ended: the next lookup is scheduled.
    async fn apply(
        &self,
        update: Option<SendUpdate>,
        leased: Leased,
        sent: Sent,
    ) -> Option<Leased> {
        let Some(update) = update else {
            self.postpone(&leased).await;
            return None;
        };
        let update = self.interpret(&update, &leased);
        let (leased, written) = self.write(leased, sent, update).await;
        report_contradiction(&leased, update.report);
        if !update.last {
            return Some(leased);
        }
        // A write has scheduled the next lookup. If nothing was written, a lookup will find the outcome.
        if !written {
            self.postpone(&leased).await;
        }
        None
    }

    fn interpret(&self, update: &SendUpdate, leased: &Leased) -> Update {
        let payment = leased.payment.id;
        match update {
            SendUpdate::Record(record) => {
                let skew = self.options.lookup.limits.clock_skew;
                let report =
                    StreamReport::NodeReport(NodeReport::of(Some(record), &leased.payment, skew));
                let last = record.state != RecordState::InFlight;
                let answer = if last { Answer::Final } else { Answer::Stored };
                Update { answer: Some(answer), report, last }
            }
            SendUpdate::AlreadyExists => Update {
                answer: Some(Answer::AlreadyExists),
                report: StreamReport::AlreadyExists,
                last: true,
            },
            SendUpdate::Refused(error) => {
                tracing::warn!(%payment, %error, "the node refused the send");
                Update { answer: Some(Answer::Refused), report: StreamReport::Nothing, last: true }
            }
            SendUpdate::Unsent(error) => {
                tracing::warn!(%payment, %error, "the send did not reach the node");
                Update { answer: Some(Answer::Unsent), report: StreamReport::Nothing, last: true }
            }
            SendUpdate::Lost(error) => {
                tracing::warn!(%payment, %error, "the send was not answered");
                Update { answer: None, report: StreamReport::Nothing, last: true }
            }
        }
    }

    /// Writes what an update changes. If the row has changed, reads it again: the update is a fact about
    /// this send, whoever holds the lease now. Returns whether anything was written.
    async fn write(&self, mut leased: Leased, sent: Sent, update: Update) -> (Leased, bool) {
        for _ in 0..APPLY_TRIES {
            match self.try_write(&leased, sent, update).await {
                Ok(Some(next)) => return (next, true),
                Ok(None) => return (leased, false),
                Err(StoreError::Stale | StoreError::Unknown(_)) => {
                    match self.store.payment(leased.payment.id).await {
                        Ok(Some(again)) => {
                            leased = Leased { fencing_token: leased.fencing_token, ..again }
                        }
                        Ok(None) | Err(_) => return (leased, false),
                    }
                }
                Err(error) => {
                    // A lookup will find the outcome.
                    let payment = leased.payment.id;
                    tracing::warn!(%payment, error = %chain(&error),
                        "could not write the node's answer to the send; a lookup will find it");
                    return (leased, false);
                }
            }
        }
        (leased, false)
    }

    /// None if there is nothing to write.
    async fn try_write(
        &self,
        leased: &Leased,
        sent: Sent,
        update: Update,
    ) -> Result<Option<Leased>, StoreError> {
        let before = leased.payment.clone();
        let payment = match update.answer {
            Some(answer) => before.clone().answered(sent.number, sent.fencing_token, answer),
            None => before.clone(),
        };
        let clocks = self.lookup.clocks().await?;
        let server = self.lookup.server();
        let on = StreamEvidence {
            report: update.report,
            settled: clocks.settled && server.is_some(),
            carried_over: self.lookup.is_older_than_server(&payment),
        };
        let next = decide_on_stream(&payment, &on, payment.request_facts(&leased.withdraw));
        if next == Next::Stay && payment == before {
            return Ok(None);
        }
        let withdraw = leased.withdraw.clone();
        let mut advance = payment.follow(next, withdraw, &self.lookup.reopening(), clocks.now);
        advance.answered = update.answer.map(|answer| (sent.number, sent.fencing_token, answer));
        advance.decided_on = server.map(|server| server.0);
        let mut advance = self.lookup.scheduled(advance, clocks.now);
        if !update.last {
            // Still listening: the payment stays leased to this worker.
            advance.due_at = Some(clocks.now.plus(self.options.lease));
        }
        self.store.advance(&advance).await?;
        self.report(&advance, &before.state);
        let withdraw = advance.change.map_or_else(|| leased.withdraw.clone(), |change| change.next);
        Ok(Some(Leased { payment: advance.payment, withdraw, ..leased.clone() }))
    }
}

/// If the attempt was closed as failed, and the node's answer to one of its sends contradicts that.
fn report_contradiction(leased: &Leased, report: StreamReport) {
    let StreamReport::NodeReport(report) = report else { return };
    let request = leased.payment.request_facts(&leased.withdraw);
    if let FollowUp::Contradicted(why) = follow_up(&leased.payment, report, Trust::Same, request) {
        report::contradiction(&leased.payment, why);
    }
}
