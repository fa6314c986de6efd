//! Stories of the gRPC service: creating, repeating, listing, deactivating, and clear errors.

use prost_types::{Duration, Struct, Value, value::Kind};
use tonic::Code;
use tonic_types::StatusExt;
use withdrawd::{
    domain::Millis,
    pb::{
        BatchCreateWithdrawsRequest, CreateWithdrawRequest, ListWithdrawsRequest, Withdraw,
        withdraw::{Status, UnclaimableReason},
    },
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, on_every_store},
    claims::lists::list,
};

pub fn asked(request_id: &str, max_amount: &str) -> CreateWithdrawRequest {
    CreateWithdrawRequest {
        request_id: request_id.into(),
        max_amount: max_amount.into(),
        ..CreateWithdrawRequest::default()
    }
}

pub async fn create(
    bench: &Bench,
    request: CreateWithdrawRequest,
) -> Result<Withdraw, tonic::Status> {
    bench.client().create_withdraw(request).await.map(tonic::Response::into_inner)
}

pub async fn batch(
    bench: &Bench,
    requests: Vec<CreateWithdrawRequest>,
) -> Result<Vec<Withdraw>, tonic::Status> {
    let request = BatchCreateWithdrawsRequest { requests };
    let made = bench.client().batch_create_withdraws(request).await?;
    Ok(made.into_inner().withdraws)
}

pub fn reason_of(status: &tonic::Status) -> String {
    let info = status.get_details_error_info().expect("every error carries ErrorInfo");
    assert_eq!(info.domain, "withdrawd");
    info.reason
}

pub fn fields_of(status: &tonic::Status) -> Vec<String> {
    assert_eq!(
        (status.code(), reason_of(status).as_str()),
        (Code::InvalidArgument, "INVALID_FIELDS")
    );
    let bad = status.get_details_bad_request().expect("bad input is named");
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}

/// Every attribute that a caller may set, under its own name.
#[tokio::test]
async fn a_request_has_all_its_attributes() {
    on_every_store(async |bench| {
        let fields = [
            ("b".to_owned(), Value { kind: Some(Kind::NumberValue(1.5)) }),
            ("a".to_owned(), Value { kind: Some(Kind::NullValue(0)) }),
        ];
        let pass_thru = Struct { fields: fields.into_iter().collect() };
        let request = CreateWithdrawRequest {
            min_amount: "10.0".into(),
            ttl: Some(Duration { seconds: 190, nanos: 0 }),
            memo: "SatsBack! ☕".into(),
            statement_descriptor: "acct 7".into(),
            pass_thru: Some(pass_thru.clone()),
            ..asked("", "20")
        };
        let made = create(&bench, request).await.unwrap();

        assert_eq!((made.object.as_str(), made.r#type.as_str()), ("withdraw_request", "lnurl"));
        assert_eq!((made.min_amount.as_str(), made.max_amount.as_str()), ("10", "20"));
        assert_eq!(
            (made.target_min_amount.as_str(), made.target_max_amount.as_str()),
            ("10", "20")
        );
        assert_eq!((made.currency.as_str(), made.target_currency.as_str()), ("SATS", "SATS"));
        assert_eq!(made.exchange_rate, "1");
        assert_eq!(made.statement_descriptor.as_deref(), Some("acct 7"));
        assert_eq!((made.memo.as_str(), &made.pass_thru), ("SatsBack! ☕", &Some(pass_thru)));
        let (created, expires) = (made.created.unwrap(), made.expires_at.unwrap());
        assert_eq!(expires.seconds - created.seconds, 190);
        assert_eq!(made.ttl, Some(Duration { seconds: 190, nanos: 0 }));
        assert!(made.withdraw_request.starts_with("LNURL1"));
        assert_eq!(made.lnurlw, format!("lnurlw://{}/w/{}", bench.lnurl(), made.ott));
        assert_eq!((made.status(), made.claimable), (Status::Active, true));
        assert_eq!(bench.get(&made.id).await, made);
    })
    .await;
}

/// A repeat under the same request id is safe, however it is written; another content is refused.
#[tokio::test]
async fn a_replay_returns_the_request_as_it_is_now() {
    on_every_store(async |bench| {
        let made = create(&bench, asked("order-1", "10")).await.unwrap();
        let same = CreateWithdrawRequest {
            min_amount: "10.000".into(),
            currency: "SATS".into(),
            ttl: Some(Duration { seconds: 600, nanos: 0 }),
            ..asked("order-1", "10.0")
        };
        assert_eq!(create(&bench, same.clone()).await.unwrap(), made);

        bench.claim_ok(&made, &bench.invoice(10)).await;
        bench.run_payer().await;
        let replayed = create(&bench, same).await.unwrap();
        assert_eq!((replayed.id.as_str(), replayed.status()), (made.id.as_str(), Status::Paid));
        assert_eq!(replayed.withdraw_request, made.withdraw_request);

        let other = create(&bench, asked("order-1", "11")).await.unwrap_err();
        assert_eq!(
            (other.code(), reason_of(&other).as_str()),
            (Code::AlreadyExists, "REQUEST_ID_CONFLICT")
        );
    })
    .await;
}

/// All or nothing; known entries come back, a conflict names its place and leaves nothing behind.
#[tokio::test]
async fn a_batch_is_made_whole_or_not_at_all() {
    on_every_store(async |bench| {
        let known = create(&bench, asked("b", "10")).await.unwrap();
        let made =
            batch(&bench, vec![asked("a", "5"), asked("b", "10"), asked("", "7")]).await.unwrap();
        assert_eq!(made[1], known);
        assert_eq!((made[0].max_amount.as_str(), made[2].max_amount.as_str()), ("5", "7"));

        let conflict = vec![asked("new", "1"), asked("", "2"), asked("b", "99")];
        let refused = batch(&bench, conflict).await.unwrap_err();
        let info = refused.get_details_error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), &info.metadata["index"]),
            ("REQUEST_ID_CONFLICT", &"2".to_owned())
        );
        let listed = list(&bench, ListWithdrawsRequest::default()).await.0;
        assert_eq!(listed.len(), 3, "nothing of the refused batch was written");

        let twice = batch(&bench, vec![asked("x", "1"), asked("x", "1")]).await.unwrap_err();
        assert_eq!(fields_of(&twice), ["requests[1].request_id"]);
        let both = batch(&bench, vec![asked("x", "0"), asked("x", "1")]).await.unwrap_err();
        assert_eq!(fields_of(&both), ["requests[0].max_amount", "requests[1].request_id"]);
        assert_eq!(fields_of(&batch(&bench, vec![]).await.unwrap_err()), ["requests"]);
        let many = vec![asked("", "1"); 1001];
        assert_eq!(fields_of(&batch(&bench, many).await.unwrap_err()), ["requests"]);
        assert_eq!(batch(&bench, vec![asked("", "1"); 1000]).await.unwrap().len(), 1000);
    })
    .await;
}

