//! Open arms: a `match` over an enum of the plan names every variant, so that a new one does not compile
//! before it was thought of.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::source::{Source, Sources};

/// The enums that grow, and whose every use has to be looked at then.
const ENUMS: [&str; 6] = ["Action", "Reason", "Step", "Cause", "Code", "SinkKind"];

/// `_ =>` and `other =>` in a `match` whose other arms name one of the enums.
pub fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.without_tests() {
        Arms { source, own: None, findings: &mut findings }.visit_file(&source.syntax);
    }
    findings
}

struct Arms<'a> {
    source: &'a Source,
    /// What `Self` stands for, where that is one of the enums.
    own: Option<&'static str>,
    findings: &'a mut Vec<Finding>,
}

impl<'ast> Visit<'ast> for Arms<'_> {
    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let outer = self.own;
        self.own = match &*block.self_ty {
            syn::Type::Path(path) => path.path.segments.last().and_then(|last| known(&last.ident)),
            _ => None,
        };
        visit::visit_item_impl(self, block);
        self.own = outer;
    }

    fn visit_expr_match(&mut self, block: &'ast syn::ExprMatch) {
        let mut named = Named { own: self.own, found: None };
        block.arms.iter().for_each(|arm| named.visit_pat(&arm.pat));
        if let Some(name) = named.found {
            for arm in block.arms.iter().filter(|arm| is_open(&arm.pat)) {
                self.findings.push(Finding {
                    file: self.source.path.clone(),
                    line: arm.pat.span().start().line,
                    message: format!(
                        "an open arm in a `match` over `{name}`: name the variants, so that a new one is thought of here"
                    ),
                });
            }
        }
        visit::visit_expr_match(self, block);
    }
}

fn known(name: &syn::Ident) -> Option<&'static str> {
    ENUMS.into_iter().find(|known| name == known)
}

/// `_`, a name for everything, and alternatives with one of these.
fn is_open(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Wild(_) => true,
        syn::Pat::Ident(name) => {
            let lower = name.ident.to_string().starts_with(|c: char| c.is_lowercase() || c == '_');
            lower && name.subpat.is_none()
        }
        syn::Pat::Or(either) => either.cases.iter().any(is_open),
        syn::Pat::Paren(inner) => is_open(&inner.pat),
        _ => false,
    }
}

/// Looks for the enum that patterns name.
struct Named {
    own: Option<&'static str>,
    found: Option<&'static str>,
}

impl<'ast> Visit<'ast> for Named {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let of = path.segments.iter().rev().nth(1);
        let name = of.and_then(|of| if of.ident == "Self" { self.own } else { known(&of.ident) });
        self.found = self.found.or(name);
    }

    fn visit_pat_guard(&mut self, guarded: &'ast syn::PatGuard) {
        // What the guard compares with is not what is matched.
        self.visit_pat(&guarded.pat);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::made_up::tree;
    use super::*;

    fn lines(body: &str) -> Vec<usize> {
        let sources = tree(&[("crates/a/src/a.rs", &format!("fn f() {{\n{body}\n}}\n"))]);
        check(&sources).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn an_open_arm_is_found_by_what_the_other_arms_name() {
        assert_eq!(lines("match a {\nAction::Create => 1,\n_ => 2,\n}"), [4]);
        assert_eq!(lines("match a {\nSome(plan::Step::Mint(mint)) => 1,\nother => 2,\n}"), [4]);
        assert_eq!(lines("match a {\nCode::A { .. } | _ => 2,\n}"), [3]);
        assert_eq!(lines("match b {\nB::C => match a {\nCause::A => 1,\n_ => 2,\n},\n_ => 3,\n}"), [5]);
    }

    #[test]
    fn other_arms_are_left_alone() {
        let good = [
            "match a {\nAction::Create => 1,\nAction::Keep => 2,\n}",
            "match a {\nUnknown::Create => 1,\n_ => 2,\n}",
            "match (a, b) {\n(Action::Create, _) => 1,\n(Action::Keep, _) => 2,\n}",
            "match a {\nAction::Create => 1,\n_ if good => 2,\nAction::Keep => 3,\n}",
            "match a {\nOther::A if b == Action::Create => 1,\n_ => 2,\n}",
            "matches!(a, Action::Create)",
        ];
        for body in good {
            assert_eq!(lines(body), [0_usize; 0], "{body}");
        }
    }

    #[test]
    fn an_enums_own_methods_count_and_tests_do_not() {
        let text = "impl Reason {\nfn f(self) { match self {\nSelf::A => 1,\n_ => 2 } }\n}\n\
                    impl Other {\nfn f(self) { match self {\nSelf::A => 1,\n_ => 2 } }\n}\n";
        let files = [("crates/a/src/a.rs", text), ("crates/a/tests/a.rs", text)];
        let found: Vec<String> = check(&tree(&files)).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/a/src/a.rs:4: an open arm in a `match` over `Reason`"),
            "{found:?}"
        );
    }
}
