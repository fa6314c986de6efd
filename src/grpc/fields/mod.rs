//! Field names on the wire, a file per service.

mod common;
mod operations;
mod payments;
mod withdraws;

use crate::domain::{Field, InstanceField, Violation};

/// The field that a violation is about: `max_amount`, or `requests[3].max_amount` in a batch.
pub fn path(violation: &Violation) -> String {
    let name = name(violation.field);
    match (violation.entry, violation.field) {
        (None, _) => name.to_owned(),
        (Some(index), Field::Instance(InstanceField::Paid)) => format!("paid[{index}]"),
        (Some(index), _) => format!("requests[{index}].{name}"),
    }
}

const fn name(field: Field) -> &'static str {
    match field {
        Field::Withdraw(field) => withdraws::name(field),
        Field::Payment(field) => payments::name(field),
        Field::Instance(field) => operations::name(field),
        Field::Common(field) => common::name(field),
    }
}
