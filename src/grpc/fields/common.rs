//! The names of the fields of more than one service, as its messages have them.

use crate::domain::CommonField;

/// The name of a field of several services.
pub const fn name(field: CommonField) -> &'static str {
    match field {
        CommonField::Id => "id",
        CommonField::PageSize => "page_size",
        CommonField::PageToken => "page_token",
        CommonField::CreatedAfter => "created_after",
        CommonField::CreatedBefore => "created_before",
    }
}
