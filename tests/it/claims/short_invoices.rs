//! Invoices that last for a minute, as some wallets make them: judged by what is left when they are sent.

use withdrawd::{
    domain::Millis,
    pb::{GetPaymentRequest, withdraw::Status},
};

use crate::bench::{Bench, on_every_store, reason};

/// An invoice that was made `age_s` ago and lasts for `lasts_s`.
fn invoice(bench: &Bench, age_s: i64, lasts_s: u64) -> String {
    let mut wanted = bench.invoice_draft(15);
    wanted.made_at = wanted.made_at.minus(Millis::from_secs(age_s));
    wanted.expiry_s = lasts_s;
    wanted.build()
}

/// However slow its wallet was, within reason. No send is made when less than 20 s are left: that is
/// what exactly-once rests on, and it did not move.
#[tokio::test]
async fn an_honest_invoice_of_60_s_gets_through() {
    on_every_store(async |bench| {
        for age_s in [0, 3, 20] {
            let withdraw = bench.create(10, 20).await;
            bench.claim_ok(&withdraw, &invoice(&bench, age_s, 60)).await;
            bench.run_payer().await;

            let paid = bench.get(&withdraw.id).await;
            assert_eq!(paid.status(), Status::Paid, "after {age_s} s");
            let id = paid.payment.unwrap().id;
            let payment = bench.payments().get_payment(GetPaymentRequest { id }).await;
            let payment = payment.unwrap().into_inner();
            let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
            let left = seconds(payment.invoice_expires_at) - seconds(payment.send_until);
            assert_eq!(left, 20, "after {age_s} s");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_never_asks_for_an_invoice_like_the_refused_one() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 20).await;
        // It was long on its way, or the wallet's clock is behind.
        for (age_s, lasts_s) in [(21, 60), (45, 60), (3590, 3600)] {
            let answer = bench.claim(&withdraw, &invoice(&bench, age_s, lasts_s)).await;
            let left = lasts_s.cast_signed() - age_s;
            let said = format!("the invoice expires in {left} seconds, and 40 must be left");
            assert!(reason(&answer).starts_with(&said), "{answer}");
        }
        // It is short, and whoever makes one as told is paid.
        for (age_s, lasts_s) in [(0, 30), (1, 39), (30, 59)] {
            let answer = bench.claim(&withdraw, &invoice(&bench, age_s, lasts_s)).await;
            assert!(reason(&answer).contains("one that lasts at least 60 seconds"), "{answer}");
        }
        bench.claim_ok(&withdraw, &invoice(&bench, 19, 60)).await;
    })
    .await;
}
