//! The paths that a file names: `use` trees taken apart, and `crate::…` and `super::…` wherever they stand,
//! also in macros.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// A path from the root of its crate, and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPath {
    pub line: usize,
    pub path: Vec<String>,
}

/// Every path into its own crate that a file of this module names.
pub fn named(file: &syn::File, module: &[String]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    walk(file.to_token_stream(), module, &mut found);
    found
}

fn walk(tokens: TokenStream, module: &[String], found: &mut Vec<NamedPath>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            // The inside of a group that belongs to a path is read with the path.
            TokenTree::Group(group) if !is_separator(&tokens, at.wrapping_sub(2)) => {
                let inner = inline_module(&tokens, at).map(|name| [module, &[name]].concat());
                walk(group.stream(), inner.as_deref().unwrap_or(module), found);
            }
            TokenTree::Ident(ident) if is_separator(&tokens, at + 1) && !is_inside(&tokens, at) => {
                if let Some(start) = start(&ident.to_string(), module) {
                    tree(&tokens, at + 3, start, found);
                }
            }
            TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// The name of a module whose braces stand here.
fn inline_module(tokens: &[TokenTree], at: usize) -> Option<String> {
    match (tokens.get(at.checked_sub(2)?)?, tokens.get(at - 1)?) {
        (TokenTree::Ident(word), TokenTree::Ident(name)) if word == "mod" => Some(name.to_string()),
        (_, _) => None,
    }
}

/// Where a path starts that begins with this word. That of a `super` after another one is found by `tree`.
fn start(word: &str, module: &[String]) -> Option<Vec<String>> {
    match word {
        "crate" => Some(Vec::new()),
        "self" => Some(module.to_vec()),
        "super" => Some(module.get(..module.len().checked_sub(1)?)?.to_vec()),
        _ => None,
    }
}

/// Reads on behind a `::`: a name, a group of trees, or a star.
fn tree(tokens: &[TokenTree], at: usize, mut path: Vec<String>, found: &mut Vec<NamedPath>) {
    match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => {
            let word = ident.to_string();
            match word.as_str() {
                "super" => drop(path.pop()),
                "self" => {}
                _ => path.push(word),
            }
            if is_separator(tokens, at + 1) {
                tree(tokens, at + 3, path, found);
            } else {
                found.push(NamedPath { line: ident.span().start().line, path });
            }
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            let is_comma =
                |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
            for branch in inner.split(is_comma).filter(|branch| !branch.is_empty()) {
                tree(branch, 0, path.clone(), found);
            }
        }
        Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
            path.push("*".to_string());
            found.push(NamedPath { line: star.span().start().line, path });
        }
        // `Vec::<…>` and the like: the path ends here.
        Some(token) => found.push(NamedPath { line: token.span().start().line, path }),
        None => {}
    }
}

/// Whether `::` stands here.
fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    is_colon(at) && is_colon(at + 1)
}

/// Whether a word is a later part of a path, or says who may see something (`pub(in crate::plan)`).
fn is_inside(tokens: &[TokenTree], at: usize) -> bool {
    let after_in = at.checked_sub(1).and_then(|before| tokens.get(before));
    let after_in = matches!(after_in, Some(TokenTree::Ident(word)) if word == "in");
    after_in || at.checked_sub(2).is_some_and(|before| is_separator(tokens, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let module: Vec<String> = ["plan", "judge", "limits"].map(String::from).to_vec();
        let file = syn::parse_file(text).expect("it is Rust");
        named(&file, &module)
            .into_iter()
            .map(|path| format!("{} {}", path.line, path.path.join("::")))
            .collect()
    }

    #[test]
    fn trees_are_taken_apart() {
        let text = "use crate::a::{b, c::{self, D}, e::*};\nuse crate::f as g;\nuse other::crate_name;\n";
        assert_eq!(paths(text), ["1 a::b", "1 a::c", "1 a::c::D", "1 a::e::*", "2 f"]);
    }

    #[test]
    fn paths_count_wherever_they_stand() {
        let text = "fn f(a: crate::a::B) -> Vec<super::c::D> {\n    g(&crate::h::<u8>(), vec![crate::i::J {}]);\n    \
                    super::super::k()\n}\n";
        assert_eq!(paths(text), ["1 a::B", "1 plan::judge::c::D", "2 h", "2 i::J", "3 plan::k"]);
    }

    #[test]
    fn inside_of_a_module_in_the_same_file_super_is_that_file() {
        let text = "mod inner { use super::a; fn f() { super::super::b() } }\nuse super::c;\n";
        assert_eq!(paths(text), ["1 plan::judge::limits::a", "1 plan::judge::b", "2 plan::judge::c"]);
    }

    #[test]
    fn who_may_see_something_is_not_an_import() {
        assert_eq!(
            paths("pub(crate) fn f() {}\npub(super) fn g() {}\npub(in crate::plan) fn h() {}\n"),
            [""; 0]
        );
    }
}
