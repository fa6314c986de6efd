//! How an operator ends a doubt: what has to be confirmed, and what is refused.

use std::sync::atomic::Ordering;

use tonic::{Code, Status};
use tonic_types::StatusExt;
use withdrawd::{
    domain::{FailureReason, Millis, Msat, Preimage, payment::RecordState},
    pb::{
        GetPaymentRequest, Payment, ResolvePaymentRequest, Withdraw,
        payment::{FailureReason as WireFailure, OperatorReason, State, send::Answer},
        resolve_payment_request::{Failed, Outcome, Paid},
        withdraw::Status as WithdrawStatus,
    },
};

use crate::{
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, on_every_store, reason},
    claims::requests::{fields_of, reason_of},
    payments::doubts::proof_of,
};

const MINUTE: Millis = Millis::from_secs(60);

/// A payment of a request that is in doubt, and its invoice.
pub struct Doubt {
    pub withdraw: Withdraw,
    pub payment: String,
    pub invoice: String,
}

impl Doubt {
    /// What the node does with it leaves a doubt of this reason.
    async fn of(bench: &Bench, on_send: OnSend, reason: OperatorReason) -> Self {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([on_send]);
        bench.claim_ok(&withdraw, &invoice).await;
        if on_send == OnSend::Hold {
            bench.run_payer_until(&withdraw.id, State::InFlight).await;
            bench.node.forget(hash_of(&invoice));
            bench.node.restart();
            for _ in 0..4 {
                bench.run_payer_after(MINUTE).await;
            }
        } else {
            bench.run_payer().await;
        }
        let payment = bench.get(&withdraw.id).await.payment.unwrap();
        assert_eq!((payment.state(), payment.operator_reason()), (State::NeedsOperator, reason));
        Self { withdraw, payment: payment.id, invoice }
    }

    /// Called paid, without a proof. Its only send is over.
    pub async fn unproven(bench: &Bench) -> Self {
        Self::of(bench, OnSend::PayWithWrongPreimage, OperatorReason::WrongPreimage).await
    }

    /// In flight once, and unknown to the node now.
    pub async fn vanished(bench: &Bench) -> Self {
        Self::of(bench, OnSend::Hold, OperatorReason::Vanished).await
    }

    pub fn as_failed(&self, node_unreachable: bool, payee_unpaid: bool) -> ResolvePaymentRequest {
        ResolvePaymentRequest {
            id: self.payment.clone(),
            operator: "alice".into(),
            reason: "asked the payee".into(),
            outcome: Some(Outcome::Failed(Failed {})),
            confirm_node_unreachable: node_unreachable,
            confirm_payee_unpaid: payee_unpaid,
            confirm_stranded: false,
        }
    }

    pub fn as_paid(&self, fee_msat: Option<i64>) -> ResolvePaymentRequest {
        let preimage = proof_of(&self.invoice).to_string();
        let outcome = Some(Outcome::Paid(Paid { preimage, fee_msat }));
        ResolvePaymentRequest { outcome, ..self.as_failed(false, false) }
    }

    fn node_says(&self, bench: &Bench, state: RecordState) {
        bench.node.add_foreign_payment(&self.invoice, state);
    }
}

pub async fn resolve(bench: &Bench, request: ResolvePaymentRequest) -> Result<Payment, Status> {
    bench.payments().resolve_payment(request).await.map(tonic::Response::into_inner)
}

