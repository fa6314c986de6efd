//! What an operator may decide, by what the node says: every row, and that nothing else passes.

use strum::VariantArray;

use super::{
    Age, FailureReason, LateSuccess, NodeSays, OperatorReason, Outcome, OutcomeDraft, Payment,
    Pending, PendingFacts, Record, RecordState, Reopening, ResolutionDraft, Send, SendLimits,
    Sends, State, Stranding, Trust, Unresolvable, Word, resolve,
};
use crate::domain::{
    Actor, ActorDraft, CommonField, EventKind, Field, InstanceField, Millis, Msat, NodeId,
    PaymentField, PaymentId, Preimage, Principal, Unclaimable, Withdraw,
    payment::Next,
    withdraw_test::{at, attempt_at, request},
};

const PREIMAGE: Preimage = Preimage::from_bytes([7; 32]);
const LIMITS: SendLimits = SendLimits {
    clock_skew: Millis::from_secs(5),
    node_slack: Millis::from_secs(60),
    max_refusals: 3,
    doubt_after: Millis::from_secs(1800),
};
const REOPENING: Reopening = Reopening {
    node_refuses_late_sends: true,
    node_refuses_expired_invoices: true,
    clock_skew: Millis::from_secs(5),
    claim_grace: Millis::from_secs(600),
};
const LIFE: Millis = Millis::from_secs(15);

fn msat(msat: i64) -> Msat {
    Msat::new(msat).unwrap()
}

/// In doubt since second 300, after a send at second 100 that nobody answered.
fn in_doubt(reason: OperatorReason) -> Payment {
    let send = Send {
        number: 1,
        epoch: 1,
        node: NodeId::parse(&format!("02{}", hex::encode([1; 32]))).unwrap(),
        sent_at: at(100),
        begun_at: at(100),
        send_deadline: at(115),
        answer: None,
        sequence: Some(1),
    };
    Payment {
        id: attempt_at(10),
        version: 4,
        withdraw: request().id,
        invoice: "lnbcrt…".to_owned(),
        payment_hash: PREIMAGE.hash(),
        amount: msat(10_000),
        fee_limit: msat(100),
        invoice_expires_at: at(3610),
        send_until: at(3000),
        state: State::NeedsOperator { reason, at: at(300) },
        noted: None,
        sends: Sends::from_rows(vec![send]),
        trace_parent: None,
    }
}

fn held() -> Withdraw {
    let claimed = request().claim(attempt_at(10), at(10)).unwrap().next;
    claimed.doubt(attempt_at(10), OperatorReason::Vanished, at(300)).next
}

const fn failed(node_unreachable: bool, payee_unpaid: bool) -> Outcome {
    Outcome::Failed { node_unreachable, payee_unpaid, stranded: false }
}

const fn paid(fee: Option<Msat>) -> Outcome {
    Outcome::Paid { preimage: PREIMAGE, fee }
}

const ALL_SAID: [NodeSays; 9] = [
    NodeSays::Nothing,
    NodeSays::OtherNode,
    NodeSays::NotFound,
    NodeSays::InFlight,
    NodeSays::Stranded,
    NodeSays::Paid { fee: None },
    NodeSays::Paid { fee: Some(Msat::ZERO) },
    NodeSays::Failed { suffices: false },
    NodeSays::Failed { suffices: true },
];

const CLOSED: Next = Next::Fail(FailureReason::ResolvedByOperator);

