//! Converts wire messages of withdraw requests to domain values and back.

use super::{
    payments,
    times::{read_bound, wire_time},
};
use crate::{
    domain::{CommonField, Draft, DraftTtl, Filter, Status, Unclaimable, Violation, WithdrawField},
    grpc::json,
    pb,
    service::{PageRequest, Shown},
};

/// The draft of a withdraw request.
pub fn draft(request: pb::CreateWithdrawRequest) -> Draft {
    Draft {
        request_id: request.request_id,
        min_amount: request.min_amount,
        max_amount: request.max_amount,
        currency: request.currency,
        ttl: request.ttl.map(|ttl| DraftTtl { seconds: ttl.seconds, nanos: ttl.nanos }),
        memo: request.memo,
        statement_descriptor: request.statement_descriptor,
        pass_thru: request.pass_thru.map(json::to_object),
    }
}

/// The requested page, as far as it can be read, and what cannot be read.
pub fn page(request: pb::ListWithdrawsRequest) -> (PageRequest, Vec<Violation>) {
    let mut violations = Vec::new();
    let status = match pb::withdraw::Status::try_from(request.status) {
        Ok(pb::withdraw::Status::Unspecified) => None,
        Ok(pb::withdraw::Status::Active) => Some(Status::Active),
        Ok(pb::withdraw::Status::Paid) => Some(Status::Paid),
        Ok(pb::withdraw::Status::Deactivated) => Some(Status::Deactivated),
        Err(_) => {
            let rule = "must be ACTIVE, PAID or DEACTIVATED, or absent for any";
            violations.push(Violation::new(WithdrawField::Status, rule));
            None
        }
    };
    let mut time = |field, given| read_bound(field, given, &mut violations);
    let created_after = time(CommonField::CreatedAfter, request.created_after);
    let created_before = time(CommonField::CreatedBefore, request.created_before);
    let page = PageRequest {
        page_size: request.page_size,
        page_token: request.page_token,
        filter: Filter {
            status,
            claimable: request.claimable,
            request_id: Some(request.request_id).filter(|id| !id.is_empty()),
            created_after,
            created_before,
        },
    };
    (page, violations)
}

/// A withdraw request as its creator sees it.
pub fn withdraw(shown: Shown) -> pb::Withdraw {
    let withdraw = shown.view.withdraw;
    let terms = withdraw.terms;
    let (lnurl, lnurlw, ott) = match &shown.links {
        Some(links) => {
            (links.lnurl.0.clone(), links.lnurlw.0.clone(), links.secret.expose().to_owned())
        }
        None => Default::default(),
    };
    pb::Withdraw {
        id: withdraw.id.to_string(),
        object: "withdraw_request".to_owned(),
        status: status(withdraw.status).into(),
        min_amount: terms.min_amount.to_string(),
        max_amount: terms.max_amount.to_string(),
        currency: terms.currency.name().to_owned(),
        target_currency: terms.target_currency.name().to_owned(),
        exchange_rate: terms.exchange_rate.to_string(),
        ttl: Some(prost_types::Duration { seconds: terms.ttl_s, nanos: 0 }),
        expires_at: Some(wire_time(withdraw.expires_at)),
        target_min_amount: terms.target_min.to_string(),
        target_max_amount: terms.target_max.to_string(),
        r#type: "lnurl".to_owned(),
        withdraw_request: lnurl,
        statement_descriptor: terms.statement_descriptor,
        created: Some(wire_time(withdraw.id.created())),
        modified: Some(wire_time(withdraw.modified)),
        memo: terms.memo,
        pass_thru: terms.pass_thru.map(|kept| json::to_struct(kept.to_object())),
        ott,
        lnurlw,
        claimable: shown.unclaimable.is_none(),
        unclaimable_reason: unclaimable_reason(shown.unclaimable).into(),
        payment: shown.view.payment.map(payments::view),
    }
}

const fn status(status: Status) -> pb::withdraw::Status {
    match status {
        Status::Active => pb::withdraw::Status::Active,
        Status::Paid => pb::withdraw::Status::Paid,
        Status::Deactivated => pb::withdraw::Status::Deactivated,
    }
}

const fn unclaimable_reason(why: Option<Unclaimable>) -> pb::withdraw::UnclaimableReason {
    use pb::withdraw::UnclaimableReason as Wire;
    match why {
        None => Wire::Unspecified,
        Some(Unclaimable::AlreadyExpired) => Wire::AlreadyExpired,
        Some(Unclaimable::PaymentInFlight) => Wire::PaymentInFlight,
        Some(Unclaimable::AlreadyPaid) => Wire::AlreadyPaid,
        Some(Unclaimable::AlreadyDeactivated) => Wire::AlreadyDeactivated,
        Some(Unclaimable::ReopensLater(_)) => Wire::ReopensLater,
        Some(Unclaimable::NeedsOperator) => Wire::NeedsOperator,
    }
}
