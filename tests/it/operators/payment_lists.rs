//! What operators see: lists of payments by every filter, their pages, and one in full.

use prost_types::{Duration, Timestamp};
use withdrawd::{
    domain::{FailureReason, Millis, Msat, PaymentId, payment::RecordState},
    pb::{
        GetPaymentRequest, ListPaymentsRequest, Payment, Withdraw,
        payment::{FailureReason as WireFailure, State, send::Answer},
    },
    store::{instance_statements, payment_list_statements},
};

use crate::{
    bench::invoices::hash_of,
    bench::node::{OnSend, node_id},
    bench::{Bench, StoreKind, on_every_store, store_kinds},
    claims::requests::fields_of,
    payments::doubts::proof_of,
    store::contract::{DirectConnection, fill},
};

async fn list(bench: &Bench, request: ListPaymentsRequest) -> (Vec<Payment>, String) {
    let page = bench.payments().list_payments(request).await.unwrap().into_inner();
    (page.payments, page.next_page_token)
}

async fn ids(bench: &Bench, request: ListPaymentsRequest) -> Vec<String> {
    list(bench, request).await.0.into_iter().map(|payment| payment.id).collect()
}

async fn get(bench: &Bench, id: &str) -> Payment {
    let request = GetPaymentRequest { id: id.to_owned() };
    bench.payments().get_payment(request).await.unwrap().into_inner()
}

fn any() -> ListPaymentsRequest {
    ListPaymentsRequest::default()
}

fn in_state(state: State) -> ListPaymentsRequest {
    ListPaymentsRequest { state: state.into(), ..any() }
}

fn open_for(seconds: i64) -> ListPaymentsRequest {
    ListPaymentsRequest { open_longer_than: Some(Duration { seconds, nanos: 0 }), ..any() }
}

/// Claims a request that meets this fate; one second later than whatever was before.
async fn attempt(bench: &Bench, withdraw: &Withdraw, on_send: OnSend) -> (String, String) {
    bench.clock.advance(Millis::from_secs(1));
    let invoice = bench.invoice(10);
    bench.node.on_next_sends([on_send]);
    bench.claim_ok(withdraw, &invoice).await;
    if on_send == OnSend::Hold {
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
    } else {
        bench.run_payer().await;
    }
    (bench.get(&withdraw.id).await.payment.unwrap().id, invoice)
}

/// One payment of each kind.
pub struct SamplePayments {
    twice: Withdraw,
    late: String,
    late_invoice: String,
    paid_beside: String,
    paid: String,
    failed: String,
    doubt: String,
    held: String,
    held_invoice: String,
}

impl SamplePayments {
    pub async fn of(bench: &Bench) -> Self {
        let fail = OnSend::Fail(FailureReason::NoRoute);
        let twice = bench.create(10, 10).await;
        let (late, late_invoice) = attempt(bench, &twice, fail).await;
        let (paid_beside, _) = attempt(bench, &twice, OnSend::Pay).await;
        let fee = Msat::new(2).unwrap();
        let succeeded = RecordState::Succeeded { preimage: proof_of(&late_invoice), fee };
        bench.node.add_foreign_payment(&late_invoice, succeeded);
        bench.run_payer_after(Millis::from_secs(3601)).await;
        bench.run_payer_after(Millis::from_secs(1)).await;
        let (paid, _) = attempt(bench, &bench.create(10, 10).await, OnSend::Pay).await;
        let (failed, _) = attempt(bench, &bench.create(10, 10).await, fail).await;
        let unproven = OnSend::PayWithWrongPreimage;
        let (doubt, _) = attempt(bench, &bench.create(10, 10).await, unproven).await;
        let (held, held_invoice) = attempt(bench, &bench.create(10, 10).await, OnSend::Hold).await;
        Self { twice, late, late_invoice, paid_beside, paid, failed, doubt, held, held_invoice }
    }
}

