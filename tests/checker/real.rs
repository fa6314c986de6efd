//! The real functions of `withdrawd::domain`, called as the payer and the claim service call them.
//!
//! They are pure, so each is called once per input, and its answer is cached. Where a canonical state drops a
//! value (see [`State::canonical`](super::state::State::canonical)), the function is called with every
//! possible one, and must decide the same each time.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use withdrawd::domain::{
    Change, FailureReason, OperatorReason, PaymentHash, Preimage, WithdrawView,
    payment::{
        Advance, Answer, LookupEvidence, Next, NodeReport, Pace, Payment, PaymentView, Pending,
        PendingFacts, Record as Told, RecordState, Sender, StreamEvidence, StreamReport, Trust,
        decide_on_lookup, decide_on_stream, next_lookup,
    },
};

use super::{
    hashing::Mixer,
    inputs::{AttemptRows, LookUpAnswer, LookUpFacts, Tampering, Written},
    rows::{LIMITS, MADE, NOW, REOPENING, Rows, SEND_LIFE, decided_at, fencing_token},
    state::{
        Attempt, Decision, Node, NodeState, Request, SendAnswer, SendRow, Stage, StreamAnswer,
    },
};

/// What an answer led to, and what is written of it.
type Applied = (Next, Option<Written>);
type Memo<K, V> = RefCell<HashMap<K, V, Mixer>>;

#[derive(Default)]
struct Memos {
    looks: Memo<(AttemptRows, LookUpFacts), Next>,
    follows: Memo<(AttemptRows, Decision), Written>,
    hears: Memo<(AttemptRows, u8, StreamAnswer, Tampering), Applied>,
    sends: Memo<(AttemptRows, u8), Attempt>,
    claims: Memo<(Request, Option<AttemptRows>, u8), Option<Request>>,
    deactivations: Memo<Request, Option<Request>>,
    ticks: Memo<Request, Option<Request>>,
    due: Memo<AttemptRows, bool>,
}

pub struct Real {
    rows: Rows,
    memos: Memos,
}

fn once<K: Hash + Eq + Copy, V: Copy>(memo: &Memo<K, V>, key: K, call: impl FnOnce() -> V) -> V {
    if let Some(known) = memo.borrow().get(&key) {
        return *known;
    }
    let value = call();
    memo.borrow_mut().insert(key, value);
    value
}

impl Real {
    pub fn new() -> Self {
        Self { rows: Rows::new(), memos: Memos::default() }
    }

    /// `Payer::look_up` and the first lines of `Payer::process`.
    pub fn look(&self, pair: AttemptRows, asked: LookUpFacts) -> Next {
        once(&self.memos.looks, (pair, asked), || {
            let next = self.look_once(pair, asked);
            for same in pair.indistinct() {
                assert_eq!(next, self.look_once(same, asked), "{same:?}: {asked:?}");
            }
            for found in pair.indistinct_ages(asked.found) {
                assert_eq!(next, self.look_once(pair, LookUpFacts { found, ..asked }), "{pair:?}");
            }
            next
        })
    }

    fn look_once(&self, pair: AttemptRows, asked: LookUpFacts) -> Next {
        let payment = self.payment(&pair);
        let withdraw = self.rows.withdraw(pair.request);
        let not_asked = asked.tampering == Tampering::NotAsked;
        let found =
            if not_asked { LookUpAnswer::Record(NodeState::NotFound, 0) } else { asked.found };
        let told = self.told(&payment, pair.attempt.invoice, found);
        let word = NodeReport::of(told.as_ref(), &payment, LIMITS.clock_skew);
        let pending = match self.pending(&pair, asked.tampering) {
            _ if not_asked => Pending::Over,
            _ if asked.early => Pending::Until(NOW),
            pending => pending,
        };
        let looked = LookupEvidence {
            report: word,
            pending,
            settled: true,
            too_late: payment.too_late(NOW),
            too_late_for_a_witness: asked.waited,
            halted: false,
            trust: match asked.node {
                Node::Other if asked.tampering == Tampering::OtherNodeIsBelieved => Trust::Same,
                Node::Other => Trust::OtherNode,
                // Only these two answers need a node with its memory.
                Node::Forgetful
                    if matches!(word, NodeReport::NotFound | NodeReport::Failed(..)) =>
                {
                    Trust::Forgetful
                }
                Node::Same | Node::Forgetful => Trust::Same,
            },
            node_dedupes: true,
            max_refusals: LIMITS.max_refusals,
        };
        match decide_on_lookup(&payment, &looked, payment.request_facts(&withdraw)) {
            Next::Note(why) if asked.tampering == Tampering::FirstFailureCloses => Next::Fail(why),
            next => next,
        }
    }

