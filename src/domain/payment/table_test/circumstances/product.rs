//! The product of all circumstances that the table looks at.

use strum::VariantArray;

use super::*;

pub const NOTED: FailureReason = FailureReason::Canceled;
const BOTH: [bool; 2] = [false, true];

/// All of them: what a state does not look at is varied as well, a little.
pub fn all() -> Vec<Circumstance> {
    let mut all = Vec::new();
    for (from, state, answers) in attempts() {
        for noted in BOTH {
            let noted = noted.then_some(NOTED);
            let payment = Payment { noted, ..sent(state, &answers) };
            for beside in other_facts(from) {
                for source in sources(from, !answers.is_empty()) {
                    all.push(Circumstance {
                        state: from,
                        payment: payment.clone(),
                        beside,
                        source,
                    });
                }
            }
        }
    }
    all
}

fn attempts() -> Vec<(AttemptState, State, Vec<Option<Answer>>)> {
    let few = || answers_up_to(1).into_iter().chain([vec![None, None]]);
    let mut all = vec![(AttemptState::Reserved, State::Reserved, Vec::new())];
    let was_sent = |answers: &Vec<Option<Answer>>| !answers.is_empty();
    let sending = answers_up_to(3).into_iter().filter(was_sent);
    all.extend(sending.map(|answers| (AttemptState::Sending, State::Sending, answers)));
    let in_flight = answers_up_to(2).into_iter().filter(was_sent);
    all.extend(in_flight.map(|answers| (AttemptState::InFlight, State::InFlight, answers)));
    all.extend(few().map(|answers| (AttemptState::Paid, paid(), answers)));
    for mark in [None, Some(late())] {
        all.extend(few().map(|answers| (AttemptState::Failed, failed(mark), answers)));
    }
    for reason in OperatorReason::VARIANTS.iter().copied() {
        all.extend(few().map(|answers| (AttemptState::NeedsOperator, in_doubt(reason), answers)));
    }
    all
}

fn other_facts(from: AttemptState) -> Vec<RequestFacts> {
    let all = BOTH.into_iter().flat_map(|active| {
        BOTH.into_iter().flat_map(move |open_or_paid| {
            BOTH.map(|paid_late| RequestFacts { active, open_or_paid, paid_late })
        })
    });
    // Only a closed attempt asks for the first two, only one that may be sent for the third.
    let sendable = matches!(from, AttemptState::Reserved | AttemptState::Sending);
    let asked = |beside: &RequestFacts| {
        (from == AttemptState::Failed || beside.active && !beside.open_or_paid)
            && (sendable || !beside.paid_late)
    };
    all.filter(asked).collect()
}

fn sources(from: AttemptState, was_sent: bool) -> Vec<Source> {
    let mut all = Vec::new();
    for word in words() {
        all.extend(lookups(from, word).into_iter().map(Source::LookUp));
    }
    // A stream belongs to a send, and a status on it is about some payment.
    if was_sent {
        let on_stream = words().into_iter().filter(|word| *word != NodeReport::NotFound);
        let heard = on_stream
            .map(StreamReport::NodeReport)
            .chain([StreamReport::AlreadyExists, StreamReport::Nothing]);
        for heard in heard {
            for (settled, carried_over) in [(true, false), (false, false), (true, true)] {
                all.push(Source::Stream(StreamEvidence { report: heard, settled, carried_over }));
            }
        }
    }
    all
}

/// A lookup with this word, in all circumstances that the state may ask for.
fn lookups(from: AttemptState, word: NodeReport) -> Vec<LookupEvidence> {
    let mut all = Vec::new();
    for trust in [Trust::OtherNode, Trust::Forgetful] {
        for (settled, too_late) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
            all.push(LookupEvidence { settled, too_late, trust, ..look(word) });
        }
    }
    let until = Pending::Until(at(10_000));
    let pendings = [
        (Pending::Over, true),
        (Pending::Over, false),
        (until, true),
        (until, false),
        (Pending::Unsettled, false),
        (Pending::Unwitnessed, true),
        (Pending::Unwitnessed, false),
    ];
    let tells_nothing = matches!(word, NodeReport::NotFound | NodeReport::Failed(..));
    let sends = tells_nothing && matches!(from, AttemptState::Reserved | AttemptState::Sending);
    for (pending, settled) in pendings {
        for (too_late, too_late_for_a_witness) in
            BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b)))
        {
            for (halted, node_dedupes) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
                // Only who may send asks for these.
                if sends || !halted && node_dedupes {
                    all.push(LookupEvidence {
                        pending,
                        settled,
                        too_late,
                        too_late_for_a_witness,
                        halted,
                        node_dedupes,
                        ..look(word)
                    });
                }
            }
        }
    }
    all
}

fn words() -> Vec<NodeReport> {
    use FailureReason::{InsufficientBalance, NodeError, Timeout};
    let more =
        [Timeout, InsufficientBalance, NodeError].map(|why| NodeReport::Failed(why, Age::Since));
    all_words().into_iter().chain(more).collect()
}