#[tokio::test]
async fn payments_are_listed_by_every_filter() {
    on_every_store(async |bench| {
        let shelf = SamplePayments::of(&bench).await;
        let SamplePayments { twice, late, paid_beside, paid, failed, doubt, held, .. } = &shelf;
        let of_twice = |rest| ListPaymentsRequest { withdraw_id: twice.id.clone(), ..rest };
        let lately = ListPaymentsRequest { late_success: true, ..any() };
        let by_hash = |payment_hash: String| ListPaymentsRequest { payment_hash, ..any() };
        let hash = hash_of(&shelf.late_invoice).to_string();
        let none: &[&String] = &[];
        for (request, found) in [
            (any(), &[held, doubt, failed, paid, paid_beside, late][..]),
            (in_state(State::Paid), &[paid, paid_beside]),
            (in_state(State::Failed), &[failed, late]),
            (in_state(State::NeedsOperator), &[doubt]),
            (in_state(State::InFlight), &[held]),
            (in_state(State::Reserved), none),
            (open_for(0), &[held, doubt]),
            // The held one was claimed a second after the other.
            (open_for(1), &[doubt]),
            (open_for(2), none),
            (ListPaymentsRequest { state: State::NeedsOperator.into(), ..open_for(1) }, &[doubt]),
            (ListPaymentsRequest { state: State::InFlight.into(), ..open_for(1) }, none),
            (ListPaymentsRequest { state: State::Paid.into(), ..open_for(0) }, none),
            (lately.clone(), &[late]),
            (ListPaymentsRequest { state: State::Failed.into(), ..lately.clone() }, &[late]),
            (ListPaymentsRequest { state: State::Paid.into(), ..lately.clone() }, none),
            (of_twice(any()), &[paid_beside, late]),
            (of_twice(in_state(State::Paid)), &[paid_beside]),
            (of_twice(open_for(0)), none),
            (of_twice(lately.clone()), &[late]),
            (by_hash(hash.clone()), &[late]),
            (by_hash(hash.to_uppercase()), &[late]),
            (ListPaymentsRequest { late_success: true, ..by_hash(hash.clone()) }, &[late]),
            (ListPaymentsRequest { state: State::Paid.into(), ..by_hash(hash.clone()) }, none),
            (by_hash("ab".repeat(32)), none),
        ] {
            let expected: Vec<String> = found.iter().map(|id| (*id).clone()).collect();
            assert_eq!(ids(&bench, request.clone()).await, expected, "{request:?}");
        }
        let held_invoice = &shelf.held_invoice;
        for invoice in [held_invoice.clone(), format!("lightning:{}", held_invoice.to_uppercase())]
        {
            let request = ListPaymentsRequest { invoice, ..any() };
            assert_eq!(ids(&bench, request).await, std::slice::from_ref(held));
        }
        let at = |id: &str| {
            let ms = PaymentId::parse(id).unwrap().created().as_ms();
            let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap();
            Some(Timestamp { seconds: ms.div_euclid(1000), nanos })
        };
        let between =
            ListPaymentsRequest { created_after: at(paid), created_before: at(doubt), ..any() };
        assert_eq!(ids(&bench, between).await, [failed.clone(), paid.clone()]);
        bench.node.release(true);
    })
    .await;
}

#[tokio::test]
async fn pages_of_payments_cover_a_list_once() {
    on_every_store(async |bench| {
        let mut made = Vec::new();
        for _ in 0..7 {
            made.push(attempt(&bench, &bench.create(10, 10).await, OnSend::Pay).await.0);
        }
        made.reverse();
        let page = |token: &str| ListPaymentsRequest {
            page_size: 3,
            page_token: token.into(),
            ..in_state(State::Paid)
        };
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let (payments, next) = list(&bench, page(&token)).await;
            assert!(payments.len() <= 3);
            seen.extend(payments.into_iter().map(|payment| payment.id));
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, made);
        let other = ListPaymentsRequest { state: State::Failed.into(), ..page(&token) };
        let refused = bench.payments().list_payments(other).await.unwrap_err();
        assert_eq!(fields_of(&refused), ["page_token"]);
    })
    .await;
}

