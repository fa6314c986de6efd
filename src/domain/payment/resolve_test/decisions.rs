//! Which decisions pass, by what the node says and by what may still arrive.

use strum::VariantArray;

use super::*;

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
