//! Creates withdraw requests: one or a batch, all or none. Repeats are safe by request id.

use std::collections::HashSet;

use super::{Shown, WithdrawError, WithdrawService};
use crate::{
    domain::{
        Draft, Principal, Quote, Rate, Violation, Withdraw, WithdrawField, WithdrawId,
        WithdrawView, is_request_id,
    },
    ports::{BoxError, CreateOutcome, StoreError},
    service::{Failure, failure::finished},
    trace,
};

const MAX_BATCH: usize = 1000;

impl WithdrawService {
    /// Creates one. Runs to its end even if the caller goes away.
    pub async fn create(&self, principal: Principal, draft: Draft) -> Result<Shown, WithdrawError> {
        let quote = self.quote(draft).map_err(WithdrawError::Invalid)?;
        let mut shown = self.create_quoted(principal, vec![quote]).await?;
        // `create_quoted` returns one entry per quote, so this cannot be None.
        shown.pop().ok_or(Failure::Stopping.into())
    }

    /// Creates 1 to 1,000, all or none, and returns them in their order.
    pub async fn create_batch(
        &self,
        principal: Principal,
        drafts: impl ExactSizeIterator<Item = Draft>,
    ) -> Result<Vec<Shown>, WithdrawError> {
        if drafts.len() == 0 || drafts.len() > MAX_BATCH {
            let rule = format!("must have 1 to {MAX_BATCH} entries");
            return Err(WithdrawError::Invalid(vec![Violation::new(
                WithdrawField::Requests,
                rule,
            )]));
        }
        let quotes = self.quote_all(drafts).map_err(WithdrawError::Invalid)?;
        self.create_quoted(principal, quotes).await
    }

    /// The terms of a draft, or every rule that it breaks.
    fn quote(&self, draft: Draft) -> Result<Quote, Vec<Violation>> {
        draft.quote(Rate::PAR, self.max_amount)
    }

    /// All violations of all entries at once, repeated request ids included.
    fn quote_all(
        &self,
        drafts: impl ExactSizeIterator<Item = Draft>,
    ) -> Result<Vec<Quote>, Vec<Violation>> {
        let mut violations = Vec::new();
        let mut seen = HashSet::new();
        let mut quotes = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.enumerate() {
            let request_id = draft.request_id.clone();
            if is_request_id(&request_id) && !seen.insert(request_id) {
                let rule = "must not be used by an earlier entry of the same batch";
                let violation = Violation::new(WithdrawField::RequestId, rule);
                violations.push(violation.of_entry(index));
            }
            match self.quote(draft) {
                Ok(quote) => quotes.push(quote),
                Err(broken) => {
                    violations
                        .extend(broken.into_iter().map(|violation| violation.of_entry(index)));
                }
            }
        }
        if violations.is_empty() { Ok(quotes) } else { Err(violations) }
    }

    async fn create_quoted(
        &self,
        principal: Principal,
        quotes: Vec<Quote>,
    ) -> Result<Vec<Shown>, WithdrawError> {
        let service = self.clone();
        let work = async move { service.write(principal, quotes).await };
        finished(self.runtime.detached(work)).await
    }

    async fn write(
        &self,
        principal: Principal,
        quotes: Vec<Quote>,
    ) -> Result<Vec<Shown>, WithdrawError> {
        let now = self.runtime.clock.now();
        let trace_parent = trace::current();
        let new: Vec<Withdraw> = quotes
            .into_iter()
            .map(|quote| {
                let id = WithdrawId::new(now, &self.runtime.id_bits());
                let secret = self.keyring.new_secret(id);
                let key = self.keyring.current().clone();
                let (request_id, terms) = quote.into_terms();
                let new = Withdraw::new(id, request_id, terms, key, secret.hash());
                Withdraw { trace_parent, caller: principal.caller().to_owned(), ..new }
            })
            .collect();
        if let [only] = new.as_slice() {
            trace::about(only.id);
        }
        let outcomes = match self.store.create(&new).await {
            Err(StoreError::Unknown(error)) => return self.read_back(new, error).await,
            outcomes => outcomes?,
        };
        if let Some(index) = outcomes.iter().position(|o| *o == CreateOutcome::Conflict) {
            return Err(WithdrawError::RequestIdConflict { index });
        }
        let views = new.into_iter().zip(outcomes).map(|(withdraw, outcome)| match outcome {
            CreateOutcome::Replayed(view) => *view,
            CreateOutcome::Created | CreateOutcome::Conflict => {
                WithdrawView { withdraw, payment: None }
            }
        });
        Ok(views.map(|view| self.show(view)).collect())
    }

    /// The answer to COMMIT was lost: what the database has now is the answer, if all of it is there.
    async fn read_back(
        &self,
        new: Vec<Withdraw>,
        lost: BoxError,
    ) -> Result<Vec<Shown>, WithdrawError> {
        let mut shown = Vec::with_capacity(new.len());
        for withdraw in new {
            match self.store.withdraw(withdraw.id).await? {
                Some(view) => shown.push(self.show(view)),
                // It was not written, is not written yet, or the call was a replay. The caller must repeat
                // it, which the request id makes safe. If the row still appears, nobody has its LNURL.
                None => return Err(StoreError::Unknown(lost).into()),
            }
        }
        Ok(shown)
    }
}
