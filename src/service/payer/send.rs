//! Sending: commit, then ask, then listen. Nothing here undoes anything.

use futures_util::StreamExt;
use tracing::Span;

use super::Payer;
use crate::{
    domain::payment::{Answer, Heard, Next, Payment, RecordState, Word, heard},
    ports::{Leased, SendOrder, SendStream, SendUpdate, StoreError},
    report::chain,
    service::inquiry::Look,
    trace,
};

/// How often an answer is folded into a row that keeps moving.
const FOLD_TRIES: usize = 5;

/// The send that is listened to.
#[derive(Clone, Copy)]
struct Sent {
    number: i64,
    epoch: i64,
}

impl Payer {
    /// Sends an attempt for the first time, or once more.
    pub(super) async fn send(&self, leased: Leased, look: Look) {
        // A repeat comes from the other lane: it needs a place among the senders too.
        let repeat = !leased.payment.sends.is_empty();
        let _place = match repeat.then(|| self.sending.try_acquire()) {
            Some(Err(_)) => return self.postpone(&leased).await,
            place => place,
        };
        let Some((leased, order, sent)) = self.commit_send(leased, look).await else {
            return;
        };
        let stream = self.node.send(order).await;
        let (leased, answered) = self.listen(stream, leased, sent).await;
        if !answered {
            self.postpone(&leased).await;
        }
    }

