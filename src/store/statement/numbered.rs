//! Replaces `:name` by `$1`, at compile time.
//!
//! Literals, quoted identifiers and comments stay as they are, and so does a colon that no name follows
//! (`::bigint`). Text that already contains `$1` does not compile, since its number could contradict the
//! order of the fields.

/// The name of a statement: the first line of its text, without the `-- `.
pub const fn name(text: &'static str) -> &'static str {
    let bytes = text.as_bytes();
    assert!(
        bytes.len() > 3 && bytes[0] == b'-' && bytes[1] == b'-' && bytes[2] == b' ',
        "a statement begins with its name in a comment"
    );
    let mut end = 3;
    while end < bytes.len() && bytes[end] != b'\n' {
        end += 1;
    }
    text.split_at(end).0.split_at(3).1
}

/// The length of [`bytes`].
pub const fn length(text: &str, names: &[&str]) -> usize {
    number_parameters::<0>(text.as_bytes(), names).length
}

/// The text, with each parameter's name replaced by its number.
pub const fn bytes<const LENGTH: usize>(text: &str, names: &[&str]) -> [u8; LENGTH] {
    let output = number_parameters::<LENGTH>(text.as_bytes(), names);
    assert!(output.length == LENGTH, "LENGTH is not the length of the numbered text");
    output.bytes
}

/// The result of [`bytes`], as text.
pub const fn text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("a character was cut in two"),
    }
}

/// The text written so far. Bytes beyond the capacity are counted but not stored.
struct Output<const CAPACITY: usize> {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl<const CAPACITY: usize> Output<CAPACITY> {
    const fn push(&mut self, byte: u8) {
        if self.length < CAPACITY {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(b"0123456789"[number % 10]);
    }
}

/// The maximum number of parameters of a statement.
const MAX_PARAMETERS: usize = 64;

const fn number_parameters<const CAPACITY: usize>(text: &[u8], names: &[&str]) -> Output<CAPACITY> {
    let mut output = Output { bytes: [0; CAPACITY], length: 0 };
    let mut used = [false; MAX_PARAMETERS];
    let mut at = 0;
    while at < text.len() {
        let end = match text[at] {
            quote @ (b'\'' | b'"') => position_after(text, at + 1, quote),
            b'-' if byte_at(text, at + 1) == b'-' => position_after(text, at, b'\n'),
            b':' if byte_at(text, at + 1) == b':' => at + 2,
            b':' if is_name_byte(byte_at(text, at + 1)) => {
                let end = end_of_name(text, at + 1);
                let index = index_of(text, at + 1, end, names);
                used[index] = true;
                output.push(b'$');
                output.push_number(index + 1);
                at = end;
                continue;
            }
            b'$' => panic!("a statement names its parameters: `:name`, not `$1`"),
            _ => at + 1,
        };
        while at < end {
            output.push(text[at]);
            at += 1;
        }
    }
    let mut index = 0;
    while index < names.len() {
        assert!(used[index], "a parameter's name is not in the statement's text");
        index += 1;
    }
    output
}

/// The byte at a position; zero beyond the end.
const fn byte_at(text: &[u8], at: usize) -> u8 {
    if at < text.len() { text[at] } else { 0 }
}

/// The position after the next `byte`, or the end of the text.
const fn position_after(text: &[u8], mut at: usize, byte: u8) -> usize {
    while at < text.len() && text[at] != byte {
        at += 1;
    }
    if at < text.len() { at + 1 } else { at }
}

const fn is_name_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

const fn end_of_name(text: &[u8], mut at: usize) -> usize {
    while is_name_byte(byte_at(text, at)) {
        at += 1;
    }
    at
}

const fn index_of(text: &[u8], start: usize, end: usize, names: &[&str]) -> usize {
    let mut index = 0;
    while index < names.len() {
        if is_equal(text, start, end, names[index].as_bytes()) {
            return index;
        }
        index += 1;
    }
    panic!("the statement's text names a parameter that its struct does not have")
}

const fn is_equal(text: &[u8], start: usize, end: usize, name: &[u8]) -> bool {
    if name.len() != end - start {
        return false;
    }
    let mut at = 0;
    while at < name.len() {
        if text[start + at] != name[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(text: &str, names: &[&str]) -> String {
        let output = number_parameters::<256>(text.as_bytes(), names);
        String::from_utf8(output.bytes[..output.length].to_vec()).unwrap()
    }

    #[test]
    fn parameters_are_numbered_in_the_order_of_their_names() {
        let text = "update t set b = :b, bb = :bb where a = :a and b <> :b";
        let expected = "update t set b = $2, bb = $3 where a = $1 and b <> $2";
        assert_eq!(numbered(text, &["a", "b", "bb"]), expected);
        assert_eq!(length(text, &["a", "b", "bb"]), expected.len());
    }

    #[test]
    fn numbers_have_as_many_digits_as_they_need() {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let text = ":a:b:c:d:e:f:g:h:i:j:k";
        assert_eq!(numbered(text, &names), "$1$2$3$4$5$6$7$8$9$10$11");
    }

    #[test]
    fn casts_literals_identifiers_and_comments_stay_as_they_are() {
        let text =
            "-- a:name\nselect :a::bigint, '12:a', 'it''s :a', \"c:a\", x[1: 2] -- :b\nfrom t";
        let expected =
            "-- a:name\nselect $1::bigint, '12:a', 'it''s :a', \"c:a\", x[1: 2] -- :b\nfrom t";
        assert_eq!(numbered(text, &["a"]), expected);
    }

    #[test]
    fn characters_beyond_ascii_stay_whole() {
        assert_eq!(numbered("select 'µ', :a -- …", &["a"]), "select 'µ', $1 -- …");
    }

    #[test]
    #[should_panic = "names a parameter that its struct does not have"]
    fn an_unknown_name_fails() {
        numbered("select :b", &["a"]);
    }

    #[test]
    #[should_panic = "is not in the statement's text"]
    fn a_name_that_is_not_used_fails() {
        numbered("select :a", &["a", "b"]);
    }

    #[test]
    #[should_panic = "names its parameters"]
    fn a_number_by_hand_fails() {
        numbered("select $1", &[]);
    }

    #[test]
    fn a_statement_is_named_by_its_first_line() {
        assert_eq!(name("-- noun.verb\nselect 1"), "noun.verb");
    }
}
