//! How much a manifest may hold. A small file can ask for much: environments, accounts and keys are multiplied, and
//! a text is compared with others. So that is counted before the work is done, and more is an error.
//!
//! A company has at most some thousand accounts, with SendGrid's 100 keys in each; a project is a part of that.

/// Keys that a manifest comes to: 1,000 accounts with 100 keys each. They take about 1 kB each.
pub(crate) const MAX_KEYS: usize = 100_000;

/// Locations of secrets that these come to. A key has one or two; with many sinks each it may have fewer keys.
pub(crate) const MAX_LOCATIONS: usize = 4 * MAX_KEYS;

/// Named blocks of a section (`accounts`, `keys`, `environments`, …): sections are held against one another, each with
/// each.
pub(crate) const MAX_BLOCKS: usize = 10_000;

/// Entries of `moved` and of `removed`: a hundred accounts renamed key by key. Once carried out they can go.
pub(crate) const MAX_ENTRIES: usize = 10_000;

/// Entries of these with `*`, and selectors of a rule: each is held against every key.
pub(crate) const MAX_PATTERNS: usize = 200;

/// Items of any other list: of scopes (SendGrid has some three hundred), sinks, environments, words of a command.
pub(crate) const MAX_ITEMS: usize = 1_000;

/// Bytes of a text: the longest path that an operating system takes. Scopes, names and addresses are far shorter.
pub(crate) const MAX_TEXT: usize = 4_096;

/// Characters of a name at SendGrid. How many it takes is not documented; names in use are shorter than a hundred.
pub(crate) const MAX_KEY_NAME: usize = 500;

/// Errors and warnings that are kept: more are not read, and each quotes its place.
pub(crate) const MAX_PROBLEMS: usize = 1_000;

/// Characters of a message, which may quote a text and what was meant by it.
pub(crate) const MAX_MESSAGE: usize = 1_000;

/// Bytes of all files of a manifest together.
pub(crate) const MAX_TOTAL_BYTES: usize = 16 << 20;
