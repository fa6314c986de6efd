//! What the tests of pauses, node troubles and limits share: the operators' commands, and what a claim is
//! answered when nothing new is accepted.

use serde_json::{Value, json};
use withdrawd::{
    domain::Msat,
    pb::{GetInstanceRequest, Instance, PauseRequest, ResumeRequest, Withdraw},
};

use crate::bench::{Bench, reason};

pub const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";

pub async fn instance(bench: &Bench) -> Instance {
    bench.operations().get_instance(GetInstanceRequest {}).await.unwrap().into_inner()
}

pub async fn pause(bench: &Bench) -> Instance {
    let request = PauseRequest { operator: "ann".into(), reason: "audit".into() };
    bench.operations().pause(request).await.unwrap().into_inner()
}

pub async fn resume(bench: &Bench) -> Instance {
    let request = ResumeRequest { operator: "bob".into(), reason: "done".into() };
    bench.operations().resume(request).await.unwrap().into_inner()
}

pub async fn refused(bench: &Bench, withdraw: &Withdraw, sat: u64) {
    let offer = bench.offer(withdraw).await;
    assert_eq!(reason(&offer), CANNOT_PAY);
    let claim = bench.claim(withdraw, &bench.invoice(sat)).await;
    assert_eq!(reason(&claim), CANNOT_PAY);
    let found = bench.get(&withdraw.id).await;
    assert!(found.claimable, "the request itself is free: {found:?}");
}

pub fn can_send(bench: &Bench, sat: i64) {
    *bench.node.can_send.lock().unwrap() = Msat::new(sat * 1000).unwrap();
}

pub fn ok() -> Value {
    json!({ "status": "OK" })
}
