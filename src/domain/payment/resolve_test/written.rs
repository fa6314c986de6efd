//! What a decision writes, and which drafts are refused.

use super::*;
use crate::domain::{ActorDraft, CommonField, Field, InstanceField, PaymentField, Principal};

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
    assert_eq!((closed.known_at, closed.unknown_to_node), (None, true));

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
        assert_eq!(
            (paid.known_at.is_some(), !paid.unknown_to_node),
            (witness, witness),
            "{said:?}"
        );
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
