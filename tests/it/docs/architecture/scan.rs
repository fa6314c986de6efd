//! Reads Rust as far as the architecture needs it: which paths a text names.
//!
//! It is no parser. It blanks out comments and literals, cuts the rest into words and signs, and
//! unfolds what follows `crate::` or `super::`, groups included, in `use` lines and anywhere else.

use std::{iter::Peekable, str::Chars};

/// A word or a sign, and the line that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path that a text names, from the root of the crate on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub segments: Vec<String>,
    pub line: usize,
}

/// The words and signs of `source`; `::` is one sign.
pub fn tokens(source: &str) -> Vec<Token> {
    let code = without_literals(source);
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let line = index + 1;
        let mut chars = text.chars().peekable();
        while let Some(first) = chars.next() {
            let text = if is_word(first) {
                let mut word = String::from(first);
                while let Some(more) = chars.next_if(|c| is_word(*c)) {
                    word.push(more);
                }
                word
            } else if first == ':' && chars.next_if_eq(&':').is_some() {
                "::".to_owned()
            } else if first.is_whitespace() {
                continue;
            } else {
                first.to_string()
            };
            tokens.push(Token { text, line });
        }
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All paths below the root of the crate. `root` names the crate from outside (in `main.rs`), and
/// `depth` is how many `super` lead from the file's own module to the root.
pub fn crate_paths(tokens: &[Token], root: &str, depth: usize) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let continued = at > 0 && tokens[at - 1].text == "::";
        let begin = match tokens[at].text.as_str() {
            "crate" => Some(at + 1),
            word if word == root && !continued => Some(at + 1),
            "super" if !continued => above(tokens, at, depth),
            _ => None,
        };
        let from_super = tokens[at].text == "super";
        let known = paths.len();
        at = match begin {
            Some(begin) if text(tokens, begin) == "::" => {
                unfold(tokens, begin + 1, &mut Vec::new(), &mut paths)
            }
            _ => at + 1,
        };
        if from_super && paths[known..].iter().all(|path| path.segments.is_empty()) {
            // `use super::*` in a module inside of the file.
            paths.truncate(known);
        }
    }
    paths
}

/// Where a chain of `super` ends, if it leads to the root. Modules inside of a file are not counted,
/// so that what is found may be too much, and is then no room's name.
fn above(tokens: &[Token], begin: usize, depth: usize) -> Option<usize> {
    let mut at = begin + 1;
    let mut steps = 1;
    while text(tokens, at) == "::" && text(tokens, at + 1) == "super" {
        at += 2;
        steps += 1;
    }
    (steps >= depth).then_some(at)
}

fn text(tokens: &[Token], at: usize) -> &str {
    tokens.get(at).map_or("", |token| &token.text)
}

/// Unfolds one tree of a path; returns where it ends.
fn unfold(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut Vec<String>,
    paths: &mut Vec<Path>,
) -> usize {
    let kept = prefix.len();
    loop {
        match text(tokens, at) {
            "{" => {
                at += 1;
                while !matches!(text(tokens, at), "}" | "") {
                    if text(tokens, at) == "," {
                        at += 1;
                    } else {
                        at = unfold(tokens, at, prefix, paths);
                    }
                }
                prefix.truncate(kept);
                return at + 1;
            }
            word if word.starts_with(is_word) => {
                prefix.push(word.to_owned());
                at += 1;
            }
            // `*`, or whatever ends a path in an expression.
            sign => {
                at += usize::from(sign == "*" || sign.is_empty());
                return finish(tokens, at, prefix, kept, paths);
            }
        }
        if text(tokens, at) != "::" {
            return finish(tokens, at, prefix, kept, paths);
        }
        at += 1;
    }
}

fn finish(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut Vec<String>,
    kept: usize,
    paths: &mut Vec<Path>,
) -> usize {
    let line = tokens[at.saturating_sub(1).min(tokens.len() - 1)].line;
    let segments = prefix.clone();
    paths.push(Path { segments, line });
    prefix.truncate(kept);
    if text(tokens, at) == "as" {
        at += 2;
    }
    at
}

/// The first words of all paths that could name another crate, with what follows them.
pub fn foreign_paths(tokens: &[Token]) -> Vec<Path> {
    let mut paths = Vec::new();
    for at in 0..tokens.len() {
        let mut before = if at == 0 { "" } else { text(tokens, at - 1) };
        // `::name` is another crate, `a::name` and `<A>::name` are not.
        let owner = if at < 2 { "" } else { text(tokens, at - 2) };
        if before == "::" && (owner == "use" || !owner.ends_with(|c| is_word(c) || c == '>')) {
            before = "";
        }
        let is_root = text(tokens, at).starts_with(is_word)
            && before != "::"
            && (text(tokens, at + 1) == "::" || before == "use");
        if is_root {
            unfold(tokens, at, &mut Vec::new(), &mut paths);
        }
    }
    paths
}

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