#[tokio::test]
async fn bad_filters_name_every_field() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let refused =
        async |request| fields_of(&bench.payments().list_payments(request).await.unwrap_err());
    let never = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let bad = ListPaymentsRequest {
        page_size: -1,
        page_token: "zz".into(),
        state: 99,
        withdraw_id: "wr_\0".into(),
        payment_hash: "ab".repeat(33),
        invoice: String::new(),
        created_after: never,
        created_before: never,
        open_longer_than: Some(Duration { seconds: -1, nanos: 0 }),
        late_success: true,
    };
    assert_eq!(
        refused(bad).await,
        [
            "state",
            "withdraw_id",
            "payment_hash",
            "open_longer_than",
            "created_after",
            "created_before",
            "page_size"
        ]
    );
    let token = ListPaymentsRequest { page_token: "zz".into(), ..any() };
    assert_eq!(refused(token).await, ["page_token"]);
    for invoice in ["lnbc1", "é", &"x".repeat(100_000)] {
        let request = ListPaymentsRequest { invoice: invoice.into(), ..any() };
        assert_eq!(refused(request).await, ["invoice"]);
    }
    let both =
        ListPaymentsRequest { payment_hash: "ab".repeat(32), invoice: bench.invoice(10), ..any() };
    assert_eq!(refused(both).await, ["invoice"]);
    let endless = Some(Duration { seconds: 315_576_000_000, nanos: 999_999_999 });
    assert_eq!(
        ids(&bench, ListPaymentsRequest { open_longer_than: endless, ..any() }).await,
        [] as [String; 0]
    );
}

/// All that is known of a payment stands in `GetPayment`; lists leave the sends out; a withdraw request
/// shows none of what is for operators.
#[tokio::test]
async fn a_payment_is_shown_in_full_to_operators_only() {
    on_every_store(async |bench| {
        let shelf = SamplePayments::of(&bench).await;
        // Who waits for the payer would wait for the held payment.
        bench.node.release(true);
        let late = get(&bench, &shelf.late).await;
        let success = late.late_success.clone().unwrap();
        assert_eq!(success.preimage, proof_of(&shelf.late_invoice).to_string());
        assert_eq!((success.fee_msat, late.state()), (2, State::Failed));
        assert!(success.at.unwrap().seconds > late.finished.unwrap().seconds);
        assert_eq!((late.sends.len(), late.sends[0].answer()), (1, Answer::Final));

        let withdraw = bench.create(10, 10).await;
        let lost = OnSend::FailAndLoseAnswer(FailureReason::NoRoute);
        let (id, _) = attempt(&bench, &withdraw, lost).await;
        bench.run_payer_after(Millis::from_secs(10)).await;
        let noted = get(&bench, &id).await;
        assert_eq!(noted.noted_failure(), WireFailure::NoRoute);
        assert_eq!(
            (noted.state(), noted.failure_reason()),
            (State::Sending, WireFailure::Unspecified)
        );
        let send = &noted.sends[0];
        let (sent_at, deadline) = (send.sent_at.unwrap(), send.send_deadline.unwrap());
        assert_eq!((send.number, deadline.seconds - sent_at.seconds), (1, 15));
        let asked = (send.node_id.as_str(), send.answer());
        assert_eq!(asked, (node_id(1).as_str(), Answer::Unspecified));
        let made = noted.created.unwrap().seconds;
        assert_eq!(noted.invoice_expires_at.unwrap().seconds - made, 3600);
        // send_for 1 h, and no send with less than 20 s of the invoice's life left.
        assert_eq!(noted.send_until.unwrap().seconds - made, 3580);

        let listed = list(&bench, in_state(State::Sending)).await.0;
        assert_eq!(listed, [Payment { sends: Vec::new(), ..noted.clone() }]);
        let plain = bench.get(&withdraw.id).await.payment.unwrap();
        assert_eq!(
            plain,
            Payment {
                sends: Vec::new(),
                noted_failure: WireFailure::Unspecified.into(),
                send_until: None,
                invoice_expires_at: None,
                ..noted
            }
        );
    })
    .await;
}

