//! A time-out of the database is UNAVAILABLE, never INTERNAL.

use withdrawd::pb::CreateWithdrawRequest;

use crate::{
    bench::{Bench, StoreKind, store_kinds},
    operators::floods::{idle, on_postgres},
    store::contract::DirectConnection,
};

/// Whatever the database says of its own state: the caller is told to try again, and nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_out_of_the_database_is_unavailable_and_a_mistake_is_internal() {
    let Some((bench, _)) = on_postgres().await else { return };
    let mut hand = DirectConnection::on(&bench).await;
    let trigger = "create trigger fails before insert on withdraws execute function fails()";
    let codes = [
        ("57014", tonic::Code::Unavailable),
        ("55P03", tonic::Code::Unavailable),
        ("25P03", tonic::Code::Unavailable),
        ("25P04", tonic::Code::Unavailable),
        ("57P05", tonic::Code::Unavailable),
        ("53100", tonic::Code::Unavailable),
        ("08006", tonic::Code::Unavailable),
        ("22012", tonic::Code::Internal),
    ];
    for (sqlstate, code) in codes {
        let fails = format!(
            "create or replace function fails() returns trigger language plpgsql as
             'begin raise exception using errcode = ''{sqlstate}''; end'"
        );
        hand.run(&fails).await.unwrap();
        if sqlstate == codes[0].0 {
            hand.run(trigger).await.unwrap();
        }
        let request =
            CreateWithdrawRequest { max_amount: "10".into(), ..CreateWithdrawRequest::default() };
        let status = bench.client().create_withdraw(request).await.unwrap_err();
        assert_eq!(status.code(), code, "{sqlstate}: {status:?}");
    }
}

/// A row that somebody holds for longer than a statement may take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_takes_too_long_is_unavailable() {
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let bench = Bench::with(StoreKind::Postgres, &[("store.statement_timeout_ms", "1000")]).await;
    let withdraw = bench.create(10, 10).await;
    let url = bench.database_url();
    let _holds = idle(url, &["select id from withdraws for update"]).await;
    let status = bench.deactivate(&withdraw.id).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
}