/// The whole product: an operator closes a payment as failed in these cases and in no other.
#[test]
fn as_failed_takes_what_the_node_leaves_open() {
    let payment = in_doubt(OperatorReason::Vanished);
    for said in ALL_SAID {
        for node_unreachable in [false, true] {
            for payee_unpaid in [false, true] {
                let outcome = failed(node_unreachable, payee_unpaid);
                let decided = resolve(&payment, outcome, said, Pending::Over);
                let allowed = match said {
                    NodeSays::Failed { suffices: true } => true,
                    NodeSays::Failed { suffices: false }
                    | NodeSays::NotFound
                    | NodeSays::Stranded => payee_unpaid,
                    NodeSays::Nothing | NodeSays::OtherNode => node_unreachable && payee_unpaid,
                    NodeSays::InFlight => {
                        assert_eq!(decided, Err(Unresolvable::NodeSaysInFlight));
                        false
                    }
                    NodeSays::Paid { .. } => {
                        assert_eq!(decided, Err(Unresolvable::NodeSaysPaid));
                        false
                    }
                };
                assert_eq!(decided == Ok(CLOSED), allowed, "{said:?} {outcome:?}: {decided:?}");
                // Never while a send may arrive, whatever is confirmed.
                for pending in [Pending::Until(at(180)), Pending::Unsettled] {
                    assert!(resolve(&payment, outcome, said, pending).is_err());
                }
                // A send that was never answered is over with its node, or with a witness.
                let held = resolve(&payment, outcome, said, Pending::Unwitnessed);
                let gone = matches!(said, NodeSays::Nothing | NodeSays::OtherNode) && allowed;
                assert_eq!(held == Ok(CLOSED), gone, "{said:?} {outcome:?}: {held:?}");
            }
        }
    }
    let asked = resolve(&payment, failed(false, false), NodeSays::Nothing, Pending::Over);
    let (node_unreachable, payee_unpaid) = (true, true);
    let said = NodeSays::Nothing;
    assert_eq!(asked, Err(Unresolvable::Unconfirmed { said, node_unreachable, payee_unpaid }));
}

/// A proof settles it, whatever the reason of the doubt, unless the payment is still on its way.
#[test]
fn as_paid_takes_the_proof() {
    for reason in OperatorReason::VARIANTS.iter().copied() {
        let payment = in_doubt(reason);
        for said in ALL_SAID {
            for pending in
                [Pending::Over, Pending::Until(at(180)), Pending::Unsettled, Pending::Unwitnessed]
            {
                let decided = resolve(&payment, paid(Some(msat(9))), said, pending);
                let fee = match said {
                    NodeSays::InFlight | NodeSays::Stranded => {
                        assert_eq!(decided, Err(Unresolvable::NodeSaysInFlight));
                        continue;
                    }
                    NodeSays::Paid { fee: Some(fee) } => fee,
                    NodeSays::Paid { fee: None }
                    | NodeSays::Nothing
                    | NodeSays::OtherNode
                    | NodeSays::NotFound
                    | NodeSays::Failed { .. } => msat(9),
                };
                assert_eq!(decided, Ok(Next::Pay { preimage: PREIMAGE, fee }));
            }
        }
    }
    let payment = in_doubt(OperatorReason::Foreign);
    let free = resolve(&payment, paid(None), NodeSays::NotFound, Pending::Over);
    assert_eq!(free, Ok(Next::Pay { preimage: PREIMAGE, fee: Msat::ZERO }));
    let wrong = Outcome::Paid { preimage: Preimage::from_bytes([0; 32]), fee: None };
    for said in ALL_SAID {
        let refused = resolve(&payment, wrong, said, Pending::Over);
        assert_eq!(refused, Err(Unresolvable::WrongPreimage));
    }
}

#[test]
fn only_a_doubt_is_resolved() {
    let late = LateSuccess { preimage: PREIMAGE, fee: Msat::ZERO, at: at(400) };
    let reason = FailureReason::NoRoute;
    for state in [
        State::Reserved,
        State::Sending,
        State::InFlight,
        State::Paid { preimage: PREIMAGE, fee: Msat::ZERO, at: at(300) },
        State::Failed { reason, at: at(300), late: None },
        State::Failed { reason, at: at(300), late: Some(late) },
    ] {
        let payment = Payment { state, ..in_doubt(OperatorReason::Vanished) };
        for outcome in [failed(true, true), paid(None)] {
            let refused = resolve(&payment, outcome, NodeSays::NotFound, Pending::Over);
            assert_eq!(refused, Err(Unresolvable::NotInDoubt(state)));
        }
    }
}

fn said(state: RecordState, age: i64, trust: Trust) -> NodeSays {
    let payment = in_doubt(OperatorReason::Vanished);
    let (payment_hash, amount) = (payment.payment_hash, payment.amount);
    let record = Record { payment_hash, amount, created: at(age), state };
    NodeSays::of(Some(&record), Word::of(Some(&record), &payment, LIMITS.clock_skew), trust)
}

