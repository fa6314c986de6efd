//! Many processes, one database: what one accepts, any other may pay, once.

use crate::bench::postgres_options;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use withdrawd::{
    app::{self, Parts},
    domain::{Keyring, MasterKey, PublicUrl},
    pb::withdraw::Status,
    runtime::{Clock, Entropy, Runtime, SystemClock, SystemEntropy, TokioSpawner},
    service::{ClaimService, Notifier},
    store::PostgresStore,
};

use crate::{
    bench::invoices::InvoiceDraft,
    bench::node::ModelNode,
    bench::{claim_at, new_postgres_database, postgres_url},
};
use withdrawd::{
    config::Config,
    pb::{
        CreateWithdrawRequest, GetWithdrawRequest, withdraw_service_client::WithdrawServiceClient,
    },
    ports::{LightningNode, NoRecorder, Store},
};

/// One replica, on real time.
async fn replica(url: &str, node: Arc<dyn LightningNode>, dir: &std::path::Path) -> app::Running {
    replica_with(url, node, dir, &[]).await
}

/// With settings of its own.
pub async fn replica_with(
    url: &str,
    node: Arc<dyn LightningNode>,
    dir: &std::path::Path,
    more: &[(&'static str, &str)],
) -> app::Running {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let mut settings = vec![
        ("data_dir", dir.to_str().unwrap().to_owned()),
        ("store.database_url", url.to_owned()),
        ("grpc.listen", "127.0.0.1:0".to_owned()),
        ("lnurl.listen", "127.0.0.1:0".to_owned()),
        ("admin.listen", "127.0.0.1:0".to_owned()),
    ];
    settings.extend(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let config = Config::defaults(&settings).unwrap();
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(postgres_options(&config, true)).await.unwrap());
    let runtime = Runtime { clock, entropy, spawner: Arc::new(TokioSpawner) };
    let keyring = Keyring::new(MasterKey::from_bytes([9; 32]), []);
    app::start(
        &config.check().unwrap(),
        Parts { store, node: Some(node), keyring: Some(keyring), runtime, metrics: Arc::default() },
    )
    .await
    .unwrap()
}

/// A replica whose node is unreachable holds nobody up: the other one pays, each attempt once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_cannot_pay_another_pays() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let url = new_postgres_database().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (paying, broken) = (
        Arc::new(ModelNode::new(Arc::clone(&clock))),
        Arc::new(ModelNode::new(Arc::clone(&clock))),
    );
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let accepts = replica(&url, Arc::clone(&broken) as _, here.path()).await;
    // From here on the replica that accepts cannot reach its node: only the other one can pay.
    accepts.verifier().run_once().await.unwrap();
    broken.unreachable.store(true, std::sync::atomic::Ordering::SeqCst);
    let pays = replica(&url, Arc::clone(&paying) as _, there.path()).await;
    let server = server_of(&accepts);
    let client = WithdrawServiceClient::connect(server).await.unwrap();

    let claims = (0..20).map(|_| {
        let (mut client, clock) = (client.clone(), Arc::clone(&clock));
        let lnurl = accepts.listening.lnurl.unwrap();
        async move {
            let request = CreateWithdrawRequest {
                max_amount: "10".into(),
                ..CreateWithdrawRequest::default()
            };
            let made = client.create_withdraw(request).await.unwrap().into_inner();
            let invoice = InvoiceDraft::new(10_000, clock.now()).build();
            let answer = claim_at(lnurl, &made.ott, &invoice).await;
            assert_eq!(answer["status"], "OK", "{answer}");
            let claimed = Instant::now();
            loop {
                let request = GetWithdrawRequest { id: made.id.clone() };
                let found = client.get_withdraw(request).await.unwrap().into_inner();
                if found.status() == Status::Paid {
                    return claimed.elapsed();
                }
                assert!(claimed.elapsed() < Duration::from_secs(20), "never paid: {found:?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let mut took = join_all(claims).await;
    took.sort();
    eprintln!("claim → PAID by another replica: median {:?}, last {:?}", took[10], took[19]);
    assert_eq!((paying.settled(), paying.sends().len(), broken.sends().len()), (20, 20, 0));
    let stop = withdrawd::domain::Millis::ZERO;
    for replica in [accepts, pays] {
        replica.stop(stop, withdrawd::domain::Millis::from_secs(10), std::future::ready(())).await;
    }
}

/// A claim of a process without a payer (the public role, later) is found by polling within 100 ms,
/// without any notification.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_another_process_is_found_within_a_poll() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let url = new_postgres_database().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = Arc::new(ModelNode::new(Arc::clone(&clock)));
    let dir = tempfile::tempdir().unwrap();
    let pays = replica(&url, Arc::clone(&node) as _, dir.path()).await;
    let mut client = WithdrawServiceClient::connect(server_of(&pays)).await.unwrap();
    let config = Config::defaults(&[("store.database_url", url)]).unwrap();
    let store: Arc<dyn Store> =
        Arc::new(PostgresStore::open(postgres_options(&config, false)).await.unwrap());
    // It has no verifier either, and no node: it relies on the server that the other one has verified.
    assert!(store.server().await.unwrap().verified);
    let public_url = PublicUrl::parse(pays.listening.public_url.as_ref().unwrap()).unwrap();
    let rules = config.check().unwrap().claims;
    let claims = ClaimService::new(
        store,
        rules,
        public_url,
        Runtime::system(),
        Notifier::default(),
        Arc::new(NoRecorder),
    );

    let mut took = Vec::new();
    for _ in 0..20 {
        let request =
            CreateWithdrawRequest { max_amount: "10".into(), ..CreateWithdrawRequest::default() };
        let made = client.create_withdraw(request).await.unwrap().into_inner();
        let invoice = InvoiceDraft::new(10_000, clock.now()).build();
        claims.claim(&made.ott, &invoice).await.unwrap();
        let claimed = Instant::now();
        let asked = took.len() + 1;
        while node.sends().len() < asked {
            assert!(claimed.elapsed() < Duration::from_secs(1), "ten times the stated time");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(claimed.elapsed());
    }
    took.sort();
    eprintln!("claim → send by another process: median {:?}, last {:?}", took[10], took[19]);
}

fn server_of(replica: &app::Running) -> String {
    format!("http://{}", replica.listening.grpc.unwrap())
}
