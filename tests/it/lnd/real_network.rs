//! Stories of payments on a real Lightning network, every node being up.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use withdrawd::{
    domain::{PaymentHash, Preimage},
    pb::{
        payment::{FailureReason, OperatorReason, State},
        withdraw::Status,
    },
};

use crate::{
    bench::daemon::{Daemon, Home, on_every_store},
    bench::lab::{Lab, let_pass},
    bench::{StoreKind, reason, store_kinds},
};

/// The main job: the payee's own lnd says that it has the money.
#[tokio::test]
async fn a_claimed_request_is_paid_and_the_payee_has_the_money() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        let withdraw = service.create(1234).await;
        let invoice = lab.invoice("payee", 1234);
        service.claim_ok(&withdraw, &invoice.text).await;

        let payment = service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&invoice, 1234).await;
        assert_eq!(payment.payment_hash, invoice.hash);
        assert_eq!(payment.amount_msat, 1_234_000);
        // A channel of its own: no hop in between takes a fee.
        assert_eq!(payment.fee_msat, Some(0));
        let mut preimage = [0; 32];
        hex::decode_to_slice(&payment.preimage, &mut preimage).unwrap();
        let hash: PaymentHash = Preimage::from_bytes(preimage).hash();
        assert_eq!(hash.to_string(), invoice.hash);

        let paid = service.get(&withdraw).await;
        assert_eq!((paid.status(), paid.claimable), (Status::Paid, false));
        service.claim_ok(&withdraw, &invoice.text).await;
        assert_eq!(service.sends(), 1);
    })
    .await;
}

/// A definite failure frees the request at once, for another invoice.
#[tokio::test]
async fn an_invoice_without_a_route_fails_and_another_one_is_paid() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        let withdraw = service.create(50).await;
        let unreachable = lab.invoice("stranger", 50);
        service.claim_ok(&withdraw, &unreachable.text).await;

        let failed = service.until(&withdraw, State::Failed).await;
        assert_eq!(failed.failure_reason(), FailureReason::NoRoute);
        let open = service.get(&withdraw).await;
        assert_eq!((open.status(), open.claimable), (Status::Active, true));
        let again = service.claim(&withdraw, &unreachable.text).await;
        assert!(reason(&again).contains("already used"), "{again}");

        let invoice = lab.invoice("payee", 50);
        service.claim_ok(&withdraw, &invoice.text).await;
        service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&invoice, 50).await;
    })
    .await;
}

/// Once the store has seen its node, the node's own invoices are refused.
#[tokio::test]
async fn an_invoice_of_the_paying_node_is_refused() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        let first = service.create(10).await;
        let invoice = lab.invoice("payee", 10);
        service.claim_ok(&first, &invoice.text).await;
        service.until(&first, State::Paid).await;

        let withdraw = service.create(10).await;
        let own = lab.invoice("payer", 10);
        let refused = service.claim(&withdraw, &own.text).await;
        assert_eq!(reason(&refused), "the invoice was made by the node that would pay it");
        let open = service.get(&withdraw).await;
        assert!(open.claimable && open.payment.is_none(), "{open:?}");
    })
    .await;
}

/// Paid by the same lnd before the request existed: it cannot have been our payment, and the
/// customer may bring another invoice.
#[tokio::test]
async fn an_invoice_that_the_node_paid_before_the_request_existed_is_not_ours() {
    on_every_store(&[("payments.clock_skew_ms", "200")], async |lab, home| {
        let service = home.start().await;
        let known = lab.invoice("payee", 30);
        lab.pay_by_hand(&known);
        // Older than the request by more than the clocks may disagree.
        let_pass(Duration::from_millis(400)).await;
        let withdraw = service.create(30).await;
        service.claim_ok(&withdraw, &known.text).await;

        let failed = service.until(&withdraw, State::Failed).await;
        assert_eq!(failed.failure_reason(), FailureReason::InvoiceKnownToNode);
        assert_eq!(service.sends(), 0);
        lab.assert_paid_once(&known, 30).await;

        let invoice = lab.invoice("payee", 30);
        service.claim_ok(&withdraw, &invoice.text).await;
        service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&invoice, 30).await;
        assert_eq!(service.sends(), 1);
    })
    .await;
}

