//! How far the node's word counts, and what an operator has to confirm beside it.

use super::*;

fn said(state: RecordState, age: i64, trust: Trust) -> NodeSays {
    let payment = in_doubt(OperatorReason::Vanished);
    let (payment_hash, amount) = (payment.payment_hash, payment.amount);
    let record = Record { payment_hash, amount, created: at(age), state };
    NodeSays::of(Some(&record), NodeReport::of(Some(&record), &payment, LIMITS.clock_skew), trust)
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

    assert_eq!(NodeSays::of(None, NodeReport::NotFound, Same), NodeSays::NotFound);
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
    let mismatch = NodeReport::Contradiction(OperatorReason::AnswerMismatch, Age::Since);
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
    let failed_word = |reason| NodeReport::Failed(reason, Age::Since);
    let record = |state| {
        let payment = in_doubt(OperatorReason::Vanished);
        let (payment_hash, amount) = (payment.payment_hash, payment.amount);
        Record { payment_hash, amount, created: at(100), state }
    };
    let no_route = FailureReason::NoRoute;
    let refused = FailureReason::IncorrectPaymentDetails;
    let lost = NodeReport::Contradiction(OperatorReason::ResultLost, Age::Since);
    let success = RecordState::Succeeded { preimage: PREIMAGE, fee: msat(3) };
    let proof = NodeReport::Succeeded { preimage: PREIMAGE, fee: msat(3), age: Age::Since };
    // Demanded: that the node is gone, and that the payee was not paid. None: never closed so.
    let rows = [
        (None, NodeReport::NotFound, [payee, both, payee]),
        (Some(RecordState::Failed(no_route)), failed_word(no_route), [none, both, payee]),
        (Some(RecordState::Failed(refused)), failed_word(refused), [payee, both, payee]),
        (Some(RecordState::ResultLost), lost, [payee, both, payee]),
        (Some(RecordState::InFlight), NodeReport::InFlight(Age::Since), [None; 3]),
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
