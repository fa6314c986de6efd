//! A database that answers and takes no writes: a full disk, a standby, an operator's setting. Wallets are
//! turned away before they claim, and every status names the store, not the node.

use std::{process::Command, str::FromStr, time::Duration};

use sqlx::{
    Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use withdrawd::{
    domain::Millis,
    pb::{GetInstanceRequest, Halt},
};

use crate::{
    bench::binary::{BINARY, Home, clean_command, free_ports, until},
    bench::http,
    bench::{Bench, StoreKind, on_every_store, reason},
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";

/// From here on, or no longer, the database refuses writes.
async fn refuse_writes(bench: &Bench, so: bool) {
    match (bench.kind, so) {
        (StoreKind::Postgres, _) => set_read_only(bench.database_url(), so).await,
        (StoreKind::Sqlite, true) => {
            bench
                .sql(
                    "create trigger full_disk before update on write_proof
                     begin select raise(abort, 'the disk is full'); end",
                )
                .await;
        }
        (StoreKind::Sqlite, false) => bench.sql("drop trigger full_disk").await,
    }
}

/// For all sessions that begin from now on; those that there are end.
async fn set_read_only(url: &str, so: bool) {
    let options = PgConnectOptions::from_str(url).unwrap();
    // The connection that sets it can write all the same.
    let options = options.options([("default_transaction_read_only", "off")]);
    let database = options.get_database().unwrap().to_owned();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let so = if so { "on" } else { "off" };
    let set = format!("alter database {database} set default_transaction_read_only = {so}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut connection).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()";
    sqlx::raw_sql(end).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Time passes, second by second, until readiness says so.
async fn until_ready(bench: &Bench, status: u16) -> String {
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        bench.clock.advance(Millis::from_secs(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
        let said = http::get(bench.admin(), "/readyz").await;
        if said.status == status {
            return said.body;
        }
        assert!(std::time::Instant::now() < patience, "never {status}: {said:?}");
    }
}

/// When the last write was proven to be taken.
async fn proven(bench: &Bench) -> i64 {
    let question = "select proven_ms from write_proof";
    match bench.kind {
        StoreKind::Sqlite => {
            let file = bench.data_dir().join("withdrawd.sqlite");
            let options = SqliteConnectOptions::new().filename(file);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
        }
        StoreKind::Postgres => {
            let options = PgConnectOptions::from_str(bench.database_url()).unwrap();
            let mut connection = PgConnection::connect_with(&options).await.unwrap();
            sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
        }
    }
}

async fn halt(bench: &Bench) -> Halt {
    let instance = bench.operations().get_instance(GetInstanceRequest {}).await;
    instance.unwrap().into_inner().halt()
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_named_and_nothing_is_offered() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        until_ready(&bench, 200).await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);

        refuse_writes(&bench, true).await;
        let said = until_ready(&bench, 503).await;
        assert!(said.contains("takes no writes"), "{said}");
        assert_eq!(reason(&bench.offer(&withdraw).await), CANNOT_PAY);
        assert_eq!(halt(&bench).await, Halt::StoreReadOnly);
        let metrics = http::get(bench.admin(), "/metrics").await.body;
        assert!(metrics.contains("withdrawd_halted{halt=\"STORE_READ_ONLY\"} 1"), "{metrics}");
        assert!(metrics.contains("withdrawd_halted{halt=\"NODE_SILENT\"} 0"), "{metrics}");

        refuse_writes(&bench, false).await;
        until_ready(&bench, 200).await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);
        assert_eq!(bench.offer(&withdraw).await["tag"], "withdrawRequest");
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}

/// However often probes and wallets come: one write in five seconds.
#[tokio::test]
async fn no_request_and_no_probe_pays_for_the_proof() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let patience = std::time::Instant::now() + Duration::from_secs(30);
        while proven(&bench).await == 0 {
            bench.clock.advance(Millis::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(std::time::Instant::now() < patience, "never proven");
        }
        let before = proven(&bench).await;
        for _ in 0..20 {
            bench.offer(&withdraw).await;
            http::get(bench.admin(), "/readyz").await;
        }
        assert_eq!(proven(&bench).await, before);
    })
    .await;
}

/// SQLite's own error for a log that cannot grow, in a real process: the system refuses the write.
#[test]
fn a_full_disk_under_sqlite_is_named_and_ends() {
    let home = Home::new();
    let mut command = clean_command("sh");
    // What is ignored stays so: a write past the limit fails, and does not kill.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve", BINARY]).current_dir(home.path());
    free_ports(&mut command);
    let service = home.start(command, &home.data("listen.json"));
    let made = service.create("1000");
    let limit = |bytes: &str| {
        let process = service.id().to_string();
        let limit = format!("--fsize={bytes}:");
        let set = Command::new("prlimit").args(["--pid", &process, &limit]).status();
        assert!(set.unwrap().success());
    };
    let log = std::fs::metadata(home.data("withdrawd.sqlite-wal")).unwrap().len();
    limit(&log.to_string());
    until("it names the store", || {
        service.cli(&["instance"]).ok().contains("STORE_READ_ONLY").then_some(())
    });
    let offer = service.cli(&["claim", made["withdraw_request"].as_str().unwrap()]);
    assert!(offer.error_line().contains(CANNOT_PAY), "{offer:?}");

    limit("unlimited");
    until("it accepts", || {
        let said = service.cli(&["claim", made["withdraw_request"].as_str().unwrap()]);
        (said.code == Some(0)).then_some(())
    });
    service.paid(&made["id"]);
}
