//! Wallets, callers, operators, and the passing of time.

use super::{
    faults::{Fault, Mutation},
    state::{
        Decision, FOREIGN, NodeState, OVER, PaidBy, Phase, REFUSED, Request, RequestHold, Stage,
        State,
    },
    steps::Steps,
};

impl Steps<'_> {
    pub fn wallets_and_people(&mut self) {
        let s = self.from;
        match (s.attempts[0].stage, s.attempts[1].stage) {
            (Stage::Unclaimed, _) => self.claim("a wallet claims with A", 0, 0),
            (_, Stage::Unclaimed) => {
                self.claim("a wallet claims with B", 1, 1);
                if self.setting.does(Mutation::HashNotUnique) {
                    self.claim("a wallet claims with A's invoice again", 1, 0);
                }
            }
            _ => {}
        }
        if let Some(request) = self.real.deactivate(self.claimed_from()) {
            self.add("the request is deactivated", (0, 0), s.write_request(request));
        }
        if let Some(request) = self.real.tick(s.request) {
            self.add("the expiry job marks the request", (0, 0), s.write_request(request));
        }
        for a in 0..2 {
            self.operator(a);
        }
        if self.setting.has(Fault::Restore) && s.budget.restores > 0 {
            self.restore();
        }
    }

    /// The request as a claim and a deactivation see it.
    fn claimed_from(&self) -> Request {
        let mut request = self.from.request;
        if self.setting.does(Mutation::DoubtIsNotOpen) && request.held == RequestHold::InDoubt {
            request.held = RequestHold::Released;
        }
        request
    }

    fn claim(&mut self, what: &'static str, a: u8, invoice: u8) {
        let request = self.claimed_from();
        let last = (a == 1 && invoice == 1).then(|| self.pair(0));
        let Some(mut claimed) = self.real.claim(request, last, a, invoice) else {
            return;
        };
        claimed.claimed_late = a == 1 && request.phase == Phase::Grace;
        let mut to = self.from.write_request(claimed);
        let attempt = &mut to.attempts[usize::from(a)];
        (attempt.stage, attempt.invoice) = (Stage::Reserved, invoice);
        if self.setting.does(Mutation::HashNotUnique) && invoice != a {
            to.records[0].age = to.records[0].age.min(1);
        }
        self.add(what, (a, 0), to);
    }

    /// As the decision table allows: every send is over, the node says neither in flight nor succeeded, and
    /// where it knows nothing, the payee was asked as well.
    fn operator(&mut self, a: u8) {
        let s = self.from;
        let record = s.record_of(a);
        let unpaid = !record.node_state.is_moving() && record.node_state != NodeState::Succeeded;
        if s.attempts[usize::from(a)].stage.is_in_doubt()
            && unpaid
            && record.paid == PaidBy::ByNobody
            && self.real.all_over(self.pair(a))
        {
            let to = s.write(a, self.real.follow(self.pair(a), Decision::Fail));
            self.add("an operator resolves {a} as failed", (a, 0), to);
        }
    }

    /// Back to the moment after the first claim. What was sent is over: a restore takes its time.
    fn restore(&mut self) {
        let mut to = self.from;
        let first = to.attempts[0];
        let pending = first.sends.iter().any(|send| send.may_arrive());
        let lost = first.count > 0 && to.attempts[1].stage == Stage::Unclaimed && !pending;
        if !lost {
            return;
        }
        let fresh = State::new(to.budget);
        to.attempts[0] = super::state::Attempt { stage: Stage::Reserved, ..fresh.attempts[0] };
        let phase = to.request.phase;
        to.request = Request { held: RequestHold::Open, phase, claimable: false, ..fresh.request };
        to.workers = fresh.workers;
        to.budget.restores -= 1;
        self.fault("the database is restored to the time before A's first send", (0, 0), to);
    }

    pub fn time(&mut self) {
        let s = self.from;
        if self.setting.has(Fault::Expiry) {
            let (what, phase) = match s.request.phase {
                Phase::Fresh => ("the request expires", Phase::Over),
                Phase::Prolonged => ("the request expires, in its grace", Phase::Grace),
                Phase::Grace => ("the request's grace runs out", Phase::Over),
                Phase::Over => ("", Phase::Over),
            };
            if phase != s.request.phase {
                let mut to = s;
                to.request.phase = phase;
                self.add(what, (0, 0), to);
            }
        }
        for a in 0..2 {
            let attempt = s.attempts[usize::from(a)];
            if attempt.stage.is_followed() && !attempt.too_late {
                let mut to = s;
                to.attempts[usize::from(a)].too_late = true;
                self.add("send_until of {a} passes", (a, 0), to);
            }
            for n in 0..3 {
                self.deadline(a, n);
            }
        }
    }

    fn deadline(&mut self, a: u8, n: u8) {
        let (i, m) = (usize::from(a), usize::from(n));
        let attempt = self.from.attempts[i];
        let send = attempt.sends[m];
        let exists = n < attempt.count || send.on_its_way || send.accepted;
        // Committed later, it is over later.
        let in_order = self.oldest_before(a, n) > send.age;
        // What was checked is stored by then, unless the database takes no writes.
        let stalls = self.setting.has(Fault::Stall) || self.setting.has(Fault::SlowerThanSlack);
        let stored = !send.accepted || send.age < REFUSED || stalls;
        if send.age < OVER && exists && in_order && stored {
            let mut to = self.from;
            to.attempts[i].sends[m].age += 1;
            let what = if send.age == 0 {
                "the node's clock passes the deadline of {a}'s send {n}"
            } else {
                "deadline, skew and slack of {a}'s send {n} have passed"
            };
            self.add(what, (a, n), to);
        }
    }

    /// The age of the youngest send that was committed before this one; one more than any for none.
    pub fn oldest_before(&self, a: u8, n: u8) -> u8 {
        let attempts = &self.from.attempts;
        let own = attempts[usize::from(a)].sends[..usize::from(n)].iter();
        let others = if a == 0 { 0 } else { usize::from(attempts[0].count) };
        let others = attempts[0].sends[..others].iter();
        own.chain(others).map(|send| send.age).min().unwrap_or(OVER + 1)
    }

    /// Other software pays the first invoice with the same node.
    pub fn foreign(&mut self) {
        let s = self.from;
        if s.budget.foreign == 0
            || matches!(s.records[0].node_state, NodeState::InFlight | NodeState::Succeeded)
        {
            return;
        }
        let ages = if s.attempts[0].stage == Stage::Unclaimed { 0..=1 } else { 2..=2 };
        for age in ages {
            let mut to = s;
            to.budget.foreign -= 1;
            let record = &mut to.records[0];
            (record.node_state, record.owner, record.age) = (NodeState::InFlight, FOREIGN, age);
            let what = match age {
                0 => "other software pays A, before the request exists",
                1 => "other software pays A, before the claim",
                _ => "other software pays A",
            };
            self.fault(what, (0, 0), to);
        }
    }
}
