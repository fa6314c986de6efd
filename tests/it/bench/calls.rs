//! What internal services and wallets ask of the app: withdraw requests, offers, claims.

use std::net::SocketAddr;

use serde_json::Value;
use withdrawd::{
    domain::{Event, WithdrawId},
    pb::{self, CreateWithdrawRequest, Withdraw},
    runtime::Clock,
};

use super::{Bench, http, invoices::InvoiceDraft};

impl Bench {
    pub async fn create(&self, min_sat: i64, max_sat: i64) -> Withdraw {
        let request = CreateWithdrawRequest {
            min_amount: min_sat.to_string(),
            max_amount: max_sat.to_string(),
            ..CreateWithdrawRequest::default()
        };
        self.client().create_withdraw(request).await.unwrap().into_inner()
    }

    pub async fn get(&self, id: &str) -> Withdraw {
        let request = pb::GetWithdrawRequest { id: id.to_owned() };
        self.client().get_withdraw(request).await.unwrap().into_inner()
    }

    pub async fn deactivate(&self, id: &str) -> Result<Withdraw, tonic::Status> {
        let request = pb::DeactivateWithdrawRequest { id: id.to_owned() };
        self.client().deactivate_withdraw(request).await.map(tonic::Response::into_inner)
    }

    /// All that happened to a request, in order.
    pub async fn history_of(&self, id: &str) -> Vec<Event> {
        let store = self.store();
        let id = WithdrawId::parse(id).unwrap();
        self.inside(async move { store.events_of(id).await.unwrap() }).await
    }

    /// The names of it.
    pub async fn events_of(&self, id: &str) -> Vec<&'static str> {
        let events = self.history_of(id).await;
        events.iter().map(|event| event.kind.name()).collect()
    }

    /// An invoice that can be paid.
    pub fn invoice(&self, sat: u64) -> String {
        self.invoice_draft(sat).build()
    }

    pub fn invoice_draft(&self, sat: u64) -> InvoiceDraft {
        InvoiceDraft::new(sat * 1000, self.clock.now())
    }

    /// The first GET.
    pub async fn offer(&self, withdraw: &Withdraw) -> Value {
        http::get(self.lnurl(), &format!("/w/{}", withdraw.ott)).await.json()
    }

    /// The callback.
    pub async fn claim(&self, withdraw: &Withdraw, invoice: &str) -> Value {
        claim_at(self.lnurl(), &withdraw.ott, invoice).await
    }

    /// The callback, which must be OK.
    pub async fn claim_ok(&self, withdraw: &Withdraw, invoice: &str) {
        let answer = self.claim(withdraw, invoice).await;
        assert_eq!(answer, serde_json::json!({ "status": "OK" }));
    }
}

pub async fn claim_at(lnurl: SocketAddr, k1: &str, invoice: &str) -> Value {
    let answer = http::get(lnurl, &format!("/cb?k1={k1}&pr={invoice}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The reason of an ERROR.
pub fn reason(answer: &Value) -> &str {
    assert_eq!(answer["status"], "ERROR", "{answer}");
    answer["reason"].as_str().unwrap()
}
