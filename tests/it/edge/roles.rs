//! Three processes share one Postgres: one for internal services, one for wallets, one that pays. Real lnd
//! stands beside the payer alone. Each is killed and started again in turn.

use tonic::Code;
use withdrawd::pb::{
    Halt, ListUnknownPaymentsRequest, PauseRequest, ReconcileRequest, ResolvePaymentRequest,
    operations_service_client::OperationsServiceClient, payment::State,
};

use crate::{
    bench::daemon::{Daemon, Home},
    bench::http::get,
    bench::lab::{Lab, eventually},
    bench::{StoreKind, claim_at, postgres_url, reason},
};

/// The homes of the three.
struct RoleProcesses {
    grpc: Home,
    lnurl: Home,
    payer: Home,
}

impl RoleProcesses {
    /// Started already: the process for wallets, since the others need to know where it is.
    async fn new(lab: &Lab) -> (Self, Daemon) {
        let payer = Home::new(StoreKind::Postgres, lab).await.with(&[("roles", "payer")]);
        // No credential of the node, and no master key, but in the process that needs it.
        let no_node = [("lnd.endpoint", ""), ("lnd.tls_cert", ""), ("lnd.macaroon", "")];
        let lnurl = payer.replica().with(&no_node).with(&[("roles", "lnurl")]);
        let serving = lnurl.start_without_node().await;
        let address = serving.lnurl.to_string();
        let url = [("public_url", &*format!("http://{address}"))];
        let lnurl = lnurl.with(&[("lnurl.listen", &address)]).with(&url);
        let grpc = payer.replica().with(&no_node).with(&[("roles", "grpc")]).with(&url);
        (Self { grpc, lnurl, payer }, serving)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_pay_together_and_each_may_crash() {
    let Some(lab) = Lab::open() else { return };
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let _up = lab.share().await;
    let (homes, lnurl) = RoleProcesses::new(&lab).await;
    let grpc = homes.grpc.start_without_node().await;
    let made = grpc.create(21).await;
    assert!(made.withdraw_request.starts_with("LNURL1"), "{made:?}");

    // Before a process with a node has verified the database nobody relies on it.
    let invoice = lab.invoice("payee", 21);
    let refused = claim_at(lnurl.lnurl, &made.ott, &invoice.text).await;
    assert!(reason(&refused).contains("try again later"), "{refused}");
    assert_eq!(get(lnurl.admin, "/readyz").await.status, 200);
    let payer = homes.payer.start_without_node().await;
    grpc.wait_until_accepting().await;
    offered(&lnurl, &made.ott).await;
    lnurl.claim_ok(&made, &invoice.text).await;
    grpc.until(&made, State::Paid).await;
    lab.assert_paid_once(&invoice, 21).await;

    // What asks the node is not for a process without one, and says who is asked instead.
    no_node_here(&grpc, &made.id).await;

    // The payer crashes: claims are accepted meanwhile, and paid once when it is started again.
    let [first, second, third] =
        [grpc.create(22).await, grpc.create(23).await, grpc.create(24).await];
    drop(payer);
    let invoice = lab.invoice("payee", 22);
    lnurl.claim_ok(&first, &invoice.text).await;
    let payer = homes.payer.start_without_node().await;
    grpc.until(&first, State::Paid).await;
    lab.assert_paid_once(&invoice, 22).await;

    // The process for internal services dies: wallets do not see it.
    drop(grpc);
    let invoice = lab.invoice("payee", 23);
    lnurl.claim_ok(&second, &invoice.text).await;
    let grpc = homes.grpc.start_without_node().await;
    grpc.until(&second, State::Paid).await;
    lab.assert_paid_once(&invoice, 23).await;

    // The process for wallets dies, and comes back at the same address.
    drop(lnurl);
    let lnurl = homes.lnurl.start_without_node().await;
    offered(&lnurl, &third.ott).await;
    let invoice = lab.invoice("payee", 24);
    lnurl.claim_ok(&third, &invoice.text).await;
    grpc.until(&third, State::Paid).await;
    lab.assert_paid_once(&invoice, 24).await;

    // An operator's command in one process holds in all.
    let last = grpc.create(25).await;
    pause(&grpc).await;
    grpc.wait_until_halted(Halt::Paused).await;
    let refused = claim_at(lnurl.lnurl, &last.ott, &lab.invoice("payee", 25).text).await;
    assert_eq!(refused["status"], "ERROR", "{refused}");

    for (home, has_key) in [(&homes.grpc, true), (&homes.lnurl, false), (&homes.payer, false)] {
        assert_eq!(home.path().join("data/master.key").exists(), has_key);
    }
    drop((payer, lnurl, grpc));
}

/// Waits until the first GET offers it: each process reads by itself whether the server is verified.
async fn offered(lnurl: &Daemon, secret: &str) {
    eventually("it is offered", async || {
        let answer = get(lnurl.lnurl, &format!("/w/{secret}")).await.json();
        (answer["tag"] == "withdrawRequest").then_some(())
    })
    .await;
}

async fn pause(grpc: &Daemon) {
    let (operator, reason) = ("alice".to_owned(), "a drill".to_owned());
    let mut client = operations(grpc).await;
    client.pause(PauseRequest { operator, reason }).await.unwrap();
}

async fn operations(grpc: &Daemon) -> OperationsServiceClient<tonic::transport::Channel> {
    OperationsServiceClient::connect(grpc.server().to_owned()).await.unwrap()
}

async fn no_node_here(grpc: &Daemon, withdraw: &str) {
    let mut operations = operations(grpc).await;
    let listed = operations.list_unknown_payments(ListUnknownPaymentsRequest::default()).await;
    let from = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let compared = ReconcileRequest { from, ..ReconcileRequest::default() };
    let compared = operations.reconcile(compared).await;
    let request = withdrawd::pb::GetWithdrawRequest { id: withdraw.to_owned() };
    let payment = grpc.client.clone().get_withdraw(request).await.unwrap().into_inner().payment;
    let resolved = ResolvePaymentRequest {
        id: payment.unwrap().id,
        operator: "alice".to_owned(),
        reason: "a drill".to_owned(),
        outcome: Some(withdrawd::pb::resolve_payment_request::Outcome::Failed(
            withdrawd::pb::resolve_payment_request::Failed {},
        )),
        confirm_payee_unpaid: true,
        ..ResolvePaymentRequest::default()
    };
    let resolved = grpc.payments.clone().resolve_payment(resolved).await;
    for refused in [listed.err(), compared.err(), resolved.err()] {
        let refused = refused.unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("roles grpc and payer"), "{refused}");
    }
}
