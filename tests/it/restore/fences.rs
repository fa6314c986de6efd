//! The restore fence: a database that lost commits pays nothing a second time.
//!
//! SQLite is restored by putting back an older file; a database that lost its last sends is made by
//! deleting them by hand, with the marks, and letting the process believe that another server answers.

use withdrawd::{
    domain::Millis,
    pb::{
        AcknowledgeRestoreRequest, AcknowledgeRestoreResponse, FenceRequest, GetInstanceRequest,
        Halt, Instance, ListUnknownPaymentsRequest, ReleaseWithdrawsRequest, Withdraw,
        acknowledge_restore_request::Pair,
        instance::FenceReason,
        node_payment,
        payment::State,
        withdraw::{Status, UnclaimableReason},
    },
};

use crate::{
    bench::binary::until,
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason},
    payments::tallies,
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";

async fn instance(bench: &Bench) -> Instance {
    bench.operations().get_instance(GetInstanceRequest {}).await.unwrap().into_inner()
}

async fn acknowledge(bench: &Bench, paid: Vec<Pair>) -> AcknowledgeRestoreResponse {
    let (operator, reason) = ("ann".into(), "restored on Sunday".into());
    let request = AcknowledgeRestoreRequest { operator, reason, paid, ..Default::default() };
    bench.operations().acknowledge_restore(request).await.unwrap().into_inner()
}

async fn release_all(bench: &Bench) -> i64 {
    let (operator, reason) = ("ann".into(), "checked".into());
    let request = ReleaseWithdrawsRequest { operator, reason, ids: Vec::new(), all: true };
    bench.operations().release_withdraws(request).await.unwrap().into_inner().released
}

fn pair(withdraw: &Withdraw, invoice: &str) -> Pair {
    Pair { withdraw_id: withdraw.id.clone(), payment_hash: hash_of(invoice).to_string() }
}

/// The database file and its log, while no process runs.
pub struct Backup(Vec<u8>, Vec<u8>);

fn files(bench: &Bench) -> [std::path::PathBuf; 3] {
    ["withdrawd.sqlite", "withdrawd.sqlite-wal", "withdrawd.sqlite-shm"]
        .map(|name| bench.data_dir().join(name))
}

/// Ends a process and waits for the driver's threads: they close their files a moment later, and write and
/// remove some as they do.
pub fn end(bench: &mut Bench) {
    bench.crash();
    let files = files(bench);
    until("SQLite has closed its files", || {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let mut open = open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
        (!open.any(|file| files.contains(&file))).then_some(())
    });
}

pub async fn back_up(bench: &mut Bench) -> Backup {
    end(bench);
    let [file, wal, _] = files(bench);
    let backup = Backup(std::fs::read(file).unwrap(), std::fs::read(wal).unwrap_or_default());
    bench.start().await;
    backup
}

/// As if all that happened since had never been written.
pub async fn restore(bench: &mut Bench, backup: Backup) {
    end(bench);
    let [file, wal, index] = files(bench);
    std::fs::write(file, backup.0).unwrap();
    std::fs::write(wal, backup.1).unwrap();
    let _ = std::fs::remove_file(index);
    bench.start().await;
}

/// The classic way to pay twice: restore last night's backup, and everything that was paid today can be
/// claimed again.
#[tokio::test]
async fn a_restored_backup_pays_nothing_twice() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    let (paid, free) = (bench.create(10, 10).await, bench.create(10, 10).await);
    let backup = back_up(&mut bench).await;
    let invoice = bench.invoice(10);
    bench.claim_ok(&paid, &invoice).await;
    bench.run_payer().await;
    assert_eq!(bench.get(&paid.id).await.status(), Status::Paid);
    restore(&mut bench, backup).await;

    // The database believes that it was never paid; the instance does not.
    assert!(bench.get(&paid.id).await.claimable);
    let stands = instance(&bench).await;
    assert_eq!(
        (stands.halt(), stands.fence_reason()),
        (Halt::Fenced, FenceReason::UnknownPayments)
    );
    for withdraw in [&paid, &free] {
        assert_eq!(reason(&bench.offer(withdraw).await), CANNOT_PAY);
        assert_eq!(reason(&bench.claim(withdraw, &bench.invoice(10)).await), CANNOT_PAY);
    }
    let unknown =
        bench.operations().list_unknown_payments(ListUnknownPaymentsRequest::default()).await;
    let unknown = unknown.unwrap().into_inner().payments;
    assert_eq!(unknown.len(), 1);
    assert_eq!(unknown[0].payment_hash, hash_of(&invoice).to_string());
    assert_eq!(unknown[0].state(), node_payment::State::Succeeded);

    let done = acknowledge(&bench, vec![pair(&paid, &invoice)]).await;
    tallies::assert_true(&bench).await;
    assert_eq!((done.unknown.len(), done.withheld), (0, 1));
    assert_eq!(done.instance.unwrap().halt(), Halt::Unspecified);
    let found = bench.get(&paid.id).await;
    assert_eq!(found.status(), Status::Paid);
    assert_eq!(found.payment.unwrap().payment_hash, hash_of(&invoice).to_string());
    // The other one waits until somebody has made sure.
    let found = bench.get(&free.id).await;
    assert_eq!(found.unclaimable_reason(), UnclaimableReason::NeedsOperator);
    assert!(reason(&bench.offer(&free).await).contains("looked into"));
    let fresh = bench.create(10, 10).await;
    bench.claim_ok(&fresh, &bench.invoice(10)).await;
    assert_eq!(release_all(&bench).await, 1);
    bench.claim_ok(&free, &bench.invoice(10)).await;
    bench.run_payer().await;
    assert_eq!(bench.node.settled(), 3);
    assert_eq!(bench.events_of(&free.id).await[1..3], ["withheld", "released"]);
}

