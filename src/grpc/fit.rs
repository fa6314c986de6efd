//! Limits the size of a page in bytes.

use prost::Message;
use uuid::Uuid;

use crate::domain::{Fingerprint, PageToken};

/// A page ends here, well below the 4 MiB that gRPC clients accept by default.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;

/// The entries that fit into [`MAX_PAGE_BYTES`], at least one, and the token of the next page. The token is
/// empty at the end of the list: all entries fit, and `more` is false.
pub fn fit<T: Message>(
    entries: impl ExactSizeIterator<Item = (Uuid, T)>,
    mut more: bool,
    filter: Fingerprint,
) -> (Vec<T>, String) {
    let (mut bytes, mut last) = (0, None);
    let mut page = Vec::with_capacity(entries.len());
    for (id, entry) in entries {
        bytes += entry.encoded_len();
        if bytes > MAX_PAGE_BYTES && last.is_some() {
            more = true;
            break;
        }
        page.push(entry);
        last = Some(id);
    }
    let next = last.filter(|_| more).map(|last| PageToken::new(filter, last).to_string());
    (page, next.unwrap_or_default())
}