/// Paid by the same lnd since the request exists: our own send may have been lost with a part of
/// the database. It is held in doubt and never sent; the node's proof then settles it.
#[tokio::test]
async fn an_invoice_that_the_node_paid_meanwhile_is_in_doubt_and_not_paid_again() {
    // Slow enough to be seen in doubt.
    let settings = [("payments.slow_look_s", "4")];
    on_every_store(&settings, async |lab, home| {
        let service = home.start().await;
        let withdraw = service.create(40).await;
        let known = lab.invoice("payee", 40);
        lab.pay_by_hand(&known);
        service.claim_ok(&withdraw, &known.text).await;

        let payment = service.until(&withdraw, State::NeedsOperator).await;
        let why = payment.operator_reason();
        assert_eq!(why, OperatorReason::KnownBeforeSend);
        service.wait_for_log("NEEDS_OPERATOR").await;
        let other = lab.invoice("payee", 40);
        let refused = service.claim(&withdraw, &other.text).await;
        assert!(reason(&refused).contains("looked into"), "{refused}");
        let kept = service.deactivate(&withdraw).await.unwrap_err();
        assert_eq!(error_reason(&kept), "NEEDS_OPERATOR");

        service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&known, 40).await;
        lab.assert_unpaid(&other);
        assert_eq!(service.sends(), 0);
    })
    .await;
}

/// Two wallets, one link, the same moment: one is paid and the other is told why not.
#[tokio::test]
async fn of_two_wallets_at_the_same_moment_one_is_paid() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        for _ in 0..5 {
            let withdraw = service.create(21).await;
            let invoices = [lab.invoice("payee", 21), lab.invoice("payee", 21)];
            let (one, two) = tokio::join!(
                service.claim(&withdraw, &invoices[0].text),
                service.claim(&withdraw, &invoices[1].text),
            );
            let [winner, loser] = invoices;
            let (winner, loser, refused) = match (one["status"] == "OK", two["status"] == "OK") {
                (true, false) => (winner, loser, two),
                (false, true) => (loser, winner, one),
                _ => panic!("{one} {two}"),
            };
            assert!(reason(&refused).contains("paid"), "{refused}");
            service.until(&withdraw, State::Paid).await;
            lab.assert_paid_once(&winner, 21).await;
            lab.assert_unpaid(&loser);
        }
    })
    .await;
}

/// Two processes on one database, either may claim or pay: the payee's lnd has every invoice
/// paid, and by one HTLC each.
#[tokio::test]
async fn two_replicas_pay_everything_once() {
    let Some(lab) = Lab::open() else { return };
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let _up = lab.share().await;
    let master = hex::encode(rand::random::<[u8; 32]>());
    let home = Home::new(StoreKind::Postgres, &lab).await;
    let home = home.with(&[("keys.master", &master)]);
    let replica = home.replica();
    let services = [home.start().await, replica.start().await];

    let invoices: Vec<_> = (0..20).map(|_| lab.invoice("payee", 11)).collect();
    let story = async |number: usize| {
        let (maker, claimed) = (&services[number % 2], &services[number / 2 % 2]);
        let withdraw = maker.create(11).await;
        // One wallet tapped twice, and the taps came to different replicas.
        let invoice = &invoices[number];
        let taps = tokio::join!(
            claimed.claim(&withdraw, &invoice.text),
            maker.claim(&withdraw, &invoice.text),
        );
        let ok = json!({ "status": "OK" });
        assert_eq!(taps, (ok.clone(), ok));
        let payment = maker.until(&withdraw, State::Paid).await;
        assert_eq!(maker.sends_of(&payment).await, 1);
    };
    join_all((0..invoices.len()).map(story)).await;

    for invoice in &invoices {
        lab.assert_paid_once(invoice, 11).await;
    }
    let sends = services.each_ref().map(Daemon::sends);
    eprintln!("sends begun by each replica: {sends:?}");
}

/// The reason in a status's `ErrorInfo`.
pub fn error_reason(status: &tonic::Status) -> String {
    use tonic_types::StatusExt;

    status.get_details_error_info().unwrap().reason
}