/// What the node paid is forgotten, and so is who knew of it: nothing is assigned, all is held, and a
/// later start does not fence again for the same payments.
#[tokio::test]
async fn an_acknowledged_loss_does_not_fence_again() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    bench.create(10, 10).await;
    let backup = back_up(&mut bench).await;
    // Made after the backup: the restored database does not know it at all.
    let other = bench.create(10, 10).await;
    bench.claim_ok(&other, &bench.invoice(10)).await;
    bench.run_payer().await;
    restore(&mut bench, backup).await;
    bench.clock.advance(Millis::from_secs(60));
    let done = acknowledge(&bench, Vec::new()).await;
    assert_eq!((done.unknown.len(), done.withheld), (1, 1));
    bench.crash_and_restart().await;
    assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
}

/// With a node that others use too its payments prove nothing.
#[tokio::test]
async fn a_shared_node_does_not_fence() {
    let mut bench = Bench::with(StoreKind::Sqlite, &[("node.shared", "true")]).await;
    let request = bench.create(10, 10).await;
    let backup = back_up(&mut bench).await;
    bench.claim_ok(&request, &bench.invoice(10)).await;
    bench.run_payer().await;
    restore(&mut bench, backup).await;
    assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
    // Whoever promotes a standby there fences the instance themselves.
    let fence = FenceRequest { operator: "ann".into(), reason: "promoted".into() };
    let stands = bench.operations().fence(fence).await.unwrap().into_inner();
    assert_eq!((stands.halt(), stands.fence_reason()), (Halt::Fenced, FenceReason::ByHand));
    assert_eq!(reason(&bench.offer(&request).await), CANNOT_PAY);
    // And is told what was paid, though the database knows of no payment at all.
    let unknown =
        bench.operations().list_unknown_payments(ListUnknownPaymentsRequest::default()).await;
    assert_eq!(unknown.unwrap().into_inner().payments.len(), 1);
}

/// What cannot be is refused, and changes nothing.
#[tokio::test]
async fn an_acknowledgement_is_checked_against_the_node() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    let (small, large) = (bench.create(5, 5).await, bench.create(10, 10).await);
    let backup = back_up(&mut bench).await;
    let (lost, hanging) = (bench.invoice(10), bench.invoice(10));
    bench.claim_ok(&large, &lost).await;
    bench.run_payer().await;
    bench.node.on_next_sends([OnSend::Hold]);
    let held = bench.create(10, 10).await;
    bench.claim_ok(&held, &hanging).await;
    bench.run_payer_until(&held.id, State::InFlight).await;
    restore(&mut bench, backup).await;
    let cases = [
        (pair(&small, &lost), "AMOUNT_MISMATCH"),
        (pair(&large, &hanging), "NOT_PAID"),
        (pair(&large, &bench.invoice(10)), "NOT_UNKNOWN"),
        (Pair { withdraw_id: "wr_x".into(), payment_hash: "zz".into() }, "INVALID_FIELDS"),
    ];
    for (wrong, why) in cases {
        let (operator, reason) = ("ann".into(), "typo".into());
        let paid = vec![wrong];
        let request = AcknowledgeRestoreRequest { operator, reason, paid, ..Default::default() };
        let status = bench.operations().acknowledge_restore(request).await.unwrap_err();
        let details = tonic_types::StatusExt::get_error_details(&status);
        assert_eq!(details.error_info().unwrap().reason, why, "{status:?}");
        assert_eq!(instance(&bench).await.halt(), Halt::Fenced);
    }
    let done = acknowledge(&bench, vec![pair(&large, &lost)]).await;
    assert_eq!((done.unknown.len(), done.withheld), (1, 1));
    assert_eq!(bench.get(&large.id).await.status(), Status::Paid);
}

/// A process whose send was durable does not find it any more.
#[tokio::test]
async fn a_lost_send_fences_all_replicas() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.lose_sends().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        let stands = instance(&bench).await;
        assert_eq!((stands.halt(), stands.fence_reason()), (Halt::Fenced, FenceReason::MarkLost));

        // What an operator has looked at is no loss on the next server; what is lost later is.
        bench.clock.advance(Millis::from_secs(1));
        acknowledge(&bench, Vec::new()).await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);
        let later = bench.create(10, 10).await;
        bench.claim_ok(&later, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.lose_sends().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(instance(&bench).await.fence_reason(), FenceReason::MarkLost);
    })
    .await;
}

/// Between the loss of a server and the look at what it lost nothing is claimed or sent.
#[tokio::test]
async fn another_server_is_not_trusted_before_it_was_looked_at() {
    on_every_store(async |bench| {
        let [before, free] = [bench.create(10, 10).await, bench.create(10, 10).await];
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([OnSend::LoseRequest]);
        bench.claim_ok(&before, &invoice).await;
        bench.run_payer().await;
        bench.forget_verified_server().await;
        assert_eq!(reason(&bench.claim(&free, &bench.invoice(10)).await), CANNOT_PAY);
        let sent = bench.node.sends().len();
        bench.run_payer_after(Millis::from_secs(40)).await;
        assert_eq!(bench.node.sends().len(), sent);
        assert_eq!(bench.claim(&before, &invoice).await["status"], "OK", "it was accepted before");

        bench.verify_database().await;
        bench.claim_ok(&free, &bench.invoice(10)).await;
        for _ in 0..4 {
            bench.run_payer_after(Millis::from_secs(60)).await;
        }
        for withdraw in [&before, &free] {
            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        }
    })
    .await;
}