    /// `Payer::conclude`, up to the store.
    pub fn follow(&self, pair: AttemptRows, decision: Decision) -> Written {
        once(&self.memos.follows, (pair, decision), || {
            let payment = self.payment(&pair);
            let withdraw = self.rows.withdraw(pair.request);
            let next = self.next(decision, pair.attempt.invoice);
            self.written(&pair, &payment.follow(next, withdraw, &REOPENING, NOW))
        })
    }

    /// `Payer::interpret` and `Payer::try_write`, up to the store. None: there is nothing to write.
    pub fn hear(
        &self,
        pair: AttemptRows,
        n: u8,
        item: StreamAnswer,
        tampering: Tampering,
    ) -> Applied {
        once(&self.memos.hears, (pair, n, item, tampering), || {
            let heard = self.hear_once(pair, n, item, tampering);
            for same in pair.indistinct() {
                assert_eq!(heard.0, self.hear_once(same, n, item, tampering).0, "{same:?}");
            }
            heard
        })
    }

    fn hear_once(
        &self,
        pair: AttemptRows,
        n: u8,
        item: StreamAnswer,
        tampering: Tampering,
    ) -> Applied {
        let before = self.payment(&pair);
        let withdraw = self.rows.withdraw(pair.request);
        let record = |found| {
            let told = self.told(&before, pair.attempt.invoice, found);
            StreamReport::NodeReport(NodeReport::of(told.as_ref(), &before, LIMITS.clock_skew))
        };
        let last = |node_state| (Some(Answer::Final), record(LookUpAnswer::Record(node_state, 2)));
        let (answer, says) = match item {
            StreamAnswer::InFlight => {
                (Some(Answer::Stored), record(LookUpAnswer::Record(NodeState::InFlight, 2)))
            }
            StreamAnswer::Succeeded => last(NodeState::Succeeded),
            StreamAnswer::Failed => last(NodeState::Failed),
            StreamAnswer::Refused => last(NodeState::Refused),
            StreamAnswer::WrongProof => (Some(Answer::Final), record(LookUpAnswer::WrongProof(2))),
            StreamAnswer::Exists => (Some(Answer::AlreadyExists), StreamReport::AlreadyExists),
            StreamAnswer::NodeRefuses => (Some(Answer::Refused), StreamReport::Nothing),
            StreamAnswer::Error => (None, StreamReport::Nothing),
        };
        let number = i64::from(n) + 1;
        let payment = match answer {
            Some(answer) => before.clone().answered(number, fencing_token(number), answer),
            None => before.clone(),
        };
        let followed = pair.attempt.stage.is_followed();
        let settled = tampering != Tampering::ClocksDisagree;
        let on = StreamEvidence { report: says, settled, carried_over: false };
        let next = match decide_on_stream(&payment, &on, payment.request_facts(&withdraw)) {
            Next::Note(why) if tampering == Tampering::FirstFailureCloses => Next::Fail(why),
            _ if tampering == Tampering::TimeoutIsFailure
                && item == StreamAnswer::Error
                && followed =>
            {
                Next::Fail(FailureReason::Timeout)
            }
            next => next,
        };
        if next == Next::Stay && payment == before {
            return (next, None);
        }
        let advance = payment.follow(next, withdraw, &REOPENING, NOW);
        (next, Some(self.written(&pair, &advance)))
    }