/// A refusal: its reason and its metadata.
async fn refused(bench: &Bench, request: ResolvePaymentRequest) -> (String, Vec<(String, String)>) {
    let status = resolve(bench, request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let mut told: Vec<_> = status.get_details_error_info().unwrap().metadata.into_iter().collect();
    told.sort();
    (reason_of(&status), told)
}

fn refusal_of(reason: &str, metadata: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
    let pairs = metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    (reason.to_owned(), pairs.collect())
}

pub fn paid_with(preimage: Preimage) -> RecordState {
    RecordState::Succeeded { preimage, fee: Msat::new(3).unwrap() }
}

/// The node forgets a payment that was on its way, and nothing is sent any more: who forgets one may
/// have forgotten others. An operator ends it either way, and sends go on.
#[tokio::test]
async fn a_forgotten_payment_stops_sends_until_an_operator_ends_it() {
    on_every_store(async |bench| {
        for was_paid in [false, true] {
            let before = bench.create(10, 10).await;
            bench.claim_ok(&before, &bench.invoice(10)).await;
            bench.run_payer().await;
            let doubt = Doubt::vanished(&bench).await;
            let waiting = bench.create(10, 10).await;
            bench.heartbeat().await;
            let halted = bench.claim(&waiting, &bench.invoice(10)).await;
            assert!(reason(&halted).contains("cannot pay at the moment"), "{halted}");

            let (request, confirmed) = if was_paid {
                (doubt.as_paid(Some(7)), "preimage")
            } else {
                let bare = refused(&bench, doubt.as_failed(false, false)).await;
                let missing = ("missing", "confirm_payee_unpaid");
                assert_eq!(
                    bare,
                    refusal_of("CONFIRMATION_REQUIRED", &[missing, ("node", "NOT_FOUND")])
                );
                (doubt.as_failed(false, true), "payee unpaid")
            };
            let resolved = resolve(&bench, request).await.unwrap();
            assert_eq!(resolved.sends.len(), 1);
            let withdraw = bench.get(&doubt.withdraw.id).await;
            let outcome = if was_paid {
                assert_eq!((resolved.state(), resolved.fee_msat), (State::Paid, Some(7)));
                assert_eq!(withdraw.status(), WithdrawStatus::Paid);
                "PAID"
            } else {
                assert_eq!(resolved.failure_reason(), WireFailure::ResolvedByOperator);
                assert!(withdraw.claimable, "{:?}", withdraw.unclaimable_reason());
                "FAILED"
            };
            let event = bench.history_of(&doubt.withdraw.id).await.pop().unwrap();
            assert_eq!(event.detail, Some("RESOLVED_BY_OPERATOR"));
            let by = event.by.unwrap();
            let note = format!(
                "resolved as: {outcome}; node said: NOT_FOUND; confirmed: {confirmed}; \
                 why: asked the payee"
            );
            assert_eq!((by.name.as_str(), by.reason), ("alice", note));

            // Also on a new connection, where its memory is put to the test again.
            bench.node.restart();
            bench.heartbeat().await;
            bench.claim_ok(&waiting, &bench.invoice(10)).await;
            bench.run_payer().await;
            assert_eq!(bench.get(&waiting.id).await.status(), WithdrawStatus::Paid);
            let settled = bench.node.settled();
            if !was_paid {
                bench.claim_ok(&doubt.withdraw, &bench.invoice(10)).await;
                bench.run_payer().await;
                let again = bench.get(&doubt.withdraw.id).await;
                assert_eq!(again.status(), WithdrawStatus::Paid);
                assert_eq!(bench.node.settled(), settled + 1);
            }
        }
    })
    .await;
}

/// What the node calls paid or on its way binds the operator, whatever they confirm.
#[tokio::test]
async fn what_the_node_calls_paid_or_in_flight_binds_the_operator() {
    on_every_store(async |bench| {
        let doubt = Doubt::unproven(&bench).await;
        let says_paid = refusal_of("NODE_SAYS_PAID", &[]);
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await, says_paid);
        doubt.node_says(&bench, RecordState::InFlight);
        let in_flight = refusal_of("NODE_SAYS_IN_FLIGHT", &[]);
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await, in_flight);
        assert_eq!(refused(&bench, doubt.as_paid(None)).await, in_flight);
        // The same holds for another node.
        bench.node.replace_with(2);
        doubt.node_says(&bench, paid_with(proof_of(&doubt.invoice)));
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await, says_paid);
        assert_eq!(bench.events_of(&doubt.withdraw.id).await.len(), 3, "nothing was written");
        assert!(!bench.get(&doubt.withdraw.id).await.claimable);

        // That it is another node's fee, too, is known.
        let resolved = resolve(&bench, doubt.as_paid(Some(5))).await.unwrap();
        assert_eq!((resolved.state(), resolved.fee_msat), (State::Paid, Some(5)));
        let again = refused(&bench, doubt.as_paid(None)).await;
        assert_eq!(again, refusal_of("NOT_IN_DOUBT", &[("state", "PAID")]));
    })
    .await;
}