    /// Commits the send's row. None: it is not ours to send, or it is not known to be committed.
    async fn commit_send(&self, leased: Leased, look: Look) -> Option<(Leased, SendOrder, Sent)> {
        let Leased { payment, withdraw, epoch, .. } = leased.clone();
        let Look { paying, connection, clocks, .. } = look;
        let now = clocks.now;
        let deadline =
            self.inquiry.reopening().send_deadline(&payment, now, self.options.send_life);
        let mut advance = payment.send(&withdraw, epoch, paying, now, deadline);
        // Until then it is this worker's; afterwards anybody looks it up.
        advance.due_at = Some(now.plus(self.options.lease));
        let send = advance.new_send.clone()?;
        let listened = Sent { number: send.number, epoch };

        tracing::info!(
            withdraw = %withdraw.id,
            payment = %advance.payment.id,
            payment_hash = %advance.payment.payment_hash,
            send = send.number,
            send_deadline_ms = send.send_deadline.as_ms(),
            claim_trace_id = trace::claim_trace_id(&advance.payment),
            "sending"
        );
        match self.store.advance(&advance).await {
            Ok(()) => {}
            Err(StoreError::Unknown(_))
                if self.is_committed(&advance.payment.id, listened).await => {}
            Err(error) => {
                let payment = advance.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "did not send");
                self.ask_again(&leased).await;
                return None;
            }
        }
        let payment = advance.payment;
        Span::current().record("withdrawd.payment.state", payment.state.name());
        let order = SendOrder {
            node: send.node,
            connection,
            invoice: payment.invoice.clone(),
            payment_hash: payment.payment_hash,
            amount: payment.amount,
            fee_limit: payment.fee_limit,
            send_deadline: send.send_deadline,
        };
        Some((Leased { payment, withdraw, epoch, looks: 0 }, order, listened))
    }

    /// Reads back a send whose COMMIT was not answered: by number **and epoch**, or two workers
    /// would take one row for theirs.
    async fn is_committed(&self, payment: &crate::domain::PaymentId, sent: Sent) -> bool {
        self.store.send_exists(*payment, sent.number, sent.epoch).await.unwrap_or(false)
    }

    /// Listens until the payment ended, the stream did, or the attempt is no longer fresh. Tells
    /// whether the send got its last answer, which also plans the next look.
    async fn listen(
        &self,
        mut stream: SendStream,
        mut leased: Leased,
        sent: Sent,
    ) -> (Leased, bool) {
        let patience = self.runtime.clock.sleep(self.options.pace.fresh_for);
        let mut patience = std::pin::pin!(patience);
        loop {
            let update = tokio::select! {
                biased;
                update = stream.next() => update,
                () = self.stop.cancelled() => None,
                () = &mut patience => None,
            };
            let Some(update) = update else {
                return (leased, false);
            };
            let (answer, said, last) = self.understand(&update, &leased);
            leased = self.fold(leased, sent, answer, said).await;
            if last {
                return (leased, true);
            }
        }
    }

    /// What an update means, and whether it is the last.
    fn understand(&self, update: &SendUpdate, leased: &Leased) -> (Option<Answer>, Heard, bool) {
        match update {
            SendUpdate::Record(record) => {
                let skew = self.options.limits.clock_skew;
                let word = Heard::Word(Word::of(Some(record), &leased.payment, skew));
                match record.state {
                    RecordState::InFlight => (None, word, false),
                    RecordState::Succeeded { .. } | RecordState::Failed(_) => {
                        (Some(Answer::Final), word, true)
                    }
                }
            }
            SendUpdate::AlreadyExists => (Some(Answer::AlreadyExists), Heard::AlreadyExists, true),
            SendUpdate::Error(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, %error, "the send was not answered");
                (Some(Answer::Error), Heard::Nothing, true)
            }
        }
    }

    /// Folds what was heard into the row, reading it again if it moved: the answer is a fact about
    /// this send, whoever holds the lease now.
    async fn fold(
        &self,
        mut leased: Leased,
        sent: Sent,
        answer: Option<Answer>,
        said: Heard,
    ) -> Leased {
        for _ in 0..FOLD_TRIES {
            match self.try_fold(&leased, sent, answer, said).await {
                Ok(next) => return next.unwrap_or(leased),
                Err(StoreError::Stale | StoreError::Unknown(_)) => {
                    match self.store.payment(leased.payment.id).await {
                        Ok(Some(again)) => leased = Leased { epoch: leased.epoch, ..again },
                        Ok(None) | Err(_) => return leased,
                    }
                }
                Err(error) => {
                    // A look-up will tell the same.
                    let payment = leased.payment.id;
                    tracing::warn!(%payment, error = %chain(&error), "could not write an answer");
                    return leased;
                }
            }
        }
        leased
    }

    /// Whether the database server came with it, and may have lost a send of it.
    fn is_inherited(&self, payment: &Payment) -> bool {
        let inherited = self.store.inherited();
        inherited.is_some_and(|inherited| payment.id.created() <= inherited.newest)
    }

    /// None: nothing to write.
    async fn try_fold(
        &self,
        leased: &Leased,
        sent: Sent,
        answer: Option<Answer>,
        said: Heard,
    ) -> Result<Option<Leased>, StoreError> {
        let before = leased.payment.clone();
        let payment = match answer {
            Some(answer) => before.clone().answered(sent.number, sent.epoch, answer),
            None => before.clone(),
        };
        let clocks = self.inquiry.clocks().await?;
        let next = match heard(&payment, said, payment.beside(&leased.withdraw)) {
            // Closed by a look-up, once the clocks agree, and no lost send can start it anew.
            Next::Fail(reason) if !clocks.settled || self.is_inherited(&payment) => {
                Next::Note(reason)
            }
            next => next,
        };
        if next == Next::Stay && payment == before {
            return Ok(None);
        }
        let withdraw = leased.withdraw.clone();
        let mut advance = payment.follow(next, withdraw, &self.inquiry.reopening(), clocks.now);
        advance.answered = answer.map(|answer| (sent.number, sent.epoch, answer));
        let ended = !advance.payment.state.is_open();
        let mut advance = self.inquiry.scheduled(advance, clocks.now);
        if !ended && answer.is_none() {
            // Still listening: it stays this worker's.
            advance.due_at = Some(clocks.now.plus(self.options.lease));
        }
        self.store.advance(&advance).await?;
        self.told(&advance, &before.state);
        let withdraw = advance.change.map_or_else(|| leased.withdraw.clone(), |change| change.next);
        Ok(Some(Leased { payment: advance.payment, withdraw, ..leased.clone() }))
    }
}
