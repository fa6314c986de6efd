//! Stories of lists: filters that are exact, pages that neither skip nor repeat, and limits.

use prost_types::{Duration, Struct, Timestamp, Value, value::Kind};
use withdrawd::{
    domain::Millis,
    pb::{
        CreateWithdrawRequest, ListWithdrawsRequest, Withdraw,
        withdraw::{Status, UnclaimableReason},
    },
    runtime::Clock,
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, on_every_store},
    claims::requests::{asked, batch, create, fields_of},
};

pub async fn list(bench: &Bench, request: ListWithdrawsRequest) -> (Vec<Withdraw>, String) {
    let page = bench.client().list_withdraws(request).await.unwrap().into_inner();
    (page.withdraws, page.next_page_token)
}

async fn ids(bench: &Bench, request: ListWithdrawsRequest) -> Vec<String> {
    list(bench, request).await.0.into_iter().map(|withdraw| withdraw.id).collect()
}

fn by(status: Option<Status>, claimable: Option<bool>) -> ListWithdrawsRequest {
    ListWithdrawsRequest {
        status: status.unwrap_or_default().into(),
        claimable,
        ..ListWithdrawsRequest::default()
    }
}

/// Filters by status and claimability, exact also before the expiry job has marked anything.
#[tokio::test]
async fn lists_filter_by_status_and_claimability() {
    on_every_store(async |bench| {
        let second = || bench.clock.advance(Millis::from_secs(1));
        let short = CreateWithdrawRequest {
            ttl: Some(Duration { seconds: 180, nanos: 0 }),
            ..asked("short", "10")
        };
        let expired = create(&bench, short).await.unwrap().id;
        second();
        let paid = bench.create(10, 10).await;
        bench.claim_ok(&paid, &bench.invoice(10)).await;
        bench.run_payer().await;
        second();
        let ended = bench.create(10, 10).await.id;
        bench.deactivate(&ended).await.unwrap();
        second();
        bench.clock.advance(Millis::from_secs(180));
        let held = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        second();
        let open = bench.create(10, 10).await.id;
        let (paid, held) = (paid.id, held.id);

        for marked in [false, true] {
            if marked {
                bench.mark_expired().await;
            }
            let all = [&open, &held, &ended, &paid, &expired];
            assert_eq!(ids(&bench, by(None, None)).await.iter().collect::<Vec<_>>(), all);
            assert_eq!(
                ids(&bench, by(Some(Status::Active), None)).await,
                [open.clone(), held.clone(), expired.clone()]
            );
            assert_eq!(
                ids(&bench, by(Some(Status::Paid), None)).await,
                std::slice::from_ref(&paid)
            );
            assert_eq!(ids(&bench, by(None, Some(true))).await, std::slice::from_ref(&open));
            assert_eq!(ids(&bench, by(Some(Status::Paid), Some(true))).await, [] as [String; 0]);
            let unclaimable = [held.clone(), ended.clone(), paid.clone(), expired.clone()];
            assert_eq!(ids(&bench, by(None, Some(false))).await, unclaimable);
            assert_eq!(
                ids(&bench, by(Some(Status::Active), Some(false))).await,
                [held.clone(), expired.clone()]
            );
            assert_eq!(
                ids(&bench, by(Some(Status::Deactivated), Some(false))).await,
                std::slice::from_ref(&ended)
            );
        }
        let shown = bench.get(&expired).await;
        assert_eq!(
            (shown.status(), shown.unclaimable_reason()),
            (Status::Active, UnclaimableReason::AlreadyExpired)
        );
        assert_eq!(bench.get(&held).await.unclaimable_reason(), UnclaimableReason::PaymentInFlight);
        assert_eq!(bench.events_of(&expired).await, ["created", "expired"]);
        let named = ListWithdrawsRequest { request_id: "short".into(), ..Default::default() };
        assert_eq!(ids(&bench, named.clone()).await, std::slice::from_ref(&expired));
        assert_eq!(
            ids(&bench, ListWithdrawsRequest { claimable: Some(true), ..named }).await,
            [] as [String; 0]
        );
        bench.node.release(true);
    })
    .await;
}

/// Pages follow each other without gap or repeat; times bound them; tokens belong to their filter.
#[tokio::test]
async fn pages_cover_a_list_once() {
    on_every_store(async |bench| {
        let mut made = Vec::new();
        for _ in 0..25 {
            made.push(bench.create(1, 1).await.id);
            bench.clock.advance(Millis::from_ms(1));
        }
        made.reverse();
        let page = |token: &str| ListWithdrawsRequest {
            page_size: 10,
            page_token: token.into(),
            ..ListWithdrawsRequest::default()
        };
        let (mut seen, mut token) = (Vec::new(), String::new());
        loop {
            let (withdraws, next) = list(&bench, page(&token)).await;
            assert!(withdraws.len() <= 10);
            seen.extend(withdraws.into_iter().map(|withdraw| withdraw.id));
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, made);
        let other = ListWithdrawsRequest { status: Status::Paid.into(), ..page(&token) };
        assert_eq!(
            fields_of(&bench.client().list_withdraws(other).await.unwrap_err()),
            ["page_token"]
        );
        let negative = ListWithdrawsRequest { page_size: -1, ..page("") };
        assert_eq!(
            fields_of(&bench.client().list_withdraws(negative).await.unwrap_err()),
            ["page_size"]
        );
        let huge = ListWithdrawsRequest { page_size: i32::MAX, ..page("") };
        assert_eq!(ids(&bench, huge).await.len(), 25);

        let now_ms = bench.clock.now().as_ms();
        let at = |ms: i64| {
            Some(Timestamp {
                seconds: ms.div_euclid(1000),
                nanos: i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap(),
            })
        };
        let between = ListWithdrawsRequest {
            created_after: at(now_ms - 10),
            created_before: at(now_ms - 5),
            ..ListWithdrawsRequest::default()
        };
        assert_eq!(ids(&bench, between).await, made[5..10]);
    })
    .await;
}

/// A page ends before it outgrows what clients take.
#[tokio::test]
async fn a_page_ends_at_two_mebibytes() {
    let bench = Bench::new(crate::bench::StoreKind::Sqlite).await;
    let fields = (0..1)
        .map(|n| (format!("k{n}"), Value { kind: Some(Kind::StringValue("x".repeat(4000))) }));
    let big = CreateWithdrawRequest {
        pass_thru: Some(Struct { fields: fields.collect() }),
        ..asked("", "1")
    };
    for _ in 0..2 {
        batch(&bench, vec![big.clone(); 500]).await.unwrap();
    }
    let (first, token) =
        list(&bench, ListWithdrawsRequest { page_size: 1000, ..Default::default() }).await;
    assert!(first.len() < 1000 && !token.is_empty(), "{} entries", first.len());
    let next = ListWithdrawsRequest { page_size: 1000, page_token: token, ..Default::default() };
    let (second, _) = list(&bench, next).await;
    assert_ne!(first.last().unwrap().id, second[0].id);
    let too_big = batch(&bench, vec![big; 700]).await.unwrap_err();
    assert_eq!(fields_of(&too_big), ["requests"]);
}