/// What the node calls paid or on its way binds, whoever it is and however little fits; a failure
/// counts only where it is about this attempt, from the right node, and not the payee's refusal.
#[test]
fn a_word_counts_as_far_as_it_proves() {
    use Trust::{Forgetful, OtherNode, Same};

    let succeeded = |preimage| RecordState::Succeeded { preimage, fee: msat(3) };
    let no_route = RecordState::Failed(FailureReason::NoRoute);
    let refused = RecordState::Failed(FailureReason::IncorrectPaymentDetails);
    let paid = |fee| NodeSays::Paid { fee };
    let failed = |suffices| NodeSays::Failed { suffices };

    assert_eq!(NodeSays::of(None, Word::NotFound, Same), NodeSays::NotFound);
    for trust in [Same, OtherNode, Forgetful] {
        assert_eq!(said(RecordState::InFlight, 100, trust), NodeSays::InFlight);
        assert_eq!(said(succeeded(Preimage::from_bytes([0; 32])), 100, trust), paid(None));
    }
    for trust in [Same, Forgetful] {
        assert_eq!(said(refused, 100, trust), failed(false));
        assert_eq!(said(RecordState::ResultLost, 100, trust), failed(false));
    }
    assert_eq!(said(succeeded(PREIMAGE), 100, Same), paid(Some(msat(3))));
    assert_eq!(said(succeeded(PREIMAGE), 100, OtherNode), paid(None));
    assert_eq!(said(no_route, 100, Same), failed(true));
    assert_eq!(said(no_route, 100, Forgetful), failed(false));
    assert_eq!(said(no_route, -100, Same), failed(false), "from before the attempt");

    // Of another amount: not ours, and yet it may be this invoice's money.
    let payment = in_doubt(OperatorReason::AnswerMismatch);
    let other = |state| Record {
        payment_hash: payment.payment_hash,
        amount: msat(1),
        created: at(100),
        state,
    };
    let mismatch = Word::Contradiction(OperatorReason::AnswerMismatch, Age::Since);
    for (state, says) in [
        (RecordState::InFlight, NodeSays::InFlight),
        (succeeded(PREIMAGE), paid(None)),
        (no_route, failed(false)),
    ] {
        assert_eq!(NodeSays::of(Some(&other(state)), mismatch, Same), says);
    }
}

/// What an operator has to confirm before a payment in doubt is closed as failed, by whoever answers and
/// what they say. Another node's ignorance was once taken for the word of the one that was asked.
#[test]
fn every_word_by_every_kind_of_node_demands_what_it_leaves_open() {
    use Trust::{Forgetful, OtherNode, Same};

    let (both, payee, none) = (Some((true, true)), Some((false, true)), Some((false, false)));
    let failed_word = |reason| Word::Failed(reason, Age::Since);
    let record = |state| {
        let payment = in_doubt(OperatorReason::Vanished);
        let (payment_hash, amount) = (payment.payment_hash, payment.amount);
        Record { payment_hash, amount, created: at(100), state }
    };
    let no_route = FailureReason::NoRoute;
    let refused = FailureReason::IncorrectPaymentDetails;
    let lost = Word::Contradiction(OperatorReason::ResultLost, Age::Since);
    let success = RecordState::Succeeded { preimage: PREIMAGE, fee: msat(3) };
    let proof = Word::Succeeded { preimage: PREIMAGE, fee: msat(3), age: Age::Since };
    // Demanded: that the node is gone, and that the payee was not paid. None: never closed so.
    let rows = [
        (None, Word::NotFound, [payee, both, payee]),
        (Some(RecordState::Failed(no_route)), failed_word(no_route), [none, both, payee]),
        (Some(RecordState::Failed(refused)), failed_word(refused), [payee, both, payee]),
        (Some(RecordState::ResultLost), lost, [payee, both, payee]),
        (Some(RecordState::InFlight), Word::InFlight(Age::Since), [None; 3]),
        (Some(success), proof, [None; 3]),
    ];
    let payment = in_doubt(OperatorReason::Vanished);
    let demanded = |said| {
        let confirmed = [(false, false), (true, false), (false, true), (true, true)];
        let closes = confirmed.into_iter().filter(|(node, payee)| {
            resolve(&payment, failed(*node, *payee), said, Pending::Over) == Ok(CLOSED)
        });
        // The least of those that suffice: every other one has more.
        closes.min_by_key(|(node, payee)| usize::from(*node) + usize::from(*payee))
    };
    for (state, word, expected) in rows {
        let record = state.map(record);
        for (trust, expected) in [Same, OtherNode, Forgetful].into_iter().zip(expected) {
            let said = NodeSays::of(record.as_ref(), word, trust);
            assert_eq!(demanded(said), expected, "{state:?} by {trust:?}");
        }
    }
    assert_eq!(demanded(NodeSays::Nothing), both, "a silent node");
}

