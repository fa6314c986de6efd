//! Blanks out what is not code: comments, strings and characters.

use std::{iter::Peekable, str::Chars};

use super::scan::is_word;

/// The same text with blanks for comments, strings and characters; lines stay where they are.
pub fn without_literals(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        match (c, next) {
            ('/', Some('/')) => blank_line(&mut chars, &mut code),
            ('/', Some('*')) => blank_comment(&mut chars, &mut code),
            ('"', _) => blank_string(&mut chars, &mut code),
            ('r', Some('"' | '#')) if !code.ends_with(|c| is_word(c) && c != 'b') => {
                raw(&mut chars, &mut code);
            }
            ('\'', _) => blank_char(&mut chars, &mut code),
            _ => code.push(c),
        }
    }
    code
}

type Source<'a> = Peekable<Chars<'a>>;

fn blank(c: char, code: &mut String) {
    code.push(if c == '\n' { '\n' } else { ' ' });
}

fn blank_line(chars: &mut Source<'_>, code: &mut String) {
    while chars.next_if(|c| *c != '\n').is_some() {}
    code.push(' ');
}

fn blank_comment(chars: &mut Source<'_>, code: &mut String) {
    let mut depth = 1;
    chars.next();
    while let Some(c) = chars.next() {
        blank(c, code);
        match (c, chars.peek()) {
            ('*', Some('/')) => depth -= 1,
            ('/', Some('*')) => depth += 1,
            _ => continue,
        }
        chars.next();
        if depth == 0 {
            return;
        }
    }
}

fn blank_string(chars: &mut Source<'_>, code: &mut String) {
    while let Some(c) = chars.next() {
        blank(c, code);
        match c {
            '"' => return,
            '\\' => {
                if let Some(escaped) = chars.next() {
                    blank(escaped, code);
                }
            }
            _ => {}
        }
    }
}

/// A raw string, or a raw word (`r#type`), which stays a word.
fn raw(chars: &mut Source<'_>, code: &mut String) {
    let mut hashes = 0;
    while chars.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if chars.next_if_eq(&'"').is_none() {
        return;
    }
    let mut closing = None;
    for c in chars.by_ref() {
        blank(c, code);
        closing = match (c, closing) {
            ('"', _) => Some(0),
            ('#', Some(seen)) => Some(seen + 1),
            _ => None,
        };
        if closing.is_some_and(|seen| seen >= hashes) {
            return;
        }
    }
}

/// A character; a lifetime stays a word.
fn blank_char(chars: &mut Source<'_>, code: &mut String) {
    let mut ahead = chars.clone();
    let (first, second) = (ahead.next(), ahead.next());
    code.push(' ');
    if first == Some('\\') {
        chars.next();
        chars.next();
        while chars.next_if(|c| *c != '\'').is_some() {}
        chars.next();
    } else if second == Some('\'') {
        chars.next();
        chars.next();
    }
}