/// Lists are served by indexes, whatever the filters, also under a generic plan.
#[tokio::test]
async fn every_list_of_payments_is_served_by_an_index() {
    for kind in store_kinds() {
        let bench = Bench::new(kind).await;
        let mut hand = DirectConnection::on(&bench).await;
        fill(&mut hand, kind).await;
        for statement in payment_list_statements() {
            let (name, text) = statement.split_once('\n').unwrap();
            let plan = match kind {
                StoreKind::Sqlite => hand.lines(&format!("explain query plan {text}"), 3).await,
                StoreKind::Postgres => generic_plan(&mut hand, name, text).await,
            };
            // Which of a few matching rows Postgres sorts is a matter of its statistics.
            let strict = kind == StoreKind::Sqlite || name == "-- payment.list";
            for line in plan.lines() {
                // Sorting would read all before it shows the first.
                let sorts = line.contains("TEMP B-TREE") || line.contains("Sort");
                let scans = line.contains("Seq Scan") || line.starts_with("SCAN ");
                let slow = scans || (sorts && strict);
                assert!(!slow, "{kind:?}: {name}:\n{plan}");
            }
        }
    }
}

/// What every claim reads of the instance, and what a verifier and an operator read after a restore, is
/// served by indexes too. Of three tables with a row each nothing else is asked.
#[tokio::test]
async fn what_is_read_of_the_instance_is_served_by_an_index() {
    for kind in store_kinds() {
        let bench = Bench::new(kind).await;
        let mut hand = DirectConnection::on(&bench).await;
        fill(&mut hand, kind).await;
        for statement in instance_statements() {
            let (name, text) = statement.split_once('\n').unwrap();
            let plan = match kind {
                StoreKind::Sqlite => {
                    // Without a value SQLite takes it for the least, and all ids are above that.
                    let text = text.replace("$1", "x'ffffffffffffffffffffffffffffffff'");
                    hand.lines(&format!("explain query plan {text}"), 3).await
                }
                StoreKind::Postgres => plan_of_the_newest(&mut hand, name, text).await,
            };
            for line in plan.lines() {
                let small = [
                    "SCAN i",
                    "SCAN n",
                    "SCAN c",
                    "SCAN t",
                    "SCAN CONSTANT ROW",
                    "on instance",
                    "on nodes",
                    "on node_trouble",
                ];
                let scans = line.contains("Seq Scan")
                    || (line.starts_with("SCAN ") && !line.contains("INDEX"));
                let slow = scans && !small.iter().any(|table| line.contains(table));
                assert!(!slow, "{kind:?}: {name}:\n{plan}");
            }
        }
    }
}

/// For the values that are asked for: the newest ids.
async fn plan_of_the_newest(hand: &mut DirectConnection, name: &str, text: &str) -> String {
    let plan_name = name.trim_start_matches("-- ").replace('.', "_");
    let newest = "'ffffffff-ffff-ffff-ffff-fffffffffff0'";
    let values = match name {
        "-- instance.status" => "(5000)".to_owned(),
        "-- tally.spent_since" => "(1200)".to_owned(),
        "-- tally.any_old_out" => "(10)".to_owned(),
        "-- instance.known_from" | "-- payment.open_by_state" => String::new(),
        "-- payment.knows_hash" => r"('\xab')".to_owned(),
        "-- withdraw.to_withhold" => format!("({newest}, 500)"),
        "-- withdraw.withheld" => "(500)".to_owned(),
        other => panic!("no values for {other}"),
    };
    hand.run(&format!("prepare {plan_name} as {text}")).await.unwrap();
    hand.lines(&format!("explain execute {plan_name}{values}"), 0).await
}

async fn generic_plan(hand: &mut DirectConnection, name: &str, text: &str) -> String {
    let plan_name = name.trim_start_matches("-- ").replace('.', "_");
    let low = "'00000000-0000-0000-0000-000000000000'";
    let high = "'ffffffff-ffff-ffff-ffff-ffffffffffff'";
    let values = match name {
        "-- payment.by_hash" => r"'\xab'".to_owned(),
        "-- payment.list_by_state" => format!("{low}, {high}, 51, 'NEEDS_OPERATOR'"),
        "-- payment.list_of_withdraw_by_state" => format!("{low}, {high}, 51, {low}, 'PAID'"),
        name if name.contains("of_withdraw") => format!("{low}, {high}, 51, {low}"),
        _ => format!("{low}, {high}, 51"),
    };
    hand.run("set plan_cache_mode = force_generic_plan").await.unwrap();
    hand.run(&format!("prepare {plan_name} as {text}")).await.unwrap();
    hand.lines(&format!("explain execute {plan_name} ({values})"), 0).await
}