/// A failure of this very attempt suffices; the payee's refusal does not, since payees who were paid
/// refuse just so. Nor does the answer of a node that no longer pays.
#[tokio::test]
async fn a_failure_suffices_unless_it_proves_nothing() {
    on_every_store(async |bench| {
        let doubt = Doubt::unproven(&bench).await;
        let payee = |node| {
            refusal_of(
                "CONFIRMATION_REQUIRED",
                &[("missing", "confirm_payee_unpaid"), ("node", node)],
            )
        };
        let refusal = RecordState::Failed(FailureReason::IncorrectPaymentDetails);
        doubt.node_says(&bench, refusal);
        assert_eq!(refused(&bench, doubt.as_failed(true, false)).await, payee("FAILED"));
        bench.node.replace_with(2);
        doubt.node_says(&bench, RecordState::Failed(FailureReason::NoRoute));
        assert_eq!(refused(&bench, doubt.as_failed(true, false)).await, payee("OTHER_NODE"));
        let gone = refusal_of(
            "CONFIRMATION_REQUIRED",
            &[("missing", "confirm_node_unreachable"), ("node", "OTHER_NODE")],
        );
        assert_eq!(refused(&bench, doubt.as_failed(false, true)).await, gone);
        bench.node.replace_with(1);
        assert_eq!(refused(&bench, doubt.as_failed(true, false)).await, payee("NOT_FOUND"));
        doubt.node_says(&bench, RecordState::Failed(FailureReason::NoRoute));
        let resolved = resolve(&bench, doubt.as_failed(false, false)).await.unwrap();
        assert_eq!(resolved.failure_reason(), WireFailure::ResolvedByOperator);
        assert!(bench.get(&doubt.withdraw.id).await.claimable);
    })
    .await;
}

/// While the node cannot be asked, the operator says that they know so, and that the payee does.
#[tokio::test]
async fn a_silent_node_takes_both_confirmations() {
    on_every_store(async |bench| {
        let doubt = Doubt::unproven(&bench).await;
        bench.node.unreachable.store(true, Ordering::SeqCst);
        let missing = |names| {
            refusal_of("CONFIRMATION_REQUIRED", &[("missing", names), ("node", "UNREACHABLE")])
        };
        let both = missing("confirm_node_unreachable,confirm_payee_unpaid");
        assert_eq!(refused(&bench, doubt.as_failed(false, false)).await, both);
        let payee = missing("confirm_payee_unpaid");
        assert_eq!(refused(&bench, doubt.as_failed(true, false)).await, payee);
        let node = missing("confirm_node_unreachable");
        assert_eq!(refused(&bench, doubt.as_failed(false, true)).await, node);
        let resolved = resolve(&bench, doubt.as_failed(true, true)).await.unwrap();
        assert_eq!(resolved.state(), State::Failed);

        // A proof takes none.
        bench.node.unreachable.store(false, Ordering::SeqCst);
        let proven = Doubt::unproven(&bench).await;
        bench.node.unreachable.store(true, Ordering::SeqCst);
        let resolved = resolve(&bench, proven.as_paid(None)).await.unwrap();
        assert_eq!((resolved.state(), resolved.fee_msat), (State::Paid, Some(0)));
    })
    .await;
}

/// As long as what was sent may reach the node, nobody can know that it will not be paid.
#[tokio::test]
async fn a_send_that_may_still_arrive_is_waited_for() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([OnSend::LoseRequest]);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer().await;
        bench.node.add_foreign_payment(&invoice, paid_with(Preimage::from_bytes([0; 32])));
        bench.run_payer_after(Millis::from_secs(2)).await;
        let payment = bench.get(&withdraw.id).await.payment.unwrap().id;
        let doubt = Doubt { withdraw, payment, invoice };
        bench.node.forget(hash_of(&doubt.invoice));

        let (reason, metadata) = refused(&bench, doubt.as_failed(true, true)).await;
        assert_eq!(reason, "SEND_MAY_STILL_ARRIVE");
        // Sent at 08:00:00; send_life 15 s, clock_skew 5 s, node_slack 60 s.
        assert_eq!(metadata, refusal_of("", &[("over_at", "2027-01-15T08:01:20Z")]).1);
        bench.clock.advance(Millis::from_secs(78));
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await.0, "SEND_MAY_STILL_ARRIVE");

        // A clock that jumped beyond that instant is not believed.
        bench.clock.jump(Millis::from_secs(3600));
        let unsettled = refusal_of("SEND_MAY_STILL_ARRIVE", &[]);
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await, unsettled);
        for _ in 0..3 {
            bench.clock.advance(Millis::from_secs(40));
            let _ = resolve(&bench, doubt.as_failed(false, false)).await;
        }
        let resolved = resolve(&bench, doubt.as_failed(false, true)).await.unwrap();
        assert_eq!(resolved.sends[0].answer(), Answer::Unspecified);
        assert_eq!(resolved.state(), State::Failed);
    })
    .await;
}

