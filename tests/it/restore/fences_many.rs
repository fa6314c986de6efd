//! Fences with more unknown payments than one answer lists, with one whose result is lost, and amid a flood.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use tonic_types::StatusExt as _;
use withdrawd::{
    domain::{Millis, Preimage, payment::RecordState},
    pb::{
        AcknowledgeRestoreRequest, AcknowledgeRestoreResponse, FenceRequest, Halt,
        ListUnknownPaymentsRequest, ListUnknownPaymentsResponse, Withdraw,
        acknowledge_restore_request::Pair,
        node_payment,
        withdraw::{Status, UnclaimableReason},
    },
};

use crate::{
    bench::invoices::hash_of,
    bench::{Bench, StoreKind, on_every_store},
    restore::fences::{back_up, restore},
    restore::marks::instance,
};

async fn list(bench: &Bench, page_token: &str) -> ListUnknownPaymentsResponse {
    let request = ListUnknownPaymentsRequest { page_token: page_token.into() };
    bench.operations().list_unknown_payments(request).await.unwrap().into_inner()
}

/// What is answered, or why not.
async fn acknowledge(
    bench: &Bench,
    paid: Vec<Pair>,
    confirm_all_listed: bool,
) -> Result<AcknowledgeRestoreResponse, String> {
    let (operator, reason) = ("ann".into(), "restored".into());
    let request = AcknowledgeRestoreRequest { operator, reason, paid, confirm_all_listed };
    let answer = bench.operations().acknowledge_restore(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| reason_of(&status))
}

fn reason_of(status: &tonic::Status) -> String {
    status.get_error_details().error_info().unwrap().reason.clone()
}

fn pair(withdraw: &Withdraw, invoice: &str) -> Pair {
    Pair { withdraw_id: withdraw.id.clone(), payment_hash: hash_of(invoice).to_string() }
}

/// A restored backup that lacks the payment of a request. The node has made so many others before it. Returns
/// the request and the invoice that paid it.
async fn lost_behind(others: u32) -> (Bench, Withdraw, String) {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 10).await;
    let backup = back_up(&mut bench).await;
    let fee = withdrawd::domain::Msat::new(1).unwrap();
    let succeeded = RecordState::Succeeded { preimage: Preimage::from_bytes([1; 32]), fee };
    bench.node.add_foreign_payments(others, &bench.invoice(10), succeeded);
    let invoice = bench.invoice(10);
    bench.claim_ok(&withdraw, &invoice).await;
    bench.run_payer().await;
    restore(&mut bench, backup).await;
    assert_eq!(instance(&bench).await.halt(), Halt::Fenced);
    (bench, withdraw, invoice)
}

/// The payments that are left out of a list are never listed again once the fence has ended, and the request
/// that one of them paid would be released as unpaid.
#[tokio::test]
async fn a_fence_does_not_end_before_all_payments_are_listed() {
    let (bench, withdraw, invoice) = lost_behind(1200).await;
    let first = list(&bench, "").await;
    let second = list(&bench, &first.next_page_token).await;
    assert_eq!((first.payments.len(), second.payments.len()), (1000, 201));
    assert!(second.next_page_token.is_empty());
    assert_eq!(second.payments[200].payment_hash, hash_of(&invoice).to_string());
    let request = ListUnknownPaymentsRequest { page_token: "x".into() };
    let status = bench.operations().list_unknown_payments(request).await.unwrap_err();
    assert!(status.message().starts_with("page_token must be"), "{status:?}");

    let refused = acknowledge(&bench, Vec::new(), false).await;
    assert_eq!(refused.unwrap_err(), "TOO_MANY_UNKNOWN");
    assert_eq!(instance(&bench).await.halt(), Halt::Fenced);
    assert_eq!(bench.get(&withdraw.id).await.status(), Status::Active);

    // What is assigned is marked as paid, wherever it is listed. That hides none of the others.
    let refused = acknowledge(&bench, vec![pair(&withdraw, &invoice)], false).await;
    assert_eq!(refused.unwrap_err(), "TOO_MANY_UNKNOWN");
    assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    assert_eq!(instance(&bench).await.halt(), Halt::Fenced);
    let first = list(&bench, "").await;
    assert_eq!(list(&bench, &first.next_page_token).await.payments.len(), 200);

    let done = acknowledge(&bench, vec![pair(&withdraw, &invoice)], true).await.unwrap();
    assert_eq!((done.unknown.len(), done.more), (1000, true));
    assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
}

/// A call that leaves 1,000 is not the last one if there were more: the operator may assign them in several.
#[tokio::test]
async fn payments_are_assigned_in_several_calls() {
    let (bench, withdraw, invoice) = lost_behind(1000).await;
    let paid = || vec![pair(&withdraw, &invoice)];
    assert_eq!(acknowledge(&bench, paid(), false).await.unwrap_err(), "TOO_MANY_UNKNOWN");
    assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    assert!(list(&bench, "").await.next_page_token.is_empty());
    let done = acknowledge(&bench, paid(), false).await.unwrap();
    assert_eq!((done.unknown.len(), done.more), (1000, false));
    assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
}

/// lnd's FAILED proves nothing if it lost an HTLC's result: an operator who believed it would release the
/// request.
#[tokio::test]
async fn a_payment_with_a_lost_result_is_not_listed_as_failed() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 10).await;
    let backup = back_up(&mut bench).await;
    let invoice = bench.invoice(10);
    bench.clock.advance(Millis::from_ms(1));
    bench.node.add_foreign_payment(&invoice, RecordState::ResultLost);
    restore(&mut bench, backup).await;
    let listed = list(&bench, "").await.payments;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].state(), node_payment::State::ResultLost);

    let assigned = acknowledge(&bench, vec![pair(&withdraw, &invoice)], false).await;
    assert_eq!(assigned.unwrap_err(), "NOT_PAID");
    let done = acknowledge(&bench, Vec::new(), false).await.unwrap();
    assert_eq!(done.unknown[0].state(), node_payment::State::ResultLost);
    let found = bench.get(&withdraw.id).await;
    assert_eq!(found.unclaimable_reason(), UnclaimableReason::NeedsOperator);
}

/// Wallets' reads have a queue of their own.
#[tokio::test]
async fn an_acknowledgement_does_not_wait_behind_wallets() {
    on_every_store(async |bench| {
        let fence = FenceRequest { operator: "ann".into(), reason: "promoted".into() };
        bench.operations().fence(fence).await.unwrap();
        bench.faults.wallets_wait.store(true, SeqCst);
        let done = acknowledge(&bench, Vec::new(), false);
        let done = tokio::time::timeout(Duration::from_secs(10), done).await;
        bench.faults.wallets_wait.store(false, SeqCst);
        done.expect("it waits for wallets").unwrap();
        assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
    })
    .await;
}