    /// `Payer::commit_send`, up to the store. The clocks were read so long ago that the send is of
    /// this age already.
    pub fn send(&self, pair: AttemptRows, age: u8) -> Attempt {
        once(&self.memos.sends, (pair, age), || {
            let payment = self.payment(&pair);
            let withdraw = self.rows.withdraw(pair.request);
            let now = decided_at(age);
            let deadline = REOPENING.send_deadline(&payment, now, SEND_LIFE);
            let number = payment.sends.next_number();
            let node = self.rows.node.clone();
            let by = Sender { fencing_token: fencing_token(number), node, at: now, begun_at: now };
            let advance = payment.send(&withdraw, by, deadline);
            let row = advance.new_send.as_ref().expect("a send to commit");
            assert_eq!(number, i64::from(pair.attempt.count) + 1, "sends are numbered in order");
            assert_eq!((row.number, row.fencing_token), (number, fencing_token(number)));
            assert_eq!(advance.send_on_version, Some(withdraw.version));
            self.written(&pair, &advance).attempt
        })
    }

    /// `ClaimService::decide`, up to the store. None: refused.
    pub fn claim(
        &self,
        request: Request,
        last: Option<AttemptRows>,
        a: u8,
        invoice: u8,
    ) -> Option<Request> {
        once(&self.memos.claims, (request, last, 2 * a + invoice), || {
            let withdraw = self.rows.withdraw(request);
            let payment = last.map(|last| shown(self.payment(&last)));
            let presented = &self.rows.presented[usize::from(invoice)];
            let view = WithdrawView { withdraw, payment };
            let claim = presented.claim(
                view,
                &self.rows.rules,
                &self.rows.instance_status(),
                self.rows.id(a),
                NOW,
            );
            let claim = claim.ok()?;
            assert!(claim.payment.sends.is_empty() && claim.payment.state.is_open());
            let next = self.changed(&claim.change, request);
            // A COMMIT whose answer was lost: the wallet is told OK when it is read back.
            let again =
                WithdrawView { withdraw: claim.change.next, payment: Some(shown(claim.payment)) };
            assert!(presented.is_repeat(&again), "an accepted claim is told OK again");
            Some(next)
        })
    }

    /// `WithdrawService::try_deactivate`, up to the store.
    pub fn deactivate(&self, request: Request) -> Option<Request> {
        once(&self.memos.deactivations, request, || {
            let change = self.rows.withdraw(request).deactivate(NOW).ok()??;
            Some(self.changed(&change, request))
        })
    }

    /// The expiry job.
    pub fn tick(&self, request: Request) -> Option<Request> {
        once(&self.memos.ticks, request, || {
            let change = self.rows.withdraw(request).refresh_claimable(NOW)?;
            Some(self.changed(&change, request))
        })
    }

    /// Whether any payer will ever look at this attempt (again).
    pub fn is_due(&self, pair: AttemptRows) -> bool {
        once(&self.memos.due, pair, || {
            next_lookup(&self.payment(&pair), 0, NOW, 0, &Pace::default(), &LIMITS).is_some()
        })
    }

    /// Whether every send is over, as an operator is asked to wait for.
    pub fn all_over(&self, pair: AttemptRows) -> bool {
        self.pending(&pair, Tampering::No) == Pending::Over
    }

    /// `PaymentLookup::begin`: whether a send can still take effect.
    fn pending(&self, pair: &AttemptRows, tampering: Tampering) -> Pending {
        let payment = self.payment(pair);
        let sends = &pair.attempt.sends[..usize::from(pair.attempt.count)];
        let unanswered = |send: &&SendRow| send.answer == SendAnswer::Not;
        let witnessed = sends.iter().filter(unanswered).all(|send| send.witnessed)
            || tampering == Tampering::ClockEndsAll;
        let unanswered = payment.unanswered(None, &REOPENING, SEND_LIFE, &LIMITS);
        let facts = PendingFacts { earlier: NOW, settled: true, unanswered, witnessed };
        payment.pending(&facts, &LIMITS)
    }

    /// The table's decisions, by the state of the attempt. A search that never reached some of the table's
    /// rows is incomplete.
    pub fn decisions(&self) -> BTreeSet<(Stage, Decision)> {
        let looks = self.memos.looks.borrow();
        let looks = looks.iter().map(|((pair, _), next)| (pair.attempt.stage, *next));
        let hears = self.memos.hears.borrow();
        let hears = hears.iter().map(|((pair, ..), (next, _))| (pair.attempt.stage, *next));
        looks.chain(hears).filter_map(|(stage, next)| Some((stage, decision_of(next)?))).collect()
    }

