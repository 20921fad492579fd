//! The sources: every Rust file of the repository, and its syntax without what only tests compile.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use syn::visit_mut::{self, VisitMut};

/// Every Rust file, by its path from the root of the repository.
pub struct Sources {
    files: Vec<Source>,
    /// Files that stand under `#[cfg(test)]` where they are named.
    of_tests: BTreeSet<PathBuf>,
}

/// One file.
pub struct Source {
    pub path: PathBuf,
    pub text: String,
    /// Without anything under `#[cfg(test)]`.
    pub syntax: syn::File,
}

impl Sources {
    /// Reads what stands below `crates` and `tests`.
    ///
    /// # Errors
    /// A file that cannot be read, or is not Rust.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut folders = vec![root.join("crates"), root.join("tests")];
        while let Some(folder) = folders.pop() {
            let failed = |error: std::io::Error| format!("{} cannot be read: {error}", folder.display());
            for entry in std::fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    if path.file_name().is_some_and(|name| name != "target") {
                        folders.push(path);
                    }
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path)
                        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                    files.push((path.strip_prefix(root).unwrap_or(&path).to_path_buf(), text));
                }
            }
        }
        files.sort();
        Self::new(files)
    }

    /// The same, of files that are at hand.
    ///
    /// # Errors
    /// A file that is not Rust.
    pub fn new(files: Vec<(PathBuf, String)>) -> Result<Self, String> {
        let mut of_tests = BTreeSet::new();
        let parsed = files.into_iter().map(|(path, text)| {
            let mut syntax = syn::parse_file(&text)
                .map_err(|error| format!("{}:{}: {error}", path.display(), error.span().start().line))?;
            of_tests.extend(test_files(&path, &syntax));
            WithoutTests.visit_file_mut(&mut syntax);
            Ok(Source { path, text, syntax })
        });
        let files = parsed.collect::<Result<Vec<_>, String>>()?;
        Ok(Self { files, of_tests })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Source> {
        self.files.iter()
    }

    /// The files below a folder.
    pub fn below(&self, folder: &str) -> impl Iterator<Item = &Source> {
        self.iter().filter(move |source| source.path.starts_with(folder))
    }

    /// The files that tests alone are made of are left out.
    pub fn without_tests(&self) -> impl Iterator<Item = &Source> {
        let is_test = |path: &Path| {
            path.starts_with("tests")
                || path.iter().any(|part| part == "tests" || part == "benches")
                || self.of_tests.contains(path)
        };
        self.iter().filter(move |source| !is_test(&source.path))
    }
}

/// The files of modules that only tests compile.
fn test_files(path: &Path, syntax: &syn::File) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default();
    let owns_folder = stem == "mod" || stem == "lib" || stem == "main";
    let folder = if owns_folder { path.with_file_name("") } else { path.with_extension("") };
    let modules = syntax.items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) if module.content.is_none() && is_test(&module.attrs) => Some(module),
        _ => None,
    });
    modules.map(|module| folder.join(format!("{}.rs", module.ident))).collect()
}

/// Takes out what stands under `#[cfg(test)]`.
struct WithoutTests;

impl VisitMut for WithoutTests {
    fn visit_file_mut(&mut self, file: &mut syn::File) {
        file.items.retain(|item| !is_test(item_attributes(item)));
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut syn::ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(|item| !is_test(item_attributes(item)));
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        block.items.retain(|item| match item {
            syn::ImplItem::Fn(function) => !is_test(&function.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, block);
    }
}

/// `#[cfg(test)]`, and `#[cfg(all(test, …))]`.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let words = list.tokens.to_string();
        let mut words = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        list.path.is_ident("cfg")
            && words.clone().all(|word| word != "not")
            && words.any(|word| word == "test")
    })
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[cfg(test)]
pub mod made_up {
    use super::*;

    /// A small tree of files.
    pub fn tree(files: &[(&str, &str)]) -> Sources {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_string()));
        Sources::new(files.collect()).expect("it is Rust")
    }
}
