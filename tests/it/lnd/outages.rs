//! Stories in which something dies while money is out, or the wrong node answers.

use tonic::Code;
use withdrawd::pb::{
    Halt, Withdraw,
    payment::{FailureReason, State},
    withdraw::Status,
};

use crate::{
    bench::daemon::{Daemon, homes, on_every_store},
    bench::lab::{ClosedProxy, Invoice, Lab, eventually},
    bench::reason,
    lnd::real_network::error_reason,
};

/// What the payer logs while it cannot reach its node.
const NODE_AWAY: &str = "a background job failed";

/// A hold invoice holds its request, a kill -9 of the service changes nothing, and what the payee
/// decides afterwards is what holds in the end.
#[tokio::test]
async fn payments_in_flight_survive_the_kill_of_the_service() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        let (settled, canceled) = (service.create(70).await, service.create(80).await);
        let (settles, cancels) = (lab.hold_invoice(70), lab.hold_invoice(80));
        service.claim_ok(&settled, &settles.invoice.text).await;
        service.claim_ok(&canceled, &cancels.invoice.text).await;
        for (withdraw, held) in [(&settled, &settles), (&canceled, &cancels)] {
            service.until(withdraw, State::InFlight).await;
            lab.wait_until_accepted(held).await;
        }
        service.claim_ok(&settled, &settles.invoice.text).await;
        let other = lab.invoice("payee", 70);
        let refused = service.claim(&settled, &other.text).await;
        assert!(reason(&refused).contains("being paid"), "{refused}");
        let kept = service.deactivate(&settled).await.unwrap_err();
        assert_eq!(kept.code(), Code::FailedPrecondition);
        assert_eq!(error_reason(&kept), "PAYMENT_IN_FLIGHT");
        assert_eq!(service.sends(), 2);

        drop(service);
        let service = home.start().await;
        service.wait_for_log("the node is connected").await;
        for withdraw in [&settled, &canceled] {
            service.until(withdraw, State::InFlight).await;
        }
        service.claim_ok(&settled, &settles.invoice.text).await;

        lab.settle(&settles);
        lab.cancel(&cancels);
        service.until(&settled, State::Paid).await;
        lab.assert_paid_once(&settles.invoice, 70).await;
        let failed = service.until(&canceled, State::Failed).await;
        assert_eq!(failed.failure_reason(), FailureReason::IncorrectPaymentDetails);
        assert_eq!(service.sends(), 0, "nothing was sent again");

        let invoice = lab.invoice("payee", 80);
        service.claim_ok(&canceled, &invoice.text).await;
        service.until(&canceled, State::Paid).await;
        lab.assert_paid_once(&invoice, 80).await;
        lab.assert_unpaid(&cancels.invoice);
    })
    .await;
}

/// The payer's lnd is killed with -9 while an HTLC hangs on a hold invoice.
#[tokio::test]
async fn a_payment_in_flight_survives_the_kill_of_the_node() {
    let Some(lab) = Lab::open() else { return };
    let alone = lab.lock_exclusively().await;
    // The stream that is listened to breaks, which proves nothing.
    let listening = [("payments.fresh_for_s", "30"), ("payments.lease_ms", "31000")];
    let homes = homes(&lab, &listening).await;
    let mut stories = Vec::new();
    for home in &homes {
        let service = home.start().await;
        let withdraw = service.create(60).await;
        let held = lab.hold_invoice(60);
        service.claim_ok(&withdraw, &held.invoice.text).await;
        service.until(&withdraw, State::InFlight).await;
        lab.wait_until_accepted(&held).await;
        stories.push((service, withdraw, held));
    }

    let down = lab.kill("payer", &alone).await;
    for (service, withdraw, _) in &stories {
        service.wait_for_log("the send was not answered").await;
        service.wait_for_log(NODE_AWAY).await;
        service.until(withdraw, State::InFlight).await;
    }
    down.restart().await;

    for (service, withdraw, held) in &stories {
        service.until(withdraw, State::InFlight).await;
        lab.settle(held);
        service.until(withdraw, State::Paid).await;
        lab.assert_paid_once(&held.invoice, 60).await;
        assert_eq!(service.sends(), 1);
        let book = lab.payment("payer", &held.invoice.hash).unwrap();
        assert_eq!(book["status"], "SUCCEEDED");
    }
}