const STRANDED: Outcome =
    Outcome::Failed { node_unreachable: false, payee_unpaid: true, stranded: true };

/// lnd issue 5152: in flight for ever, with no HTLC anywhere. The node is asked, not believed.
#[test]
fn what_the_node_calls_in_flight_for_ever_has_an_exit() {
    let moving = Payment { state: State::InFlight, ..in_doubt(OperatorReason::Vanished) };
    // The invoice expires at 3610; clocks may disagree by 5 s.
    let judge = |trust, stranding, now| {
        NodeSays::InFlight.stranded(&moving, (trust, stranding), (at(now), LIMITS.clock_skew))
    };
    let said = judge(Trust::Same, Stranding::NotHeld, 3616).unwrap();
    assert_eq!(said, NodeSays::Stranded);
    assert_eq!(resolve(&moving, STRANDED, said, Pending::Over), Ok(CLOSED));
    // Without the payee's word, or without being called stranded: not.
    let alone = Outcome::Failed { node_unreachable: true, payee_unpaid: false, stranded: true };
    assert!(resolve(&moving, alone, said, Pending::Over).is_err());
    let not_called_so = resolve(&moving, failed(true, true), said, Pending::Over);
    assert_eq!(not_called_so, Err(Unresolvable::NotInDoubt(State::InFlight)));
    // A send that may still arrive, or may be held, keeps it.
    for pending in [Pending::Until(at(4000)), Pending::Unsettled, Pending::Unwitnessed] {
        assert!(resolve(&moving, STRANDED, said, pending).is_err(), "{pending:?}");
    }
    // A payee may still be paid, a channel may hold it, another node knows nothing of our channels.
    let valid = Err(Unresolvable::InvoiceStillValid(at(3615)));
    assert_eq!(judge(Trust::Same, Stranding::NotHeld, 3615), valid);
    assert_eq!(judge(Trust::Same, Stranding::Held, 9000), Err(Unresolvable::HtlcHeld));
    for (trust, stranding) in
        [(Trust::OtherNode, Stranding::NotHeld), (Trust::Same, Stranding::NotAsked)]
    {
        let said = judge(trust, stranding, 9000).unwrap();
        let refused = resolve(&moving, STRANDED, said, Pending::Over);
        assert_eq!(refused, Err(Unresolvable::NodeSaysInFlight), "{trust:?}");
    }
    // What the node knows better stands: it is not closed because somebody called it stranded.
    let paid = NodeSays::Paid { fee: None };
    let still =
        paid.stranded(&moving, (Trust::Same, Stranding::NotHeld), (at(9000), LIMITS.clock_skew));
    assert_eq!(
        resolve(&moving, STRANDED, still.unwrap(), Pending::Over),
        Err(Unresolvable::NodeSaysPaid)
    );
}

#[test]
fn a_send_is_waited_for() {
    let pending = |payment: &Payment, now: i64, settled: bool, reopening: &Reopening| {
        let unanswered = payment.unanswered(None, reopening, LIFE, &LIMITS);
        let facts = PendingFacts { earlier: at(now), settled, unanswered, witnessed: true };
        payment.pending(&facts, &LIMITS)
    };
    let payment = in_doubt(OperatorReason::Vanished);
    // Deadline 115, skew 5, slack 60.
    assert_eq!(pending(&payment, 180, true, &REOPENING), Pending::Until(at(180)));
    assert_eq!(pending(&payment, 181, true, &REOPENING), Pending::Over);
    assert_eq!(pending(&payment, 181, false, &REOPENING), Pending::Unsettled);

    // A send that the database lost was committed before the doubt, at 300. It was never answered.
    let sends = Sends::default();
    let lost = Payment { sends, ..in_doubt(OperatorReason::KnownBeforeSend) };
    assert_eq!(pending(&lost, 380, true, &REOPENING), Pending::Until(at(380)));
    assert_eq!(pending(&lost, 381, true, &REOPENING), Pending::Over);
    let unanswered = lost.unanswered(None, &REOPENING, LIFE, &LIMITS);
    let facts = PendingFacts { earlier: at(381), settled: true, unanswered, witnessed: false };
    assert_eq!(lost.pending(&facts, &LIMITS), Pending::Unwitnessed);
    let patient = Reopening { node_refuses_late_sends: false, ..REOPENING };
    let until = pending(&lost, 3000, true, &patient);
    assert_eq!(until, Pending::Until(at(3610 + 65)), "such a node refuses expired invoices only");
}

