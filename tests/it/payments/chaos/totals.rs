//! What all rounds together did, and that it was worth doing.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use super::{
    checks::is_write_witness, offers::Offer, plan::Victim, records::Records, round::Round,
};

#[derive(Debug, Default)]
pub struct Totals {
    rounds: usize,
    requests: usize,
    accepted: usize,
    paid: usize,
    failed: usize,
    in_doubt: usize,
    /// In flight for ever, since lnd lost them.
    stranded: usize,
    /// Rounds that ended with a channel that is of no use any more.
    wedged: usize,
    sends: i64,
    repeats: i64,
    /// Payments that were made only to see whether lnd stores.
    witnesses: usize,
    kills: BTreeMap<Victim, usize>,
    /// Why attempts failed, or are in doubt.
    reasons: BTreeMap<String, usize>,
}

impl Totals {
    pub fn add(&mut self, round: &Round, records: &Records) {
        self.rounds += 1;
        self.requests += round.offers.len();
        self.wedged += usize::from(records.wedged);
        self.witnesses +=
            records.payer.values().filter(|payment| is_write_witness(payment)).count();
        for kill in &round.plan.kills {
            *self.kills.entry(kill.victim).or_default() += 1;
        }
        for attempt in round.offers.iter().flat_map(Offer::invoices) {
            let Some(attempt) = records.attempts.get(attempt.hash()) else { continue };
            self.accepted += 1;
            self.sends += attempt.sends;
            self.repeats += (attempt.sends - 1).max(0);
            match attempt.state.as_str() {
                "PAID" => self.paid += 1,
                "FAILED" => self.failed += 1,
                "IN_FLIGHT" => self.stranded += 1,
                _ => self.in_doubt += 1,
            }
            if let Some(reason) = &attempt.reason {
                *self.reasons.entry(reason.clone()).or_default() += 1;
            }
        }
    }

    /// Rounds in which nothing is killed, or nothing is paid, prove nothing.
    pub fn assert_meaningful(&self) {
        for victim in [Victim::Service, Victim::Payer, Victim::Payee, Victim::Postgres] {
            assert!(self.kills.contains_key(&victim), "no kill of {victim:?}: {self}");
        }
        assert!(self.failed > 0 && self.paid > self.requests / 2, "{self}");
    }
}

impl Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rounds,
            requests,
            accepted,
            paid,
            failed,
            in_doubt,
            stranded,
            wedged,
            sends,
            repeats,
            witnesses,
            ..
        } = self;
        write!(
            f,
            "{rounds} rounds, kills {:?}, {requests} requests, {accepted} claims accepted, \
             {paid} paid, {failed} failed, {in_doubt} in doubt, {stranded} stranded at lnd \
             ({wedged} channels wedged), {sends} sends ({repeats} repeats), {witnesses} witnesses, \
             reasons {:?}",
            self.kills, self.reasons
        )
    }
}