/// A node that cannot be reached keeps no service from starting, and wallets are told to come back.
#[tokio::test]
async fn nothing_is_claimed_until_the_node_can_be_reached() {
    on_every_store(&[], async |lab, home| {
        let gate = ClosedProxy::in_front_of(lab, "payer").await;
        let home = home.with(&[("lnd.endpoint", &gate.endpoint)]);
        let service = home.start_without_node().await;
        let (withdraw, invoice) = (service.create(90).await, lab.invoice("payee", 90));
        let refused = service.claim(&withdraw, &invoice.text).await;
        assert!(reason(&refused).contains("cannot pay at the moment"), "{refused}");

        gate.open();
        service.wait_until_accepting().await;
        service.claim_ok(&withdraw, &invoice.text).await;
        service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&invoice, 90).await;
        assert_eq!(service.sends(), 1);
    })
    .await;
}

/// Claims that were accepted just before the node was heard of no more wait for it. For a second or two after its start lnd answers
/// `FAILURE_REASON_INSUFFICIENT_BALANCE`, since its channels sleep: a definite failure that costs
/// the wallet another claim, and nothing else.
#[tokio::test]
async fn a_claim_while_the_node_restarts_is_paid_or_can_be_made_again() {
    let Some(lab) = Lab::open() else { return };
    let alone = lab.lock_exclusively().await;
    // The last heartbeat counts for as long as the test needs.
    let homes = homes(&lab, &[("node.heartbeat_stale_ms", "600000")]).await;
    let mut services = Vec::new();
    for home in &homes {
        services.push(home.start().await);
    }
    let down = lab.kill("payer", &alone).await;
    let mut stories = Vec::new();
    for service in services {
        let (withdraw, invoice) = claimed_while_the_node_is_away(&lab, &service).await;
        stories.push((service, withdraw, invoice));
    }
    down.restart().await;

    for (service, withdraw, mut invoice) in stories {
        let ended = eventually("it ends", async || {
            let payment = service.get(&withdraw).await.payment?;
            payment.finished.is_some().then_some(payment)
        })
        .await;
        if ended.state() == State::Failed {
            eprintln!("failed at a node that was just started: {:?}", ended.failure_reason());
            lab.assert_unpaid(&invoice);
            invoice = lab.invoice("payee", 90);
            // As long as the channels sleep there is nothing to pay with.
            service.wait_until_accepting().await;
            service.claim_ok(&withdraw, &invoice.text).await;
        }
        service.until(&withdraw, State::Paid).await;
        lab.assert_paid_once(&invoice, 90).await;
    }
}

async fn claimed_while_the_node_is_away(lab: &Lab, service: &Daemon) -> (Withdraw, Invoice) {
    let withdraw = service.create(90).await;
    let invoice = lab.invoice("payee", 90);
    service.claim_ok(&withdraw, &invoice.text).await;
    service.wait_for_log(NODE_AWAY).await;
    service.until(&withdraw, State::Reserved).await;
    service.claim_ok(&withdraw, &invoice.text).await;
    (withdraw, invoice)
}

/// A store that has paid from one node pays nothing from another, until the operator says so.
#[tokio::test]
async fn another_node_pays_nothing_until_it_is_named() {
    on_every_store(&[], async |lab, home| {
        let service = home.start().await;
        let first = service.create(10).await;
        service.claim_ok(&first, &lab.invoice("payee", 10).text).await;
        service.until(&first, State::Paid).await;
        drop(service);

        let home = home.paying_from(lab, "stranger", "admin_macaroon");
        let home = home.with(&[("node.heartbeat_stale_ms", "2100")]);
        let service = home.start_without_node().await;
        let withdraw = service.create(10).await;
        let invoice = lab.invoice("payee", 10);
        service.wait_for_log("another node answers").await;
        service.wait_until_halted(Halt::NodeSilent).await;
        let refused = service.claim(&withdraw, &invoice.text).await;
        assert!(reason(&refused).contains("cannot pay at the moment"), "{refused}");
        assert_eq!(service.sends(), 0);
        drop(service);
        assert_eq!(lab.payment("stranger", &invoice.hash), None);
        lab.assert_unpaid(&invoice);

        let home = home.with(&[
            ("node.expected_identity", lab.fact("stranger", "pubkey")),
            ("node.heartbeat_stale_ms", "15000"),
        ]);
        let service = home.start_without_node().await;
        // It asks the stranger, who has no channel to pay with.
        service.wait_until_halted(Halt::NoLiquidity).await;
        let refused = service.claim(&withdraw, &invoice.text).await;
        assert!(reason(&refused).contains("cannot pay at the moment"), "{refused}");
        assert_eq!(service.get(&withdraw).await.status(), Status::Active);
        assert_eq!(lab.payment("stranger", &invoice.hash), None);
        lab.assert_unpaid(&invoice);
    })
    .await;
}