/// Somebody else paid the same invoice from the same node: the payer leaves it to the operator, who
/// can call it paid and nothing else.
#[tokio::test]
async fn a_foreign_payment_is_resolved_as_paid_only() {
    on_every_store(async |bench| {
        let doubt = Doubt::of(&bench, OnSend::PaidBySomebodyElse, OperatorReason::Foreign).await;
        bench.run_payer_after(Millis::from_secs(600)).await;
        let says_paid = refusal_of("NODE_SAYS_PAID", &[]);
        assert_eq!(refused(&bench, doubt.as_failed(true, true)).await, says_paid);
        let resolved = resolve(&bench, doubt.as_paid(Some(500))).await.unwrap();
        assert_eq!((resolved.state(), resolved.fee_msat), (State::Paid, Some(1)), "the node's fee");
        assert_eq!(bench.get(&doubt.withdraw.id).await.status(), WithdrawStatus::Paid);
    })
    .await;
}

/// What is resolved as failed and paid all the same is not lost.
#[tokio::test]
async fn a_wrong_decision_is_found_out() {
    on_every_store(async |bench| {
        let doubt = Doubt::vanished(&bench).await;
        resolve(&bench, doubt.as_failed(false, true)).await.unwrap();
        doubt.node_says(&bench, paid_with(proof_of(&doubt.invoice)));
        bench.run_payer_after(Millis::from_secs(3601)).await;
        bench.run_payer_after(Millis::from_secs(1)).await;
        assert_eq!(bench.get(&doubt.withdraw.id).await.status(), WithdrawStatus::Paid);
    })
    .await;
}

/// What is no name, no reason, no proof; ids of nothing; and every bad field at once.
#[tokio::test]
async fn bad_decisions_name_every_field() {
    on_every_store(async |bench| {
        let doubt = Doubt::unproven(&bench).await;
        let bad = ResolvePaymentRequest {
            id: "pay_1".into(),
            operator: "x".repeat(129),
            reason: "\u{1b}[2J".into(),
            outcome: Some(Outcome::Paid(Paid { preimage: "é".repeat(32), fee_msat: Some(-1) })),
            ..doubt.as_failed(true, true)
        };
        assert_eq!(
            fields_of(&resolve(&bench, bad).await.unwrap_err()),
            ["id", "operator", "reason", "paid.preimage", "paid.fee_msat"]
        );
        let empty = resolve(&bench, ResolvePaymentRequest::default()).await.unwrap_err();
        assert_eq!(fields_of(&empty), ["id", "operator", "reason", "outcome"]);
        let preimage = "ab".repeat(32);
        let outcome = Some(Outcome::Paid(Paid { preimage, fee_msat: None }));
        let wrong = ResolvePaymentRequest { outcome, ..doubt.as_paid(None) };
        let wrong = resolve(&bench, wrong).await.unwrap_err();
        assert_eq!(fields_of(&wrong), ["paid.preimage"]);

        let unknown = "pay_01h2xcejqtf2nbrexx3vqjhp41".to_owned();
        let request = ResolvePaymentRequest { id: unknown.clone(), ..doubt.as_paid(None) };
        let missing = resolve(&bench, request).await.unwrap_err();
        let unseen = bench.payments().get_payment(GetPaymentRequest { id: unknown }).await;
        for status in [missing, unseen.unwrap_err()] {
            assert_eq!(
                (status.code(), reason_of(&status).as_str()),
                (Code::NotFound, "PAYMENT_NOT_FOUND")
            );
        }
        for id in ["", "wr_01h2xcejqtf2nbrexx3vqjhp41", "pay_\0"] {
            let request = GetPaymentRequest { id: id.into() };
            let status = bench.payments().get_payment(request).await.unwrap_err();
            assert_eq!(fields_of(&status), ["id"]);
        }
        assert_eq!(bench.events_of(&doubt.withdraw.id).await.len(), 3, "nothing was written");
    })
    .await;
}