/// Every bad field at once, named in the caller's terms; details fit into a trailer.
#[tokio::test]
async fn bad_input_names_every_field_and_what_is_allowed() {
    let bench = Bench::new(crate::bench::StoreKind::Sqlite).await;
    let bad = CreateWithdrawRequest {
        request_id: "é".into(),
        min_amount: "1e3".into(),
        max_amount: "0".into(),
        currency: "EUR".into(),
        ttl: Some(Duration { seconds: 1, nanos: 5 }),
        memo: "x".repeat(641),
        statement_descriptor: "\u{1b}[31m".into(),
        pass_thru: Some(Struct {
            fields: [("n".into(), Value { kind: Some(Kind::NumberValue(f64::NAN)) })].into(),
        }),
    };
    let refused = create(&bench, bad.clone()).await.unwrap_err();
    let mut fields = fields_of(&refused);
    fields.sort();
    assert_eq!(
        fields,
        [
            "currency",
            "max_amount",
            "memo",
            "min_amount",
            "pass_thru",
            "request_id",
            "statement_descriptor",
            "ttl"
        ]
    );
    let many = batch(&bench, vec![bad; 1000]).await.unwrap_err();
    assert_eq!(fields_of(&many).len(), 25);
    assert_eq!(many.get_details_error_info().unwrap().metadata["violations"], "8000");
    assert!(many.details().len() < 6 * 1024, "{} bytes of details", many.details().len());

    let missing = create(&bench, CreateWithdrawRequest::default()).await.unwrap_err();
    assert_eq!(fields_of(&missing), ["max_amount"]);
    let not_an_id = withdrawd::pb::GetWithdrawRequest { id: "wr_1".into() };
    let refused = bench.client().get_withdraw(not_an_id).await.unwrap_err();
    assert_eq!(fields_of(&refused), ["id"]);
    let unknown = "wr_01h2xcejqtf2nbrexx3vqjhp41".to_owned();
    let unknown = withdrawd::pb::GetWithdrawRequest { id: unknown };
    let refused = bench.client().get_withdraw(unknown).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason_of(&refused).as_str()),
        (Code::NotFound, "WITHDRAW_NOT_FOUND")
    );
}

/// Ending a request: what is refused says why, and a second time is no error.
#[tokio::test]
async fn deactivation_is_refused_while_money_is_on_its_way() {
    on_every_store(async |bench| {
        let idle = bench.create(10, 10).await;
        let ended = bench.deactivate(&idle.id).await.unwrap();
        assert_eq!(ended.status(), Status::Deactivated);
        assert_eq!(bench.deactivate(&idle.id).await.unwrap(), ended);

        let held = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        let refused = bench.deactivate(&held.id).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason_of(&refused).as_str()),
            (Code::FailedPrecondition, "PAYMENT_IN_FLIGHT")
        );
        bench.run_payer_until(&held.id, withdrawd::pb::payment::State::InFlight).await;
        bench.node.release(true);
        bench.until(&held.id, |withdraw| withdraw.status() == Status::Paid).await;
        let refused = bench.deactivate(&held.id).await.unwrap_err();
        assert_eq!(reason_of(&refused), "ALREADY_PAID");

        let doubtful = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::PayWithWrongPreimage]);
        bench.claim_ok(&doubtful, &bench.invoice(10)).await;
        bench.run_payer().await;
        let refused = bench.deactivate(&doubtful.id).await.unwrap_err();
        assert_eq!(reason_of(&refused), "NEEDS_OPERATOR");
        let shown = bench.get(&doubtful.id).await;
        assert_eq!(shown.unclaimable_reason(), UnclaimableReason::NeedsOperator);
        assert_eq!(shown.payment.unwrap().operator_reason().as_str_name(), "WRONG_PREIMAGE");

        let expired = bench.create(10, 10).await;
        bench.clock.advance(Millis::from_secs(601));
        assert_eq!(bench.deactivate(&expired.id).await.unwrap().status(), Status::Deactivated);
    })
    .await;
}
