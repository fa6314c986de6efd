//! The end of a round: all is up, nothing is killed any more, and everything must come to its end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::join_all;
use withdrawd::pb::{GetWithdrawRequest, Payment, Withdraw, payment::State};

use super::{
    offers::{Offer, WalletInvoice},
    plan::{InvoicePlan, PayeeAction},
    round::Round,
    service::Addresses,
    wallets::{WalletAnswer, claim},
};
use crate::bench::lab::{eventually, let_pass};

const PAUSE: Duration = Duration::from_millis(50);

impl Round {
    /// Follows every payment to its end, and then sees that every request can be paid.
    pub async fn end(&self) {
        for offer in &self.offers {
            self.end_of(offer.withdraw()).await;
        }
        self.note("every payment has ended");
        let offers = self.offers.iter().enumerate();
        join_all(offers.map(|(number, offer)| self.pay(number, offer))).await;
    }

    /// None while the service cannot tell.
    pub async fn get(&self, withdraw: &Withdraw) -> Option<Withdraw> {
        let mut addresses = self.any_addresses();
        let id = withdraw.id.clone();
        let found = addresses.client.get_withdraw(GetWithdrawRequest { id }).await;
        found.ok().map(tonic::Response::into_inner)
    }

    /// The payments that lnd will call in flight for ever. None while it is down.
    pub async fn stranded(&self) -> Option<BTreeSet<String>> {
        // Without a kill nothing is lost.
        let died_at_ns = self.payer_died_at_ns().unwrap_or(0);
        let since = self.marks.clone();
        self.environment.blocking(move |environment| environment.stranded(&since, died_at_ns)).await
    }

    pub async fn is_wedged(&self) -> bool {
        let since = self.marks.clone();
        self.environment.blocking(move |environment| environment.is_wedged(&since)).await
    }

    /// The request, once no payment of it is under way. One in doubt, or lost by lnd, has ended: the
    /// records show whether there is a reason for it.
    async fn end_of(&self, withdraw: &Withdraw) -> Withdraw {
        eventually("every payment ends", async || {
            let now = self.get(withdraw).await?;
            let ended = match (state(&now), &now.payment) {
                (Some(State::Reserved | State::Sending), _) => false,
                (Some(State::InFlight), Some(payment)) => {
                    self.stranded().await?.contains(&payment.payment_hash)
                }
                _ => true,
            };
            ended.then_some(now)
        })
        .await
    }

    fn any_addresses(&self) -> Addresses {
        self.replicas[0].addresses().expect("all is up")
    }

    /// Whatever happened to it, a request can be paid, unless it is held; and the wallet that was
    /// paid is told OK again.
    async fn pay(&self, number: usize, offer: &Offer) {
        let withdraw = offer.withdraw();
        let end = eventually("the rest is paid", async || {
            let now = self.end_of(withdraw).await;
            let held = match state(&now) {
                Some(State::Paid) => return Some(now),
                Some(State::NeedsOperator | State::InFlight) => true,
                _ if self.is_wedged().await => return Some(now),
                _ => false,
            };
            let told = self.claim_once_more(number, offer, &now).await;
            assert!(!held || matches!(told, WalletAnswer::Refused(_)), "{told:?}, though {now:?}");
            let_pass(PAUSE).await;
            held.then_some(now)
        });
        let end = end.await;
        if state(&end) != Some(State::Paid) {
            return;
        }
        let invoice = end.payment.unwrap().invoice;
        for replica in &self.replicas {
            let door = replica.addresses().expect("all is up").lnurl;
            let told = claim(door, &withdraw.ott, &invoice).await;
            assert_eq!(told, WalletAnswer::Ok, "a wallet that was paid taps again");
        }
    }

    async fn claim_once_more(&self, number: usize, offer: &Offer, now: &Withdraw) -> WalletAnswer {
        let sat = now.target_max_amount.parse().unwrap();
        let wallet_invoice =
            WalletInvoice::make(&self.environment, InvoicePlan { sat, action: PayeeAction::Plain })
                .await;
        let wallet_invoice = Arc::new(wallet_invoice);
        offer.later.lock().unwrap().push(Arc::clone(&wallet_invoice));
        let told =
            claim(self.any_addresses().lnurl, &now.ott, &wallet_invoice.invoice().text).await;
        if told == WalletAnswer::Ok {
            wallet_invoice.note_ok();
        }
        let hash = &wallet_invoice.hash()[..8];
        self.note(format!("{number} is claimed once more with {hash}: {told:?}"));
        told
    }
}

fn state(withdraw: &Withdraw) -> Option<State> {
    withdraw.payment.as_ref().map(Payment::state)
}
