//! The real binary, twice on one Postgres, under a mix of everything that commits, while a real
//! asynchronous standby lags behind and is promoted.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use serde_json::Value;
use withdrawd::runtime::{Clock as _, SystemClock};

use crate::{
    bench::binary::{Home, Service},
    bench::clusters::Clusters,
    bench::http,
    bench::invoices::InvoiceDraft,
    bench::lab::eventually,
    restore::marks_failover::{fail_over, left_behind},
};

/// What was answered since the standby was cut off.
#[derive(Default)]
struct Scrape {
    /// Requests that were deactivated.
    ended: Vec<Value>,
    /// Requests of before whose claim was told OK.
    claimed: Vec<Value>,
}

fn invoice() -> String {
    InvoiceDraft::new(10_000, SystemClock::new().now()).build()
}

async fn claim(service: &Service, withdraw: &Value) -> String {
    let k1 = withdraw["ott"].as_str().unwrap();
    let answer = http::get(service.lnurl, &format!("/cb?k1={k1}&pr={}", invoice())).await;
    answer.json()["status"].as_str().unwrap_or_default().to_owned()
}

/// One worker: makes, ends, claims, pauses and resumes until it is stopped; what fails is not recorded.
async fn mix(
    service: Arc<Service>,
    old: Vec<Value>,
    told: Arc<Mutex<Scrape>>,
    stop: Arc<AtomicBool>,
) {
    for (number, before) in old.into_iter().enumerate() {
        if stop.load(SeqCst) {
            return;
        }
        let ran = |args: Vec<String>| {
            let service = Arc::clone(&service);
            tokio::task::spawn_blocking(move || {
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                service.cli(&args).code == Some(0)
            })
        };
        let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
        ran(words("create --max-amount 10")).await.unwrap();
        if number % 2 == 0 {
            let id = before["id"].as_str().unwrap();
            if ran(words(&format!("deactivate {id}"))).await.unwrap() {
                told.lock().unwrap().ended.push(before);
            }
        } else if claim(&service, &before).await == "OK" {
            told.lock().unwrap().claimed.push(before);
        }
        for halt in ["pause", "resume"] {
            ran(words(&format!("{halt} --operator ann --reason mix"))).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_under_a_mix_of_calls_is_fenced_before_what_it_undid_is_paid() {
    let Some(clusters) = Clusters::open() else { return };
    let mut primary = clusters.primary().await;
    let url = clusters.url();
    let key =
        [("WITHDRAWD__KEYS__MASTER", "07".repeat(32)), ("WITHDRAWD__STORE__DATABASE_URL", url)];
    let environment: Vec<(&str, &str)> =
        key.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let (here, there) = (Home::new(), Home::new());
    let services = [&here, &there].map(|home| Arc::new(home.serve_with(&[], &environment)));
    let mut old: Vec<Vec<Value>> = Vec::new();
    for service in &services {
        old.push((0..12).map(|_| service.create("10")).collect());
    }
    let standby = left_behind(&clusters, &primary).await;

    let (told, stop) = (Arc::<Mutex<Scrape>>::default(), Arc::<AtomicBool>::default());
    let workers: Vec<_> = services
        .iter()
        .zip(old)
        .map(|(service, old)| {
            tokio::spawn(mix(Arc::clone(service), old, Arc::clone(&told), Arc::clone(&stop)))
        })
        .collect();
    eventually("something of each kind was told", async || {
        let told = told.lock().unwrap();
        (told.ended.len() > 1 && told.claimed.len() > 1).then_some(())
    })
    .await;
    fail_over(&clusters, &mut primary, standby).await;
    stop.store(true, SeqCst);
    for worker in workers {
        worker.await.unwrap();
    }

    // Whatever is claimed meanwhile, at either of them, until it is fenced: nothing that was undone is paid.
    let told = std::mem::take(&mut *told.lock().unwrap());
    eventually("it is fenced", async || {
        for service in &services {
            for undone in told.ended.iter().chain(&told.claimed) {
                assert_ne!(claim(service, undone).await, "OK", "{undone}");
            }
        }
        let said = services[0].cli(&["instance", "--json"]);
        let instance: Value = serde_json::from_str(&said.out).ok()?;
        (instance["halt"] == "FENCED").then_some(instance)
    })
    .await;
    let log = services.iter().map(|service| service.log()).collect::<String>();
    assert!(log.contains("lacks commits that this process has acknowledged"), "{log}");
    for undone in told.ended.iter().chain(&told.claimed) {
        assert_ne!(claim(&services[1], undone).await, "OK", "{undone}");
    }
}
