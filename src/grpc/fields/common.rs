//! The names of the fields that several services share, as in their messages.

use crate::domain::CommonField;

/// The name of a field that several services share.
pub const fn name(field: CommonField) -> &'static str {
    match field {
        CommonField::Id => "id",
        CommonField::PageSize => "page_size",
        CommonField::PageToken => "page_token",
        CommonField::CreatedAfter => "created_after",
        CommonField::CreatedBefore => "created_before",
    }
}
