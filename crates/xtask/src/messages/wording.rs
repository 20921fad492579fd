//! What the sources can say: the sentences in their literals, with holes where values go.

use std::path::PathBuf;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::tidy::Sources;

/// A sentence of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    pub file: PathBuf,
    pub line: usize,
    /// As it stands in the source, without the line breaks of the source.
    pub literal: String,
    /// What stands between the holes.
    pieces: Vec<String>,
}

/// Macros whose words are for those who work on the code.
const NOT_SAID_BY_MACROS: [&str; 11] = [
    "assert",
    "assert_eq",
    "debug",
    "debug_assert",
    "info",
    "matches",
    "panic",
    "trace",
    "unreachable",
    "warn",
    "write",
];

/// Functions of `print` that say what is no error: questions, notes, data.
const NOT_SAID_BY_PRINT: [&str; 6] = ["ask", "ask_for", "ask_until", "note", "out", "say"];

/// The sentences below a folder, or in a file.
pub fn wordings(sources: &Sources, place: &str) -> Vec<Wording> {
    let mut found = Vec::new();
    for source in sources.without_tests().filter(|source| source.path.starts_with(place)) {
        Literals { file: &source.path, found: &mut found }.visit_file(&source.syntax);
    }
    found
}

impl Wording {
    fn new(file: PathBuf, line: usize, literal: String) -> Self {
        let pieces = pieces(&literal);
        Self { file, line, literal, pieces }
    }

    /// Whether it is what a text says, or a part of that; the text has single blanks.
    pub fn is_in(&self, text: &str) -> bool {
        let mut rest = text;
        self.pieces.iter().all(|piece| match rest.find(piece.as_str()) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

/// What stands between `{…}`, where `{{` is a brace.
fn pieces(literal: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut rest = literal.chars().peekable();
    while let Some(c) = rest.next() {
        let doubled = matches!(c, '{' | '}') && rest.peek() == Some(&c);
        if doubled {
            rest.next();
        }
        if c == '{' && !doubled {
            rest.by_ref().find(|c| *c == '}');
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    let single_blanks = |piece: &String| piece.split_whitespace().collect::<Vec<_>>().join(" ");
    pieces.iter().map(single_blanks).filter(|piece| !piece.is_empty()).collect()
}

/// Three words make a sentence; what is shorter is a name, or a part of something longer.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    pieces(text).join(" ").split(' ').filter(is_word).count() >= 3
}

struct Literals<'a> {
    file: &'a std::path::Path,
    found: &'a mut Vec<Wording>,
}

impl Literals<'_> {
    fn take(&mut self, literal: &syn::LitStr) {
        let text = literal.value();
        if is_sentence(&text) {
            self.found.push(Wording::new(self.file.to_path_buf(), literal.span().start().line, text));
        }
    }

    fn take_all(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.take_all(group.stream()),
                TokenTree::Literal(literal) => {
                    if let syn::Lit::Str(text) = syn::Lit::new(literal) {
                        self.take(&text);
                    }
                }
                TokenTree::Ident(_) | TokenTree::Punct(_) => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Literals<'_> {
    fn visit_lit_str(&mut self, literal: &'ast syn::LitStr) {
        self.take(literal);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta
            && list.path.is_ident("error")
        {
            self.take_all(list.tokens.clone());
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        if !NOT_SAID_BY_MACROS.contains(&name.as_str()) {
            self.take_all(call.tokens.clone());
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "expect" {
            self.visit_expr(&call.receiver);
        } else {
            visit::visit_expr_method_call(self, call);
        }
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let is_print = matches!(&*call.func, syn::Expr::Path(path) if {
            let words: Vec<String> = path.path.segments.iter().map(|part| part.ident.to_string()).collect();
            words.len() == 2 && words[0] == "print" && NOT_SAID_BY_PRINT.contains(&words[1].as_str())
        });
        if !is_print {
            visit::visit_expr_call(self, call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tidy::made_up::tree;

    fn found(text: &str) -> Vec<String> {
        let sources = tree(&[("crates/gridkey/src/a.rs", text)]);
        wordings(&sources, "crates/gridkey/src").into_iter().map(|wording| wording.literal).collect()
    }

    #[test]
    fn sentences_are_found_in_literals_macros_and_error_attributes() {
        let text = r#"
            /// The words of a comment are not said.
            #[derive(Error)]
            #[error("the key {0} is gone")]
            struct Gone(String);
            const HELP: &str = "write it to a file";
            fn f() {
                let message = format!("there is no {name} here", name = 1);
                tracing::debug!("nobody reads this sentence");
                print::say("this is no error at all");
                print::error(&format!("the folder {} cannot be used", 2), &[], None);
                g().expect("the answer was there before");
                two("two words");
            }
            #[cfg(test)]
            mod tests { const TEXT: &str = "a text of a test"; }
        "#;
        let expected = [
            "the key {0} is gone",
            "write it to a file",
            "there is no {name} here",
            "the folder {} cannot be used",
        ];
        assert_eq!(found(text), expected);
    }

    #[test]
    fn a_file_that_only_tests_are_made_of_says_nothing() {
        let text = "const TEXT: &str = \"a text of a test\";";
        let named = [
            ("crates/gridkey/src/a/mod.rs", "#[cfg(test)] mod b; mod c;"),
            ("crates/gridkey/src/a/b.rs", text),
            ("crates/gridkey/src/a/c.rs", text),
        ];
        let found = wordings(&tree(&named), "crates/gridkey/src");
        let files: Vec<_> = found.iter().map(|wording| wording.file.as_path()).collect();
        assert_eq!(files, [Path::new("crates/gridkey/src/a/c.rs")]);
    }

    #[test]
    fn holes_stand_for_anything_and_pieces_keep_their_order() {
        let wording = Wording::new("a.rs".into(), 1, "`{from}` cannot become `{{{to}}}` here".to_string());
        assert!(wording.is_in("error: `a` cannot become `{b}` here, and more"));
        assert!(!wording.is_in("error: here `a` cannot become `{b}`"));
        assert!(!wording.is_in("error: `a` can become `{b}` here"));
    }
}