    fn payment(&self, pair: &AttemptRows) -> Payment {
        self.rows.payment(pair.a, &pair.attempt)
    }

    fn told(&self, payment: &Payment, invoice: u8, found: LookUpAnswer) -> Option<Told> {
        let (node_state, age) = match found {
            LookUpAnswer::Record(node_state, age) => (node_state, age),
            LookUpAnswer::WrongProof(age) | LookUpAnswer::AnotherPayment(age) => {
                (NodeState::Succeeded, age)
            }
        };
        let preimage = match found {
            LookUpAnswer::WrongProof(_) => Preimage::from_bytes([0; 32]),
            LookUpAnswer::Record(..) | LookUpAnswer::AnotherPayment(_) => {
                self.rows.preimage(invoice)
            }
        };
        let state = match node_state {
            NodeState::NotFound | NodeState::Ghost => return None,
            NodeState::InFlight => RecordState::InFlight,
            NodeState::Succeeded => RecordState::Succeeded { preimage, fee: self.rows.fee() },
            NodeState::Failed => RecordState::Failed(FailureReason::NoRoute),
            NodeState::Refused => RecordState::Failed(FailureReason::IncorrectPaymentDetails),
        };
        let payment_hash = match found {
            LookUpAnswer::AnotherPayment(_) => PaymentHash::from_bytes([5; 32]),
            LookUpAnswer::Record(..) | LookUpAnswer::WrongProof(_) => payment.payment_hash,
        };
        let past = LIMITS.clock_skew.plus(LIMITS.clock_skew);
        let created = match age {
            0 => MADE.minus(past),
            1 => payment.id.created().minus(past),
            _ => payment.id.created(),
        };
        Some(Told { payment_hash, amount: payment.amount, created, state })
    }

    fn next(&self, decision: Decision, invoice: u8) -> Next {
        let (preimage, fee) = (self.rows.preimage(invoice), self.rows.fee());
        match decision {
            Decision::Send => Next::Send,
            Decision::Note => Next::Note(FailureReason::NoRoute),
            Decision::InFlight => Next::InFlight,
            Decision::Pay => Next::Pay { preimage, fee },
            Decision::Fail => Next::Fail(FailureReason::NoRoute),
            Decision::Doubt => Next::Doubt(OperatorReason::Vanished),
            Decision::LateSuccess => Next::LateSuccess { preimage, fee },
        }
    }

    fn written(&self, pair: &AttemptRows, advance: &Advance) -> Written {
        assert_eq!(advance.payment.version, 2, "a step raises the version by one");
        let request = advance.change.as_ref().map(|change| self.changed(change, pair.request));
        Written { attempt: Rows::read_payment(&advance.payment, &pair.attempt), request }
    }

    fn changed(&self, change: &Change, before: Request) -> Request {
        assert_eq!(change.next.version, 2, "a change raises the version by one");
        assert_eq!(change.event.version, 2, "its event has the same");
        self.rows.read_withdraw(&change.next, before)
    }
}

/// What a lookup led to, without its reasons; none for nothing.
pub fn decision_of(next: Next) -> Option<Decision> {
    Some(match next {
        // A witness may come at any time, whoever asked for it.
        Next::Stay | Next::Witness => return None,
        Next::Send => Decision::Send,
        Next::Note(_) => Decision::Note,
        Next::InFlight => Decision::InFlight,
        Next::Pay { .. } => Decision::Pay,
        Next::Fail(_) => Decision::Fail,
        Next::Doubt(_) => Decision::Doubt,
        Next::LateSuccess { .. } => Decision::LateSuccess,
    })
}

fn shown(payment: Payment) -> PaymentView {
    PaymentView {
        id: payment.id,
        withdraw: payment.withdraw,
        invoice: payment.invoice,
        payment_hash: payment.payment_hash,
        amount: payment.amount,
        fee_limit: payment.fee_limit,
        state: payment.state,
    }
}
