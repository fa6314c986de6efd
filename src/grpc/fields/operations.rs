//! The names of the fields of `OperationsService`, as its messages have them.

use crate::domain::InstanceField;

/// The name of a field of `OperationsService`.
pub const fn name(field: InstanceField) -> &'static str {
    match field {
        InstanceField::Operator => "operator",
        InstanceField::Reason => "reason",
        InstanceField::Ids => "ids",
        InstanceField::Paid => "paid",
        InstanceField::From => "from",
        InstanceField::To => "to",
    }
}
