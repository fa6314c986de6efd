//! Looking an attempt up, and doing what the table says.

use std::sync::Arc;

use super::{Payer, Places};
use crate::{
    domain::{
        State,
        payment::{Advance, Again, Next, again, looked_up},
    },
    lookup::{Look, LookupError},
    ports::{Leased, StoreError},
    report::{self, chain},
};

impl Payer {
    /// One attempt, from its look-up to whatever follows. Errors leave it as it is.
    pub(super) async fn attend(self: &Arc<Self>, leased: Leased, places: Places) {
        let look = match self.look(&leased).await {
            Ok(look) => look,
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not look the payment up");
                return self.ask_again(&leased).await;
            }
        };
        let payment = &leased.payment;
        let beside = payment.beside(&leased.withdraw);
        match looked_up(payment, &look.looked, beside) {
            Next::Send => self.send(leased, look, places).await,
            Next::Witness => {
                self.witness.make(Some(&leased.payment)).await;
                self.postpone(&leased).await;
            }
            Next::Stay => match again(payment, look.looked.word, look.looked.trust, beside) {
                Again::AsPlanned => self.postpone(&leased).await,
                Again::NotUsedUp => self.ask_again(&leased).await,
                Again::Never => self.set_due(&leased, None).await,
                Again::Followed => {
                    tracing::error!(
                        payment = %payment.id,
                        withdraw = %payment.withdraw,
                        "closed as failed, yet the node is paying it, or has paid it"
                    );
                    self.ask_again(&leased).await;
                }
            },
            next => self.conclude(leased, next, &look).await,
        }
    }

    async fn look(&self, leased: &Leased) -> Result<Look, LookupError> {
        let began = self.lookup.begin(&leased.payment).await?;
        self.lookup.look(leased, &began).await
    }

    /// Writes what follows from a look-up. A row that moved meanwhile is somebody else's: what the
    /// look-up told is stale with it.
    async fn conclude(&self, leased: Leased, next: Next, look: &Look) {
        let clocks = &look.clocks;
        let before = leased.payment.state;
        let advance = leased.payment.clone().follow(
            next,
            leased.withdraw.clone(),
            &self.lookup.reopening(),
            clocks.now,
        );
        let mut advance = self.lookup.scheduled(advance, clocks.now);
        advance.decided_on = look.server.map(|server| server.0);
        match self.store.advance(&advance).await {
            Ok(()) => self.told(&advance, &before),
            // Another worker, or a change of the request: it is looked up anew, soon.
            Err(StoreError::Stale) => {
                let soon = clocks.now.plus(self.options.lookup.pace.first);
                self.set_due(&leased, Some(soon)).await;
            }
            Err(StoreError::Unknown(_)) if self.is_written(&advance).await => {
                self.told(&advance, &before);
            }
            // A send that was lost with another database server may still reach the node.
            Err(StoreError::Halted(_)) => self.ask_again(&leased).await,
            Err(error) => {
                let payment = advance.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not write what was learned");
                self.ask_again(&leased).await;
            }
        }
    }

    /// Reads back a step whose COMMIT was not answered, so that it is told of.
    async fn is_written(&self, advance: &Advance) -> bool {
        let found = self.store.payment(advance.payment.id).await.ok().flatten();
        found.is_some_and(|found| {
            let stands = (found.payment.version, found.payment.state);
            stands == (advance.payment.version, advance.payment.state)
        })
    }

    /// A change of a payment is durable.
    pub(super) fn told(&self, advance: &Advance, before: &State) {
        report::transition(&*self.recorder, before, &advance.payment, None);
    }
}
