//! Reads Rust as far as the architecture needs it: which paths a text names.
//!
//! It is no parser. It blanks out comments and literals, splits the rest into words and signs, and
//! unfolds what follows `crate::` or `super::`, groups included, in `use` lines and anywhere else.

use super::literals::without_literals;

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
    /// What a `use` calls it here.
    pub name: String,
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

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All paths that begin with `crate`, `self` or `super`, from the root of the crate on. `root` names the
/// crate from outside (in `main.rs`), and `module` is the path of the file's own module.
pub fn crate_paths(tokens: &[Token], root: &str, module: &[String]) -> Vec<Path> {
    let mut paths = Vec::new();
    // The modules that are open at this place: the file's own, and those inside of it, each with the
    // number of braces that were open before its own.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut braces = 0;
    let mut at = 0;
    while at < tokens.len() {
        match text(tokens, at) {
            "mod" if text(tokens, at + 2) == "{" => {
                inline.push((text(tokens, at + 1).to_owned(), braces));
                at += 2;
                continue;
            }
            "{" => braces += 1,
            "}" => {
                braces = braces.saturating_sub(1);
                inline.pop_if(|(_, outside)| *outside == braces);
            }
            _ => {}
        }
        let here = || {
            let inside = inline.iter().map(|(name, _)| name.clone());
            module.iter().cloned().chain(inside).collect::<Vec<_>>()
        };
        at = match begin(tokens, at, root, here) {
            Some((begin, mut prefix)) => unfold(tokens, begin, &mut prefix, &mut paths),
            None => at + 1,
        };
    }
    paths
}

/// Where the rest of a path begins, and the module that its first words name.
fn begin(
    tokens: &[Token],
    mut at: usize,
    root: &str,
    here: impl Fn() -> Vec<String>,
) -> Option<(usize, Vec<String>)> {
    let continued = at > 0 && tokens[at - 1].text == "::";
    let mut prefix = match text(tokens, at) {
        "crate" => Vec::new(),
        word if word == root && !continued => Vec::new(),
        "self" | "super" if !continued => here(),
        _ => return None,
    };
    loop {
        if text(tokens, at) == "super" {
            prefix.pop()?;
        }
        // A lone `self` is a value, a lone `crate` a visibility.
        if text(tokens, at + 1) != "::" {
            return None;
        }
        if text(tokens, at + 2) != "super" {
            return Some((at + 2, prefix));
        }
        at += 2;
    }
}

/// The names that a module re-exports, each with the path that it stands for.
pub fn re_exports(tokens: &[Token], module: &[String]) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let mut next = at + 1;
        if text(tokens, at) != "pub" {
            continue;
        }
        if text(tokens, next) == "(" {
            while !matches!(text(tokens, next), ")" | "") {
                next += 1;
            }
            next += 1;
        }
        if text(tokens, next) != "use" {
            continue;
        }
        let (start, mut prefix) = begin(tokens, next + 1, "", || module.to_vec())
            .unwrap_or_else(|| (next + 1, module.to_vec()));
        let mut paths = Vec::new();
        unfold(tokens, start, &mut prefix, &mut paths);
        found.extend(paths.into_iter().map(|path| (path.name, path.segments)));
    }
    found
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
    let mut segments = prefix.clone();
    prefix.truncate(kept);
    if segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let name = if text(tokens, at) == "as" {
        at += 2;
        text(tokens, at - 1).to_owned()
    } else {
        segments.last().cloned().unwrap_or_default()
    };
    paths.push(Path { segments, name, line });
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
