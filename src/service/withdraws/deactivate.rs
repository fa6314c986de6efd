//! Deactivates a withdraw request.

use super::{Shown, WithdrawError, WithdrawService, read_id};
use crate::{
    domain::{Principal, WithdrawView},
    ports::StoreError,
    service::failure::finished,
    trace,
};

/// How often to try. Only claims, payments and other deactivations change the row; they cannot do so this
/// often.
const TRIES: usize = 10;

impl WithdrawService {
    /// Deactivates an ACTIVE request; a repeat returns the same. If a claim comes at the same moment,
    /// exactly one of them wins: the database decides by the version.
    pub async fn deactivate(&self, _: Principal, id: &str) -> Result<Shown, WithdrawError> {
        let id = read_id(id)?;
        let service = self.clone();
        let work = async move {
            for tries in 0..TRIES {
                let view = service.store.withdraw(id).await?.ok_or(WithdrawError::NotFound)?;
                if tries == 0 {
                    trace::link_create(&view.withdraw);
                }
                if let Some(shown) = service.try_deactivate(view).await? {
                    return Ok(shown);
                }
            }
            Err(StoreError::Stale.into())
        };
        finished(self.runtime.detached(work)).await
    }

    /// None if the row changed, or may have changed: then it is read again.
    async fn try_deactivate(&self, view: WithdrawView) -> Result<Option<Shown>, WithdrawError> {
        let now = self.runtime.clock.now();
        let WithdrawView { withdraw, payment } = view;
        let Some(change) =
            withdraw.clone().deactivate(now).map_err(WithdrawError::NotDeactivatable)?
        else {
            return match self.store.confirm_version(withdraw.id, withdraw.version).await {
                Ok(()) => Ok(Some(self.show(WithdrawView { withdraw, payment }))),
                Err(StoreError::Stale | StoreError::Unknown(_)) => Ok(None),
                Err(error) => Err(error.into()),
            };
        };
        match self.store.change(std::slice::from_ref(&change)).await {
            Ok(written) if written == [true] => {
                Ok(Some(self.show(WithdrawView { withdraw: change.next, payment })))
            }
            Ok(_) | Err(StoreError::Unknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
