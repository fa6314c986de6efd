//! What all rounds together did, and that it was worth doing.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
};

use super::{books::Books, offers::Offer, plan::Victim, round::Round, truth::is_write_witness};

#[derive(Debug, Default)]
pub struct Tally {
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

impl Tally {
    pub fn add(&mut self, round: &Round, books: &Books) {
        self.rounds += 1;
        self.requests += round.offers.len();
        self.wedged += usize::from(books.wedged);
        self.witnesses += books.payer.values().filter(|payment| is_write_witness(payment)).count();
        for kill in &round.plan.kills {
            *self.kills.entry(kill.victim).or_default() += 1;
        }
        for attempt in round.offers.iter().flat_map(Offer::bills) {
            let Some(attempt) = books.attempts.get(attempt.hash()) else { continue };
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
    pub fn assert_worth_it(&self) {
        for victim in [Victim::Service, Victim::Payer, Victim::Payee, Victim::Postgres] {
            assert!(self.kills.contains_key(&victim), "no kill of {victim:?}: {self}");
        }
        assert!(self.failed > 0 && self.paid > self.requests / 2, "{self}");
    }
}

impl Display for Tally {
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