fn operator() -> Actor {
    Actor::unnamed("alice", "a note")
}

/// The request opens, the event says who and why, and the payment is no witness any more.
#[test]
fn what_is_decided_is_written_with_its_name() {
    let by = operator();
    let payment = in_doubt(OperatorReason::Vanished);
    let said = NodeSays::NotFound;
    let closed = payment.clone().resolved(CLOSED, said, by, held(), &REOPENING, at(7200));
    let change = closed.change.unwrap();
    assert_eq!((change.event.kind, change.event.by), (EventKind::PaymentFailed, Some(operator())));
    assert_eq!(change.event.detail, Some("RESOLVED_BY_OPERATOR"));
    assert_eq!(change.next.unclaimable(at(7200)), None, "open, for a time of grace");
    assert_eq!(change.next.unclaimable(at(7800)), Some(Unclaimable::AlreadyExpired));
    assert_eq!((closed.known_at, closed.no_witness), (None, true));

    let next = Next::Pay { preimage: PREIMAGE, fee: msat(3) };
    for (said, witness) in [
        (NodeSays::NotFound, false),
        (NodeSays::Nothing, false),
        (NodeSays::Paid { fee: None }, false),
        (NodeSays::Paid { fee: Some(msat(3)) }, true),
    ] {
        let by = operator();
        let paid = payment.clone().resolved(next, said, by, held(), &REOPENING, at(7200));
        let event = paid.change.unwrap().event;
        assert_eq!((event.kind, event.detail), (EventKind::Paid, Some("RESOLVED_BY_OPERATOR")));
        assert_eq!((paid.known_at.is_some(), !paid.no_witness), (witness, witness), "{said:?}");
    }
}

#[test]
fn the_note_says_what_was_known_first() {
    let note = failed(true, true).note(NodeSays::Nothing, "node burnt; node said: PAID");
    assert_eq!(
        note,
        "resolved as: FAILED; node said: UNREACHABLE; confirmed: node unreachable, payee unpaid; \
         why: node burnt; node said: PAID"
    );
    let note = paid(None).note(NodeSays::NotFound, "x");
    assert!(note.contains("confirmed: preimage;") && !note.contains(&PREIMAGE.to_string()));
}

#[test]
fn every_bad_field_is_reported_at_once() {
    let fields = |draft: ResolutionDraft| -> Vec<Field> {
        draft.validate().unwrap_err().iter().map(|violation| violation.field).collect()
    };
    let id = String::new();
    let actor = |name: &str, reason: &str| ActorDraft {
        principal: Principal::Unnamed,
        name: name.to_owned(),
        reason: reason.to_owned(),
    };
    let outcome = Some(OutcomeDraft::Paid { preimage: "zz".into(), fee_msat: Some(-1) });
    let bad = ResolutionDraft { id, actor: actor("a\nb", ""), outcome };
    assert_eq!(
        fields(bad.clone()),
        [
            CommonField::Id.into(),
            InstanceField::Operator.into(),
            InstanceField::Reason.into(),
            PaymentField::PaidPreimage.into(),
            PaymentField::PaidFee.into()
        ]
    );
    let id = PaymentId::new(at(0), &[1; 10]).to_string();
    let good = ResolutionDraft { id, actor: actor("a", "b"), outcome: None };
    assert_eq!(fields(good.clone()), [PaymentField::Outcome.into()]);
    for preimage in ["", "07", &"07".repeat(33), &"0g".repeat(32)] {
        let outcome = Some(OutcomeDraft::Paid { preimage: preimage.into(), fee_msat: None });
        assert_eq!(
            fields(ResolutionDraft { outcome, ..good.clone() }),
            [PaymentField::PaidPreimage.into()]
        );
    }
    let outcome = Some(OutcomeDraft::Paid { preimage: "07".repeat(32), fee_msat: Some(i64::MAX) });
    assert_eq!(fields(ResolutionDraft { outcome, ..good.clone() }), [PaymentField::PaidFee.into()]);
    let outcome = Some(OutcomeDraft::Paid { preimage: "07".repeat(32), fee_msat: Some(0) });
    let valid = ResolutionDraft { outcome, ..good }.validate().unwrap();
    assert_eq!(valid.outcome, paid(Some(Msat::ZERO)));
}
