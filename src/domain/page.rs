//! Pages of a list. Filters on time become bounds on ids, since ids carry their creation time.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Status, Timestamp, Withdraw, WithdrawId};

/// Which requests a list shows. All conditions must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Only requests with this status.
    pub status: Option<Status>,
    /// Only requests that can, or cannot, be claimed now.
    pub claimable: Option<bool>,
    /// Only the one created with this request id.
    pub request_id: Option<String>,
    /// Inclusive.
    pub created_after: Option<Timestamp>,
    /// Exclusive.
    pub created_before: Option<Timestamp>,
}

/// Where a page starts: after this id, going back in time.
pub type Cursor = WithdrawId;

/// A list to read, newest first.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// The filter.
    pub filter: Filter,
    /// Start after this one.
    pub after: Option<Cursor>,
    /// The caller whose request ids the filter means.
    pub caller: &'static str,
    /// The maximum number of rows.
    pub limit: i64,
    /// The present, for `claimable`.
    pub now: Timestamp,
}

impl ListQuery {
    /// Whether a request matches, for lists that no index has narrowed.
    pub fn admits(&self, withdraw: &Withdraw) -> bool {
        let filter = &self.filter;
        let claimable = withdraw.unclaimable(self.now).is_none();
        withdraw.id >= self.lowest()
            && withdraw.id < self.bound()
            && filter.status.is_none_or(|status| status == withdraw.status)
            && filter.claimable.is_none_or(|wanted| wanted == claimable)
            && (filter.request_id.is_none() || filter.request_id == withdraw.request_id)
    }

    /// The least id of the list, inclusive.
    pub fn lowest(&self) -> WithdrawId {
        WithdrawId::first_at(self.filter.created_after.unwrap_or(Timestamp::MIN))
    }

    /// The upper bound of the list's ids, exclusive.
    pub fn bound(&self) -> WithdrawId {
        let newest = WithdrawId::from_uuid(Uuid::max());
        let before = self.filter.created_before.map_or(newest, WithdrawId::first_at);
        self.after.map_or(before, |after| after.min(before))
    }
}

/// Identifies a list and its conditions; contains no secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fingerprint([u8; 8]);

/// Continues a list. Opaque to callers, bound to its filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageToken {
    filter: Fingerprint,
    last: Uuid,
}

/// Why a page token cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidToken {
    /// Not a page token.
    #[error("must be a next_page_token of an earlier response")]
    Malformed,
    /// From a list with other conditions.
    #[error("belongs to a list with different conditions; repeat those of the first page")]
    OtherFilter,
}

impl PageToken {
    /// The token of the page after `last`.
    pub const fn new(filter: Fingerprint, last: Uuid) -> Self {
        Self { filter, last }
    }

    /// Parses a token of a list with this filter. Returns the id to continue after.
    pub fn parse(text: &str, filter: Fingerprint) -> Result<Uuid, InvalidToken> {
        let mut bytes = [0; 24];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidToken::Malformed)?;
        let (print, id) = bytes.split_at(8);
        if print != filter.0 {
            return Err(InvalidToken::OtherFilter);
        }
        Uuid::from_slice(id).map_err(|_| InvalidToken::Malformed)
    }
}

impl std::fmt::Display for PageToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", hex::encode(self.filter.0), self.last.simple())
    }
}

impl Fingerprint {
    /// The fingerprint of a list's name and all its conditions.
    pub fn of(conditions: &str) -> Self {
        let mut print = [0; 8];
        print.copy_from_slice(&Sha256::digest(conditions)[..8]);
        Self(print)
    }
}

impl Filter {
    /// What a page token is bound to.
    pub fn fingerprint(&self) -> Fingerprint {
        let Self { status, claimable, request_id, created_after, created_before } = self;
        Fingerprint::of(&format!(
            "withdraws|{:?}|{claimable:?}|{request_id:?}|{created_after:?}|{created_before:?}",
            status.map(Status::name),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_bound_to_their_filter() {
        let id = WithdrawId::new(Timestamp::from_ms(1_702_627_908_583), &[3; 10]).as_uuid();
        let filter = Filter { claimable: Some(true), ..Filter::default() };
        let filter = filter.fingerprint();
        let token = PageToken::new(filter, id).to_string();

        assert_eq!(PageToken::parse(&token, filter), Ok(id));
        let other = Filter::default().fingerprint();
        assert_eq!(PageToken::parse(&token, other), Err(InvalidToken::OtherFilter));
        for bad in ["", "zz", &token[1..], "é"] {
            assert_eq!(PageToken::parse(bad, filter), Err(InvalidToken::Malformed));
        }
    }
}
