//! What is true of one kind of sink alone, beside the claims that all of them are held to.

use std::pin::Pin;

use crate::bench::Bench;

/// A test by name, with a bench of its own.
#[derive(Clone, Copy)]
pub struct Own {
    pub name: &'static str,
    pub holds: for<'b> fn(&'b Bench) -> Pin<Box<dyn Future<Output = ()> + 'b>>,
}

/// A function `async fn name(bench: &Bench)` as a test of its name.
macro_rules! own {
    ($name:ident) => {
        $crate::own::Own { name: stringify!($name), holds: |bench| Box::pin($name(bench)) }
    };
}
pub(crate) use own;
