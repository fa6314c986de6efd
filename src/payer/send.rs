//! Sends a payment: commit first, then call the node. Nothing here is ever undone.

use std::sync::Arc;

use tracing::Span;

use super::{Payer, Permits, listen::Sent};
use crate::{
    domain::{PaymentId, payment::Sender},
    lookup::LookupResult,
    ports::{Leased, SendOrder, StoreError},
    report::chain,
    trace,
};

impl Payer {
    /// Sends an attempt, for the first time or again.
    pub(super) async fn send(
        self: &Arc<Self>,
        leased: Leased,
        look: LookupResult,
        permits: Permits,
    ) {
        // A repeat comes from the follow lane, so it needs a permit to send too.
        let repeat = !leased.payment.sends.is_empty();
        let permits = match repeat.then(|| Arc::clone(&self.sending).try_acquire_owned()) {
            Some(Err(_)) => return self.postpone(&leased).await,
            Some(Ok(permit)) => permits.and(permit),
            None => permits,
        };
        let Some((leased, order, sent)) = self.commit_send(leased, look).await else {
            return;
        };
        let stream = self.node.send(order).await;
        self.listen(stream, leased, sent, permits).await;
    }

    /// Commits the send's row. None if the commit was refused or its outcome is unknown: then the node must
    /// not be called.
    async fn commit_send(
        &self,
        leased: Leased,
        look: LookupResult,
    ) -> Option<(Leased, SendOrder, Sent)> {
        let Leased { payment, withdraw, fencing_token, .. } = leased.clone();
        let LookupResult { paying, connection, clocks, .. } = look;
        let now = clocks.now;
        let deadline =
            self.lookup.reopening().send_deadline(&payment, now, self.options.lookup.send_life);
        let by = Sender { fencing_token, node: paying, at: now, begun_at: clocks.earlier };
        let mut advance = payment.send(&withdraw, by, deadline);
        // Until then only this worker follows the attempt; afterwards any worker looks it up.
        advance.due_at = Some(now.plus(self.options.lease));
        let send = advance.new_send.clone()?;
        let listened = Sent { number: send.number, fencing_token };

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
                tracing::warn!(%payment, error = %chain(&error),
                    "the send is not known to be committed, so the node was not asked to pay; the payment \
                     is looked up again");
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
        Some((Leased { payment, withdraw, fencing_token, lookups: 0 }, order, listened))
    }

    /// Reads back a send whose COMMIT was not answered, by number **and fencing token**: by number alone,
    /// two workers could both take the same row for their own, and both would send.
    async fn is_committed(&self, payment: &PaymentId, sent: Sent) -> bool {
        self.store.send_exists(*payment, sent.number, sent.fencing_token).await.unwrap_or(false)
    }
}
