//! Functions of the planner that are too long to be read at once.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use super::Finding;
use super::source::{Source, Sources};

/// Where functions are held to the limit.
const FOLDER: &str = "crates/gridkey-core/src/plan";

/// The most lines that a function has, from `fn` to its last brace.
const LINES: usize = 60;

/// Functions of too many lines.
pub fn check(sources: &Sources) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources.below(FOLDER) {
        Functions { source, findings: &mut findings }.visit_file(&source.syntax);
    }
    findings
}

struct Functions<'a> {
    source: &'a Source,
    findings: &'a mut Vec<Finding>,
}

impl Functions<'_> {
    fn measure(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line - first + 1;
        if lines > LINES {
            let name = &signature.ident;
            self.findings.push(Finding {
                file: self.source.path.clone(),
                line: first,
                message: format!("`{name}` has {lines} lines, and {LINES} are the most: take it apart"),
            });
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.measure(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.measure(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::made_up::tree;
    use super::*;

    fn function(name: &str, lines: usize) -> String {
        format!("/// Docs do not count.\n#[must_use]\nfn {name}() {{\n{}}}\n", "    f();\n".repeat(lines - 2))
    }

    #[test]
    fn only_long_functions_of_the_planner_are_found_and_tests_are_not() {
        let text = format!(
            "{}{}impl A {{ {} }}\n#[cfg(test)]\nmod tests {{ {} }}\n",
            function("most", 60),
            function("more", 61),
            function("method", 61),
            function("test", 90)
        );
        let sources =
            tree(&[("crates/gridkey-core/src/plan/a.rs", &text), ("crates/gridkey-core/src/b.rs", &text)]);
        let found: Vec<String> = check(&sources).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        let first =
            "crates/gridkey-core/src/plan/a.rs:65: `more` has 61 lines, and 60 are the most: take it apart";
        assert_eq!(found[0], first);
        assert!(found[1].contains("`method`"), "{found:?}");
    }
}
